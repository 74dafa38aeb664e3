from pathlib import Path

import pytest
import torch

from ssrnet.data.records import VehicleImage
from ssrnet.explain.branch_cosines import branch_cosines, nearest_other
from ssrnet.retrieval.extraction import FeatureSet


def test_cosines_of_all_and_of_each_branch_by_hand():
    # branch G has two columns, token one
    rows = torch.tensor([[3.0, 0.0, 4.0], [0.0, 3.0, 4.0], [3.0, 0.0, -4.0]])
    features = FeatureSet(rows, ("a", "b", "c"), {"G": 2, "token": 1})
    cosines = branch_cosines(features, "a")
    assert list(cosines) == ["all", "G", "token"]
    assert cosines["all"].tolist() == pytest.approx([1, 16 / 25, -7 / 25])
    assert cosines["G"].tolist() == pytest.approx([1, 0, 1])
    assert cosines["token"].tolist() == pytest.approx([1, 1, -1])


def test_one_branch_is_listed_once():
    assert list(branch_cosines(FeatureSet(torch.eye(2), ("a", "b"), {"G": 2}), "b")) == ["all"]


def test_the_nearest_other_vehicle_is_not_the_vehicle_itself():
    images = [VehicleImage(Path(name), name, vehicle) for name, vehicle in (("a", "1"), ("b", "2"), ("c", "2"))]
    features = FeatureSet(torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 1.0]]), ("a", "b", "c"), {"G": 2})
    assert nearest_other(features, images, "1", torch.tensor([2.0, 0.0])) == pytest.approx(0.6)
    assert nearest_other(features, images[:1], "1", torch.tensor([2.0, 0.0])) is None
