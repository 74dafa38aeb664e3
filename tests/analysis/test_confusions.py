import math

import pytest
import torch

from ssrnet.analysis.confusions import Captures, Confusion, Share, captures
from ssrnet.analysis.inspection import inspect
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError
from ssrnet.retrieval.extraction import FeatureSet
from tests.analysis import toys

NAN = math.nan


@pytest.fixture(scope="module")
def worse():
    return captures(toys.inspections()[0])


def test_only_queries_whose_first_image_is_wrong_are_captured(worse):
    asked, stored = worse.split.query, worse.split.gallery
    assert [asked[q].name for q in worse.query] == ["qj", "qd"]
    assert [stored[g].name for g in worse.image] == ["b1", "a3"]
    assert worse.before.tolist() == [2, 3]
    assert list(worse.vehicles()) == [("A", "B"), ("D", "A")]
    better = captures(toys.inspections()[1])
    assert list(better.vehicles()) == [("A", "B"), ("D", "A")] and better.before.tolist() == [2, 3]
    assert [asked[q].name for q in better.query] == ["qa", "qd"]


def test_what_capture_and_query_have_in_common_against_chance(worse):
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
    assert worse.shares() == (
        Share("sibling_group", 2, 0.5, pytest.approx(0.2)),
        Share("type", 1, 1.0, 0.5),
        Share("light", 2, 0.5, pytest.approx((2 / 5 + 5 / 7) / 2)),
        Share("camera_id", 2, 0.5, pytest.approx(0.3)),
    )


def test_rows(worse):
    assert worse.rows()[1] == {
        "query": "qd",
        "vehicle": "D",
        "captured_by": "A",
        "image": "a3",
        "images_before": 3,
        "same_sibling_group": 0,
        "same_type": None,
        "same_light": 1,
        "same_camera_id": 0,
    }


def test_confusions_are_counted_and_siblings_named(worse):
    assert worse.confusions() == (Confusion("A", "B", 1, True), Confusion("D", "A", 1, False))


def planted(attributes) -> Captures:
    """Vehicle 0 is taken for 1 three times and for 2 once, vehicle 3 is found; 1 and 2 never ask."""
    places = {"0": 0.0, "1": 10.0, "2": 20.0, "3": 30.0}
    asked = [("0", 9.0), ("0", 11.0), ("0", 8.0), ("0", 19.0), ("3", 29.0)]
    query = [toys.image(f"q{i}", vehicle, "c1", **attributes(vehicle)) for i, (vehicle, _) in enumerate(asked)]
    gallery = [toys.image(f"g{vehicle}", vehicle, "c2", **attributes(vehicle)) for vehicle in places]
    dataset = ReIDDataset("planted", toys.DATASET.root, "CSV", "", (), query, gallery, "cross_camera")
    x = torch.tensor([x for _, x in asked] + list(places.values()))[:, None]
    features = FeatureSet(x, tuple(image.name for image in dataset.test), {"G": 1})
    return captures(inspect(features, toys.evaluation(features, dataset)))


def test_the_most_frequent_confusion_comes_first():
    own = planted(lambda vehicle: {"sibling_group": "s"} if vehicle in "01" else {})
    assert own.confusions() == (Confusion("0", "1", 3, True), Confusion("0", "2", 1, False))
    assert own.shares()[0] == Share("sibling_group", 4, 0.75, pytest.approx(1 / 3))


def test_a_data_set_that_says_nothing_more():
    own = planted(lambda vehicle: {})
    assert list(own.same) == ["camera_id"]
    assert own.confusions() == (Confusion("0", "1", 3, None), Confusion("0", "2", 1, None))
    inspection = toys.inspections()[0]
    assert captures(inspection, ()).shares() == ()
    assert list(captures(inspection, ("type",)).same) == ["type"]
    with pytest.raises(DataError, match="no image has the attribute wheels"):
        captures(inspection, ("wheels",))


def test_no_capture_at_all():
    images = [toys.image("q", "A", "c1"), toys.image("g", "A", "c2"), toys.image("h", "B", "c2")]
    dataset = ReIDDataset("good", toys.DATASET.root, "CSV", "", (), images[:1], images[1:], "cross_camera")
    features = FeatureSet(torch.tensor([[0.0], [1.0], [2.0]]), ("q", "g", "h"), {"G": 1})
    own = captures(inspect(features, toys.evaluation(features, dataset)))
    assert own.confusions() == () and own.rows() == []
    assert own.shares()[0].captures == 0 and math.isnan(own.shares()[0].share)
