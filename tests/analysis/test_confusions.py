import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom

from ssrnet.analysis.confusions import Agreement, ConfusedPair, Confusions, chance_band, confusions, worst_failure
from ssrnet.analysis.inspection import inspect
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError
from ssrnet.retrieval.extraction import FeatureSet
from tests.analysis import toys

NAN = math.nan


@pytest.fixture(scope="module")
def worse():
    return confusions(toys.inspections()[0])


def test_only_queries_whose_first_image_is_wrong_are_confused(worse):
    queries, gallery = worse.split.query, worse.split.gallery
    assert [queries[q].name for q in worse.query] == ["qj", "qd"]
    assert [gallery[g].name for g in worse.first_image] == ["b1", "a3"]
    assert worse.images_before.tolist() == [2, 3]
    assert list(worse.vehicles()) == [("A", "B"), ("D", "A")]
    better = confusions(toys.inspections()[1])
    assert list(better.vehicles()) == [("A", "B"), ("D", "A")] and better.images_before.tolist() == [2, 3]
    assert [queries[q].name for q in better.query] == ["qa", "qd"]


def test_what_query_and_first_image_have_in_common_against_chance(worse):
    """For qj the wrong images are b1 b2 c1 c2 d1, for qd all but d1; d1 and qd have no type."""
    expected = {
        "sibling_group": ([1, 0], [2 / 5, 0]),  # qd has none, and so no sibling
        "type": ([1, NAN], [2 / 4, NAN]),
        "light": ([0, 1], [2 / 5, 5 / 7]),
        "camera_id": ([1, 0], [3 / 5, 0]),
    }
    assert list(worse.same) == list(worse.chance) == list(expected)
    for attribute, (same, chance) in expected.items():
        assert worse.same[attribute] == pytest.approx(same, nan_ok=True), attribute
        assert worse.chance[attribute] == pytest.approx(chance, nan_ok=True), attribute
    assert worse.agreements() == (
        Agreement("sibling_group", 2, 0.5, pytest.approx(0.2), 0, 0.5),
        Agreement("type", 1, 1.0, 0.5, 0, 1),
        Agreement("light", 2, 0.5, pytest.approx((2 / 5 + 5 / 7) / 2), 0, 1),
        Agreement("camera_id", 2, 0.5, pytest.approx(0.3), 0, 0.5),  # 0 or 1 of 2: qd's camera took no image
    )


def test_the_band_of_chance_is_that_of_wrong_images_drawn_one_by_one():
    """Twelve queries by three cameras, each with a wrong first image drawn from the images of other vehicles."""
    query = [toys.image(f"q{i}", str(i), f"c{i % 3}") for i in range(12)]
    gallery = [toys.image(f"g{i}", str(i), f"c{camera}") for i, camera in enumerate("111111000223")]
    dataset = ReIDDataset("drawn", toys.DATASET.root, "CSV", "", (), query, gallery, "cross_camera")
    x = torch.cat([torch.arange(12) + 0.6, torch.arange(12.0)])[:, None]
    features = FeatureSet(x, tuple(image.name for image in dataset.test), {"G": 1})
    confused = confusions(inspect(features, toys.evaluation(features, dataset)))
    count = len(confused.query)
    assert count == 8, "the others' own images are by their own cameras, but for the last, which finds it first"
    generator = np.random.default_rng(0)
    agreeing = np.zeros(20_000, dtype=int)
    for q in confused.query:
        cameras = np.array([image.camera_id for image in gallery if image.vehicle_id != query[q].vehicle_id])
        agreeing += generator.choice(cameras, len(agreeing)) == query[q].camera_id
    one = confused.agreement("camera_id")
    assert one.chance == pytest.approx(agreeing.mean() / count, abs=0.005)
    low, high = round(one.chance_low * count), round(one.chance_high * count)
    assert (low, high) == tuple(np.percentile(agreeing, (2.5, 97.5)))
    assert ((agreeing >= low) & (agreeing <= high)).mean() > 0.95


def test_the_band_by_hand_and_of_equal_probabilities():
    assert chance_band(np.array([])) == (0, 0)
    assert chance_band(np.array([0.0, 1.0, 1.0])) == (2, 2)
    assert chance_band(np.array([0.5, 0.5])) == (0, 2)  # 1/4, 1/2, 1/4
    assert chance_band(np.array([0.9, 0.9])) == (1, 2)  # 0.01, 0.18, 0.81
    for count, p in ((7, 0.3), (183, 0.05), (1001, 0.5)):
        assert chance_band(np.full(count, p)) == tuple(binom.ppf((0.025, 0.975), count, p))


def test_rows(worse):
    assert worse.rows()[1] == {
        "query": "qd",
        "vehicle": "D",
        "confused_with": "A",
        "image": "a3",
        "images_before": 3,
        "same_sibling_group": 0,
        "same_type": None,
        "same_light": 1,
        "same_camera_id": 0,
    }


def test_confusions_are_counted_and_siblings_named(worse):
    assert worse.pairs() == (ConfusedPair("A", "B", 1, True), ConfusedPair("D", "A", 1, False))


def planted(attributes) -> Confusions:
    """Vehicle 0 is confused with 1 three times and with 2 once, vehicle 3 is ranked first; 1 and 2 have no queries."""
    places = {"0": 0.0, "1": 10.0, "2": 20.0, "3": 30.0}
    points = [("0", 9.0), ("0", 11.0), ("0", 8.0), ("0", 19.0), ("3", 29.0)]
    query = [toys.image(f"q{i}", vehicle, "c1", **attributes(vehicle)) for i, (vehicle, _) in enumerate(points)]
    gallery = [toys.image(f"g{vehicle}", vehicle, "c2", **attributes(vehicle)) for vehicle in places]
    dataset = ReIDDataset("planted", toys.DATASET.root, "CSV", "", (), query, gallery, "cross_camera")
    x = torch.tensor([x for _, x in points] + list(places.values()))[:, None]
    features = FeatureSet(x, tuple(image.name for image in dataset.test), {"G": 1})
    return confusions(inspect(features, toys.evaluation(features, dataset)))


def test_the_most_frequent_confusion_comes_first():
    confused = planted(lambda vehicle: {"sibling_group": "s"} if vehicle in "01" else {})
    assert confused.pairs() == (ConfusedPair("0", "1", 3, True), ConfusedPair("0", "2", 1, False))
    assert confused.agreements()[0] == Agreement("sibling_group", 4, 0.75, pytest.approx(1 / 3), 0, 0.75)


def test_a_data_set_that_says_nothing_more():
    confused = planted(lambda vehicle: {})
    assert list(confused.same) == ["camera_id"]
    assert confused.pairs() == (ConfusedPair("0", "1", 3, None), ConfusedPair("0", "2", 1, None))
    inspection = toys.inspections()[0]
    assert confusions(inspection, ()).agreements() == ()
    assert list(confusions(inspection, ("type",)).same) == ["type"]
    with pytest.raises(DataError, match="no image has the attribute wheels"):
        confusions(inspection, ("wheels",))


def test_no_confusion_at_all():
    images = [toys.image("q", "A", "c1"), toys.image("g", "A", "c2"), toys.image("h", "B", "c2")]
    dataset = ReIDDataset("good", toys.DATASET.root, "CSV", "", (), images[:1], images[1:], "cross_camera")
    features = FeatureSet(torch.tensor([[0.0], [1.0], [2.0]]), ("q", "g", "h"), {"G": 1})
    confused = confusions(inspect(features, toys.evaluation(features, dataset)))
    assert confused.pairs() == () and confused.rows() == []
    assert confused.agreements()[0].queries == 0 and math.isnan(confused.agreements()[0].share)


def test_a_sibling_goes_before_a_lower_ap():
    """The worse model fails on qj, where a sibling stands first, and on qd with a far lower AP."""
    worse, _ = toys.inspections()
    ap = dict(zip([image.name for image in toys.QUERIES], worse.evaluation.ranking.average_precision))
    assert ap["qd"] < ap["qj"]
    assert worst_failure(worse).name == "qj"


def test_without_siblings_the_lowest_ap():
    without = {"query": toys.DATASET.query, "gallery": toys.DATASET.gallery}
    stripped = {
        split: tuple(replace(image, attributes={"type": "car"}) for image in images)
        for split, images in without.items()
    }
    dataset = ReIDDataset(
        "toys", toys.DATASET.root, "CSV", "", (), stripped["query"], stripped["gallery"], "cross_camera"
    )
    assert worst_failure(inspect(toys.WORSE, toys.evaluation(toys.WORSE, dataset))).name == "qd"


def test_no_failure_to_show():
    only = ReIDDataset(
        "toys", toys.DATASET.root, "CSV", "", (), toys.DATASET.query[2:3], toys.DATASET.gallery, "cross_camera"
    )
    assert worst_failure(inspect(toys.WORSE, toys.evaluation(toys.WORSE, only))) is None, "qc is right at rank 1"
