"""A figure's caption says how to make the figure again."""

from dataclasses import replace

import pytest

from ssrnet.analysis.figure_captions import caption
from ssrnet.analysis.figure_layout import FigureSettings
from ssrnet.data.datasets import open_dataset
from tests.analysis import toys

TITLES = ("Baseline (GB)", "SSR-Net (GB+AB+RB)")
SETTINGS = FigureSettings(top_k=3, labels=("rank", "distance"))


@pytest.fixture(scope="module")
def rows(city):
    comparison = toys.random_and_right(open_dataset(city))
    return dict(zip(TITLES, (comparison.a, comparison.b)))


def test_it_names_protocol_rows_labels_queries_checkpoints_and_data(rows):
    text = caption(rows, SETTINGS, 4, "drawn at random (seed 5)", "Fig. 5")
    for words in (
        "As the paper's Fig. 5, on ",
        "top-3 of 4 queries, single-gallery-shot, seed 0, gallery of 4 images.",
        "Rows, from the top: Baseline (GB); SSR-Net (GB+AB+RB).",
        "below: rank, distance to the query.",
        "Queries: drawn at random (seed 5).",
        "Distance: cosine.",
        "aaaa, bbbb",
        "d" * 16,
    ):
        assert words in text, words
    own = caption(dict([next(iter(rows.items()))]), replace(SETTINGS, labels=()), 1, "chosen by hand")
    assert "paper" not in own and "top-3 of 1 query," in own and "Model: Baseline (GB)." in own and "below" not in own


def test_it_names_every_ranking_option(rows):
    record = replace(
        rows[TITLES[1]].record,
        re_ranking="k-reciprocal",
        query_expansion="average, 5 neighbours",
        camera_alignment="means",
        features={"flip_test": True, "branches": ("G",), "checkpoint_hash": "bbbb"},
    )
    changed = {"SSR-Net": rows[TITLES[1]]._replace(record=record)}
    text = caption(changed, SETTINGS, 1, "chosen by hand")
    for words in (
        "features aligned by camera",
        "flip test",
        "SSR-Net only by the branches G",
        "query expansion (average, 5",
        "k-reciprocal re-ranking",
    ):
        assert words in text, words


def test_raw_rows_beside_aligned_ones_are_not_called_aligned(rows):
    raw, aligned = rows.values()
    aligned = aligned._replace(record=replace(aligned.record, camera_alignment="means"))
    text = caption({"A, aligned": aligned, "A": raw}, SETTINGS, 1, "chosen by hand")
    assert "aligned by camera" not in text and "A, aligned; A." in text


def test_junk_that_is_left_out_is_named():
    text = caption({"A": toys.evaluation(toys.WORSE)}, SETTINGS, 2, "chosen by hand")
    assert "cross-camera, junk left out, gallery of 8 images" in text
