"""Causes of wrong first images, counted by hand and against chance by brute force."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binom

from ssrnet.analysis.causes import (
    NOT_LOOKED,
    Cause,
    Causes,
    LabelsAndCopies,
    band,
    causes,
    count_cause,
    poisson_binomial,
)
from ssrnet.analysis.confusions import confusions
from ssrnet.analysis.duplicates import difference_hashes
from ssrnet.analysis.inspection import inspect
from ssrnet.analysis.suspected_labels import SuspectedLabel, SuspectedPair
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.retrieval.extraction import FeatureSet
from tests.analysis import toys

NAN = math.nan


def found(query, gallery, x) -> Causes:
    """Causes among images on a line; x: a place for each query, then for each gallery image."""
    dataset = ReIDDataset("drawn", toys.DATASET.root, "CSV", "", (), query, gallery, "cross_camera")
    features = FeatureSet(torch.tensor(x)[:, None], tuple(image.name for image in dataset.test), {"G": 1})
    return causes(confusions(inspect(features, toys.evaluation(features, dataset))))


@pytest.fixture(scope="module")
def worse() -> Causes:
    """qj (camera 1) is taken for b1, qd for a3."""
    return causes(confusions(toys.inspections()[0]))


def by_name(of: Causes) -> dict[str, Cause]:
    return {cause.name: cause for cause in of.causes}


def test_causes_by_hand(worse):
    """For qj the wrong images are b1 b2 c1 c2 d1, for qd all but d1; d1 and qd have no type, d1 has no azimuth."""
    expected = {
        "sibling": ([1, 0], [2 / 5, 0]),  # qd has none, and so no sibling
        "same camera": ([1, 0], [3 / 5, 0]),
        "same type": ([1, NAN], [2 / 4, NAN]),
        "same light": ([0, 1], [2 / 5, 5 / 7]),
        "far viewpoint": (
            [1, 0],
            [3 / 4, 2 / 7],
        ),  # azimuths 190 and 0; b1 0, b2 90, c1 0, c2 170, a1 10, a2 100, a3 350
        "night": ([0, 0], [2 / 5, 2 / 7]),
    }
    causes_of = by_name(worse)
    for name, (present, chance) in expected.items():
        assert causes_of[name].present == pytest.approx(present, nan_ok=True), name
        assert causes_of[name].chance == pytest.approx(chance, nan_ok=True), name
    assert worse.of(0) == ["sibling", "same camera", "same type", "far viewpoint"] and worse.of(1) == ["same light"]


def test_what_the_data_cannot_show_is_unknown_and_not_zero(worse):
    assert worse.unknown == {
        "few pixels": "no gallery image's file can be read",
        "something in front": "the data has no column occlusion",
        "suspected label": NOT_LOOKED,
        "near-duplicate": NOT_LOOKED,
    }
    assert np.isnan(by_name(worse)["few pixels"].present).all()
    assert not {"few pixels", "near-duplicate"} & {count.name for count in worse.counts()}
    gallery = [toys.image("g", "A", "c2"), toys.image("h", "B", "c2")]
    bare = found([toys.image("q", "A", "c1")], gallery, [0.0, 2.0, 1.0])
    assert [cause.name for cause in bare.known] == ["same camera"] and bare.showing(None).tolist() == [0]


def test_counts_against_every_draw():
    """Each of four queries takes any image of another vehicle: all draws, one by one."""
    query = [toys.image(f"q{i}", str(i), f"c{i % 2}", light="none" if i < 3 else "led") for i in range(4)]
    gallery = [toys.image(f"g{i}", str(i), f"c{camera}", light="none") for i, camera in enumerate("1010")]
    of = found(query, gallery, [0.6, 1.6, 2.6, 1.9, 0.0, 1.0, 2.0, 3.0])
    wrong = of.confusions.query.tolist()
    assert len(wrong) == 4
    others = [[image for image in gallery if image.vehicle_id != query[q].vehicle_id] for q in wrong]
    for name, column in (
        ("same camera", lambda image: image.camera_id),
        ("same light", lambda i: i.attributes["light"]),
    ):
        draws = np.array(
            [sum(column(query[q]) == column(image) for q, image in zip(wrong, drawn)) for drawn in product(*others)]
        )
        count = count_cause(by_name(of)[name])
        assert count.expected == pytest.approx(draws.mean())
        chances = poisson_binomial(by_name(of)[name].chance)
        assert chances == pytest.approx(np.bincount(draws, minlength=5) / len(draws))
        tails = (draws <= count.count).mean(), (draws >= count.count).mean()
        assert count.probability == pytest.approx(min(1, 2 * min(tails)))
        assert ((draws >= count.low) & (draws <= count.high)).mean() >= 0.95


def test_junk_and_the_querys_own_vehicle_are_not_drawn(worse):
    """a1 is junk for qj, and a2, a3 are its matches: all by other images than the five that are drawn."""
    assert by_name(worse)["same camera"].chance[0] == pytest.approx(3 / 5), "b1 c1 d1 of b1 b2 c1 c2 d1"


def test_the_band_by_hand_and_of_equal_probabilities():
    assert band(poisson_binomial(np.array([]))) == (0, 0)
    assert band(poisson_binomial(np.array([0.0, 1.0, 1.0]))) == (2, 2)
    assert band(poisson_binomial(np.array([0.5, 0.5]))) == (0, 2)  # 1/4, 1/2, 1/4
    assert band(poisson_binomial(np.array([0.9, 0.9]))) == (1, 2)  # 0.01, 0.18, 0.81
    for count, p in ((7, 0.3), (183, 0.05), (1001, 0.5)):
        assert band(poisson_binomial(np.full(count, p))) == tuple(binom.ppf((0.025, 0.975), count, p))


def of_counts(worse: Causes, *causes_of) -> Causes:
    """Causes with so many confusions present, each with its chance: (name, present, chance)."""
    made = (Cause(name, "", np.array(present, float), np.full(len(present), p)) for name, present, p in causes_of)
    return Causes(worse.confusions, tuple(made))


def test_the_strongest_is_the_least_likely_and_several_looks_are_counted(worse):
    common, rare = ("common", [1] * 10, 0.6), ("rare", [1] * 6 + [0] * 4, 0.1)
    first = of_counts(worse, common, rare).strongest()
    assert (first.count.name, first.looked_at, first.beyond_chance) == ("rare", 2, True)
    assert first.count.probability == pytest.approx(2 * binom.sf(5, 10, 0.1))
    fewer = of_counts(worse, common, ("never", [0] * 10, 0.9)).strongest()
    assert fewer.count.name == "never", "rarer than by chance counts as well"
    alone = of_counts(worse, common).strongest()
    among = of_counts(worse, common, *[(f"nothing {i}", [1, 0] * 5, 0.5) for i in range(9)]).strongest()
    assert alone.count == among.count and alone.count.probability == pytest.approx(2 * 0.6**10)
    assert alone.beyond_chance and not among.beyond_chance, "0.012 is below 0.05, and ten times 0.012 is not"


def test_sheets_list_the_lowest_ap_first(worse):
    ap = worse.confusions.average_precision
    assert ap[1] < ap[0]
    assert worse.showing("same light").tolist() == [1] and worse.showing("sibling").tolist() == [0]
    assert of_counts(worse, ("both", [1, 1], 0.5)).showing("both").tolist() == [1, 0]
    assert of_counts(worse, ("first", [1, 0], 0.5)).showing(None).tolist() == [1]


def test_rows(worse):
    row = worse.rows()[1]
    assert (row["query"], row["confused_with"], row["image"], row["images_before"]) == ("qd", "A", "a3", 3)
    assert (row["same light"], row["sibling"], row["same type"], row["few pixels"]) == (1, 0, None, None)
    named = {row["name"]: row for row in worse.count_rows()}
    assert named["sibling"]["count"] == 1 and named["sibling"]["unknown"] is None
    assert named["few pixels"] == {"name": "few pixels", "unknown": "no gallery image's file can be read"}


def test_type_and_colour_must_both_agree():
    looks = [{"type": "car", "colour": c} for c in ("red", "red", "blue")] + [{"type": "car"}]
    query = [toys.image("q", "A", "c1", **looks[0])]
    gallery = [toys.image(f"g{i}", vehicle, "c2", **look) for i, (vehicle, look) in enumerate(zip("ABCD", looks))]
    of = by_name(found(query, gallery, [0.0, 9.0, 1.0, 2.0, 3.0]))["same type and colour"]
    assert of.present.tolist() == [1] and of.chance.tolist() == [0.5], "the last one's colour is unknown"
    assert of.words == "the query's type and colour"


@pytest.fixture
def pictures(tmp_path):
    """A query, two images of another vehicle that are its copy and a small one, and its own."""
    generator = np.random.default_rng(0)
    sides = {"q": 64, "copy": 64, "small": 16, "own": 65}
    images = {}
    for name, vehicle in (("q", "A"), ("copy", "B"), ("small", "B"), ("own", "A")):
        picture = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((sides[name],) * 2)
        picture.save(tmp_path / f"{name}.png")
        images[name] = VehicleImage(tmp_path / f"{name}.png", name, vehicle, "c1" if name == "q" else "c2")
    Image.open(tmp_path / "q.png").save(tmp_path / "copy.png")
    return images


def test_few_pixels_copies_and_suspected_labels(pictures):
    query, gallery = [pictures["q"]], [pictures[name] for name in ("copy", "small", "own")]
    confused = found(query, gallery, [0.0, 1.0, 2.0, 3.0]).confusions
    hashes = difference_hashes([*query, *gallery])
    pair = SuspectedPair(pictures["copy"], pictures["q"], (0.0,), 1.0, 3.0)
    of = by_name(causes(confused, LabelsAndCopies((), (pair,), hashes)))
    for name, chance in (("near-duplicate", 0.5), ("suspected label", 0.5)):
        assert (of[name].present.tolist(), of[name].chance.tolist()) == ([1], [chance]), name
    assert (of["few pixels"].present.tolist(), of["few pixels"].chance.tolist()) == ([0], [0.5])
    assert "fewer than 2,176 pixels, as 33%" in of["few pixels"].words, "the quartile of 256, 4,096 and 4,225"

    of_query = SuspectedLabel(pictures["q"], pictures["copy"], pictures["own"], (1.0,), (0.0,), True, 3.0)
    label = by_name(causes(confused, LabelsAndCopies((of_query,), (), hashes)))["suspected label"]
    assert label.chance.tolist() == [1], "then every first image shows it, and chance expects it"


def test_pictures_of_one_size_say_nothing_of_pixels(pictures):
    gallery = [replace(pictures["copy"], name="h"), replace(pictures["q"], name="g", camera_id="c2")]
    of = found([pictures["q"]], gallery, [0.0, 1.0, 2.0])
    assert of.unknown["few pixels"] == "a quarter of the gallery images has the same 4,096 pixels"


def test_no_confusion_at_all():
    images = [toys.image("q", "A", "c1"), toys.image("g", "A", "c2"), toys.image("h", "B", "c2")]
    of = found(images[:1], images[1:], [0.0, 1.0, 2.0])
    assert of.strongest() is None and of.rows() == [] and of.by_probability() == []
    assert [(count.queries, count.count) for count in of.counts()] == [(0, 0)] and math.isnan(of.counts()[0].expected)
