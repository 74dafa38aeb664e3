from dataclasses import replace

import pytest
import torch

from ssrnet.analysis.confusions import ConfusedPair, Confusions, confusions, worst_failure
from ssrnet.analysis.inspection import inspect
from ssrnet.data.records import ReIDDataset
from ssrnet.retrieval.extraction import FeatureSet
from tests.analysis import toys


@pytest.fixture(scope="module")
def worse():
    return confusions(toys.inspections()[0])


def test_only_queries_whose_first_image_is_wrong_are_confused(worse):
    queries, gallery = worse.split.query, worse.split.gallery
    assert [queries[q].name for q in worse.query] == ["qj", "qd"]
    assert [gallery[g].name for g in worse.first_image] == ["b1", "a3"]
    assert worse.images_before.tolist() == [2, 3] and worse.sibling.tolist() == [True, False]
    ap = worse.average_precision.tolist()
    assert ap == pytest.approx([(1 / 3 + 2 / 6) / 2, 1 / 8])
    assert list(worse.vehicles()) == [("A", "B"), ("D", "A")]
    better = confusions(toys.inspections()[1])
    assert list(better.vehicles()) == [("A", "B"), ("D", "A")] and better.images_before.tolist() == [2, 3]
    assert [queries[q].name for q in better.query] == ["qa", "qd"]


def test_rows(worse):
    assert worse.rows()[1] == {"query": "qd", "vehicle": "D", "confused_with": "A", "image": "a3", "images_before": 3}


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


def test_a_data_set_that_says_nothing_more():
    confused = planted(lambda vehicle: {})
    assert confused.sibling is None
    assert confused.pairs() == (ConfusedPair("0", "1", 3, None), ConfusedPair("0", "2", 1, None))


def test_no_confusion_at_all():
    images = [toys.image("q", "A", "c1"), toys.image("g", "A", "c2"), toys.image("h", "B", "c2")]
    dataset = ReIDDataset("good", toys.DATASET.root, "CSV", "", (), images[:1], images[1:], "cross_camera")
    features = FeatureSet(torch.tensor([[0.0], [1.0], [2.0]]), ("q", "g", "h"), {"G": 1})
    confused = confusions(inspect(features, toys.evaluation(features, dataset)))
    assert confused.pairs() == () and confused.rows() == []


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
