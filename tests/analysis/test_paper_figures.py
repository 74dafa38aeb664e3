"""Figures of six queries: which ones, and what the exported files measure and show."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.paper_figures import (
    BLUE,
    DPI,
    FRAME,
    GREEN,
    MM,
    RED,
    FigureLayout,
    caption,
    choose_queries,
    draw_figure,
    fig5,
    fig6,
    short,
)
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.extraction import FeatureSet
from tests.tiny import edges_shown, shapes

TITLES = ("Baseline (GB)", "SSR-Net (GB+AB+RB)")
LAYOUT = fig5()._replace(top_k=3)


@pytest.fixture(scope="module")
def dataset(city):
    return open_dataset(city)


@pytest.fixture(scope="module")
def comparison(dataset):
    """Random features against features that know the vehicle: four vehicles, single-gallery-shot."""
    names = tuple(image.name for image in dataset.test)
    vehicles = sorted({image.vehicle_id for image in dataset.test})
    random = torch.randn(len(names), 4, generator=torch.Generator().manual_seed(3))
    right = torch.eye(4)[[vehicles.index(image.vehicle_id) for image in dataset.test]]
    return Comparison(
        *(
            evaluate(
                FeatureSet(features, names, {"G": 4}),
                dataset,
                LAYOUT.protocol,
                top_k=3,
                dataset_hash="d" * 16,
                made_by={"checkpoint_hash": name},
            )
            for name, features in (("aaaa", random), ("bbbb", right))
        )
    )


def test_the_papers_figures():
    assert (fig5(7).protocol.name, fig5(7).protocol.seed, fig5().top_k) == ("single_gallery_shot", 7, 5)
    assert (fig6(7).protocol.name, fig6(7).protocol.n, fig6().top_k) == ("multi_gallery_shot", 6, 10)


def test_a_random_choice_is_repeatable_and_of_different_vehicles(comparison):
    first = choose_queries(comparison, "sample", seed=0, count=3)
    vehicles = {comparison.split.query[query].vehicle_id for query in first}
    assert len(first) == len(vehicles) == 3
    assert choose_queries(comparison, "sample", seed=0, count=3).tolist() == first.tolist()
    others = [choose_queries(comparison, "sample", seed=seed, count=3).tolist() for seed in range(1, 6)]
    assert any(other != first.tolist() for other in others)
    # never more than there are vehicles
    assert len(choose_queries(comparison, "sample")) == 4


def test_where_the_models_differ_most_comes_first(comparison):
    chosen = choose_queries(comparison, "differ")
    change = np.abs(comparison.delta_ap)
    assert change[chosen[0]] == change.max() > 0
    assert (np.diff(change[chosen]) <= 0).all() and (change[chosen] > 0).all()


def test_where_only_the_second_is_right(comparison):
    chosen = choose_queries(comparison, "fixed")
    assert len(chosen) and set(chosen) <= set(comparison.select("fixed").tolist())


@pytest.mark.parametrize("rule", ["differ", "fixed"])
def test_a_rule_that_no_query_fits_is_one_sentence(comparison, rule):
    with pytest.raises(DataError, match="no query fits the rule"):
        choose_queries(Comparison(comparison.a, comparison.a), rule)


def test_the_caption_says_how_to_make_the_sheet_again(comparison):
    text = caption(comparison, TITLES, LAYOUT, "sample", 5, 4)
    for words in (
        "Fig. 5",
        "top-3 of 4 queries",
        "single-gallery-shot, seed 0",
        "gallery of 4 images",
        "Baseline (GB)",
        "drawn at random (seed 5) from the 8 queries that have a match",
        "Distance: cosine.",
        "aaaa, bbbb",
        "d" * 16,
    ):
        assert words in text, words
    record = replace(
        comparison.b.record,
        re_ranking="k-reciprocal",
        query_expansion="average, 5 neighbours",
        features={"flip_test": True, "branches": ("G",), "checkpoint_hash": "bbbb"},
    )
    text = caption(replace(comparison, b=comparison.b._replace(record=record)), TITLES, LAYOUT, "fixed", 0, 1)
    for words in (
        "right with SSR-Net alone",
        "flip test",
        "lower rows only of the branches G",
        "query expansion (average, 5",
        "k-reciprocal re-ranking",
    ):
        assert words in text, words


@pytest.fixture(scope="module")
def figure(comparison):
    progress = []
    queries = choose_queries(comparison, "sample").tolist()
    drawn = draw_figure(comparison, TITLES, LAYOUT, queries, "words " * 60, lambda *at: progress.append(at))
    assert progress == [(done, 4) for done in range(1, 5)]
    return drawn


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def test_the_png_is_180_mm_wide_and_its_frames_have_the_right_colours(figure, comparison):
    image = Image.open(io.BytesIO(figure.export("png")))
    assert image.info["dpi"] == pytest.approx((DPI, DPI), abs=0.1)
    assert image.width / DPI * MM == pytest.approx(180, abs=0.1)
    assert image.height / DPI * MM == pytest.approx(figure.height_mm, abs=0.1)

    # 4 queries, each with 3 images by the one model and 3 by the other
    kinds = [frame.kind for frame in figure.pictures]
    assert len(kinds) == 4 * (1 + 3 + 3) and kinds[::7] == ["query"] * 4
    queries = choose_queries(comparison, "sample").tolist()
    expected = []
    for query in queries:
        expected.append("query")
        for evaluation in (comparison.a, comparison.b):
            expected += ["hit" if hit.match else "error" for hit in evaluation.ranking.hits(query)]
    assert kinds == expected and {"hit", "error"} < set(kinds)

    pixels = np.asarray(image.convert("RGB"))
    for frame in figure.pictures:
        colour = {"query": BLUE, "hit": GREEN, "error": RED}[frame.kind]
        middle_x, middle_y = frame.x + frame.width / 2, frame.y + frame.height / 2
        for x, y in (
            (frame.x + FRAME / 2, middle_y),
            (frame.x + frame.width - FRAME / 2, middle_y),
            (middle_x, frame.y + FRAME / 2),
            (middle_x, frame.y + frame.height - FRAME / 2),
        ):
            at = pixels[round((figure.height_mm - y) / MM * DPI), round(x / MM * DPI)]
            assert tuple(at) == rgb(colour), (frame, x, y)
        # and the photograph within is none of the frame
        assert tuple(pixels[round((figure.height_mm - middle_y) / MM * DPI), round(middle_x / MM * DPI)]) != rgb(colour)
        assert 0 <= frame.x and frame.x + frame.width <= 180
        assert 0 <= frame.y and frame.y + frame.height <= figure.height_mm


def test_svg_and_pdf_have_the_same_size(figure):
    svg = figure.export("svg").decode()
    width, height = (float(re.search(rf'<svg[^>]* {side}="([\d.]+)pt"', svg)[1]) for side in ("width", "height"))
    assert width / 72 * MM == pytest.approx(180, abs=0.1)
    assert height / 72 * MM == pytest.approx(figure.height_mm, abs=0.1)
    assert svg.count(f"stroke: {BLUE}") == 4
    kinds = [frame.kind for frame in figure.pictures]
    assert svg.count(f"stroke: {GREEN}") == kinds.count("hit") and svg.count(f"stroke: {RED}") == kinds.count("error")

    pdf = figure.export("pdf")
    box = [float(number) for number in re.search(rb"/MediaBox \[ ([\d. ]+) \]", pdf)[1].split()]
    assert pdf.startswith(b"%PDF") and box[2] / 72 * MM == pytest.approx(180, abs=0.1)
    assert pdf == figure.export("pdf"), "no date in it"


def test_a_full_sheet_fits_on_a4(comparison, monkeypatch):
    """Six parts of ten images, with the longest captions: at most 257 mm, A4 within margins of 20 mm."""
    figure = FigureLayout("Fig. 6", LAYOUT.protocol, 10, 1)
    drawn = draw_figure(comparison, TITLES, figure, [0] * 6, caption(comparison, TITLES, figure, "differ", 0, 6))
    assert drawn.height_mm <= 257
    drawn = draw_figure(comparison, TITLES, fig5(), [0] * 6, "x")
    assert drawn.height_mm <= 257


def test_pictures_of_any_shape_are_whole(tmp_path):
    dataset = open_dataset(shapes(tmp_path / "shapes"))
    names = tuple(image.name for image in dataset.test)
    random = torch.randn(len(names), 4, generator=torch.Generator().manual_seed(3))
    evaluation = evaluate(FeatureSet(random, names, {"G": 4}), dataset, LAYOUT.protocol, top_k=3, made_by={})
    drawn = draw_figure(Comparison(evaluation, evaluation), TITLES, LAYOUT, [0, 1], "")
    pixels = np.asarray(Image.open(io.BytesIO(drawn.export("png"))).convert("RGB"))
    assert len(drawn.pictures) == 2 * (1 + 3 + 3)
    for frame in drawn.pictures:
        left, right = (round(x / MM * DPI) for x in (frame.x, frame.x + frame.width))
        top, bottom = (round((drawn.height_mm - y) / MM * DPI) for y in (frame.y + frame.height, frame.y))
        assert edges_shown(pixels[top:bottom, left:right]) == 4, frame


def test_short_titles():
    assert [short(title) for title in (*TITLES, "First: SSR-Net (GB)")] == ["Baseline", "SSR-Net", "First"]


def test_what_looks_like_a_formula_in_a_name_is_its_letters(comparison):
    named = replace(comparison.split.query[0], vehicle_id="$\\frac$", camera_id="$^$")
    split = replace(comparison.split, query=(named, *comparison.split.query[1:]))
    odd = replace(comparison, a=comparison.a._replace(split=split), b=comparison.b._replace(split=split))
    assert draw_figure(odd, TITLES, LAYOUT, [0], "of $\\frac$").export("png").startswith(b"\x89PNG")


def test_an_image_that_cannot_be_read_is_named(comparison, tmp_path):
    missing = replace(comparison.split.query[0], path=tmp_path / "gone.jpg")
    split = replace(comparison.split, query=(missing, *comparison.split.query[1:]))
    broken = replace(comparison, a=comparison.a._replace(split=split), b=comparison.b._replace(split=split))
    with pytest.raises(DataError, match=r"gone\.jpg"):
        draw_figure(broken, TITLES, LAYOUT, [0], "")
