from dataclasses import replace

import numpy as np
import pytest
import torch

from ssrnet.analysis.neighbours import OwnCamera, neighbourhood_change, neighbourhoods, neighbours, own_camera, pool
from ssrnet.errors import DataError
from ssrnet.retrieval import ranking
from ssrnet.retrieval.extraction import FeatureSet
from tests.analysis import toys

IMAGES = [
    toys.image(name, name[0], camera)
    for name, camera in (("a1", "c1"), ("a2", "c1"), ("a3", "c2"), ("b1", "c2"), ("b2", "c1"), ("x1", "c3"))
]
X = torch.tensor([0.0, 1.0, 4.0, 2.5, 9.0, 6.0])[:, None]


def test_counted_by_hand():
    near = neighbours(IMAGES, X, "euclidean")
    assert near.same.tolist() == [1, 0, 1, 4, 3, -1]
    assert near.same_distance.tolist() == [1, 1, 3, 6.5, 6.5, np.inf]
    assert near.other.tolist() == [3, 3, 3, 1, 5, 2]  # b1 is 1.5 from a2 and from a3: the first
    assert near.other_distance.tolist() == [2.5, 1.5, 1.5, 1.5, 3, 2]
    assert near.nearest.tolist() == [1, 0, 3, 1, 5, 2]
    assert sorted(near.same_pair_distances.tolist()) == [1, 1, 3, 3, 4, 4, 6.5, 6.5]


def test_by_other_cameras():
    near = neighbours(IMAGES, X, "euclidean", other_cameras=True)
    assert near.same.tolist() == [2, 2, 1, 4, 3, -1]
    assert near.other.tolist() == [3, 3, 5, 1, 5, 2]
    assert sorted(near.same_pair_distances.tolist()) == [3, 3, 4, 4, 6.5, 6.5]
    with pytest.raises(DataError, match="some images do not name their camera; look at neighbours by all cameras"):
        neighbours([replace(IMAGES[0], camera_id=None), *IMAGES[1:]], X, other_cameras=True)


def test_nearest_by_the_own_camera_counted_by_hand():
    angles = torch.tensor([0.0, 1.0, 4.1, 2.5, 9.0, 6.0]) / 10
    x = torch.stack([angles.cos(), angles.sin()], 1)
    assert neighbours(IMAGES, x).other.tolist() == [3, 3, 3, 1, 5, 2]  # of these a3 and b1 alone are by one camera
    chances = 1 / 3 + 1 / 3 + 1 / 3 + 1 / 4 + 2 / 4 + 0
    counted = own_camera(IMAGES, x)
    assert counted == OwnCamera(pytest.approx(1 / 6), pytest.approx(chances / 6), 6)
    unknown = [*IMAGES[:5], replace(IMAGES[5], camera_id=None)]
    assert own_camera(unknown, x) == OwnCamera(pytest.approx(1 / 5), pytest.approx(chances / 5), 5)
    assert own_camera([replace(image, camera_id=None) for image in IMAGES], x) is None
    assert own_camera(IMAGES[:3], x[:3]) is None, "one vehicle alone"


@pytest.mark.parametrize("elements", [16_000_000, 100])
def test_blocks_against_the_whole_matrix(elements, monkeypatch):
    monkeypatch.setattr(ranking, "BLOCK_ELEMENTS", elements)
    generator = np.random.default_rng(0)
    images = [toys.image(str(i), str(v), "c1") for i, v in enumerate(generator.integers(0, 9, 40))]
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    near = neighbours(images, x)
    d = 1 - torch.cosine_similarity(x[:, None], x[None], dim=2).numpy()
    np.fill_diagonal(d, np.inf)
    vehicles = np.array([image.vehicle_id for image in images])
    same = vehicles[:, None] == vehicles
    assert near.same.tolist() == np.where(same, d, np.inf).argmin(1).tolist()
    assert near.other_distance == pytest.approx(np.where(same, np.inf, d).min(1), abs=1e-5)
    assert sorted(near.same_pair_distances) == pytest.approx(sorted(d[same & np.isfinite(d)]), abs=1e-5)


def test_the_pool_of_a_data_set():
    both = [toys.image("q1", "A", "c1"), toys.image("g1", "A", "c2"), toys.image("junk", "0000", "c2")]
    dataset = replace(
        toys.DATASET,
        query=[both[0], toys.image("q2", "B", "c1")],
        gallery=both,
        train=[toys.image("t1", "C", "c1"), toys.image("q1", "D", "c1")],
        distractor_ids=frozenset({"0000"}),
    )
    test_pool = pool(dataset)
    assert [image.name for image in test_pool.images] == ["q1", "q2", "g1"]
    assert test_pool.splits == ("query and gallery", "query", "gallery")
    whole = pool(dataset, train=True)
    assert whole.splits == (*test_pool.splits, "train", "train") and whole.images[4].vehicle_id == "D"
    test = FeatureSet(torch.tensor([[1.0], [2.0], [3.0]]), ("q2", "g1", "q1"), {"G": 1})
    train = FeatureSet(torch.tensor([[4.0], [5.0]]), ("q1", "t1"), {"G": 1})
    assert test_pool.features(test).flatten().tolist() == [3, 1, 2]
    assert whole.features(test, train).flatten().tolist() == [3, 1, 2, 5, 4]


def test_features_that_are_missing_or_no_numbers():
    with pytest.raises(DataError, match="there are 5 query features for 6 query images"):
        neighbours(IMAGES, X[:5])
    with pytest.raises(DataError, match="NaN or infinity"):
        neighbours(IMAGES, X / 0)


def test_neighbourhoods_and_how_far_they_change(monkeypatch):
    angles = torch.tensor([0.0, 10, 20, 50, 100, 160]).deg2rad()
    features = torch.stack([angles.cos(), angles.sin()], 1) * torch.arange(1, 7)[:, None]
    expected = [{1, 2}, {0, 2}, {0, 1}, {1, 2}, {3, 5}, {3, 4}]
    for elements in (ranking.BLOCK_ELEMENTS, 12):  # in one block, and two rows at a time
        monkeypatch.setattr("ssrnet.analysis.neighbours.BLOCK_ELEMENTS", elements)
        near = neighbourhoods(features, 2)
        assert [set(row) for row in near.tolist()] == expected
    assert neighbourhoods(features, 99).shape == (6, 5)
    other = np.array([[2, 1], [0, 3], [4, 5], [1, 2], [5, 3], [0, 1]])
    assert neighbourhood_change(near, other) == pytest.approx([0, 1 - 1 / 3, 1, 0, 0, 1])
