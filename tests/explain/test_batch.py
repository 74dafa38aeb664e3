"""A PK batch against distances worked by hand, and features before a neck against a trace."""

from pathlib import Path

import pytest
import torch

from ssrnet.data.records import VehicleImage
from ssrnet.explain.batch import MinedBatch, batch_labels, before_neck, branches_before_neck, draw_batch
from tests import tiny


def images(*vehicle_ids: str) -> list[VehicleImage]:
    return [VehicleImage(Path("/nowhere"), f"{i}.jpg", vehicle, "c1") for i, vehicle in enumerate(vehicle_ids)]


def test_mined_by_hand():
    """On a line at 0, 3 and 1 (vehicle 0), and 7 and 9 (vehicle 1)."""
    batch = MinedBatch.of(torch.tensor([[0.0], [3.0], [1.0], [7.0], [9.0]]), torch.tensor([0, 0, 0, 1, 1]))
    assert batch.pairs.positive.tolist() == [1, 0, 1, 4, 3]
    assert batch.pairs.negative.tolist() == [3, 3, 3, 1, 1]
    assert batch.pairs.farthest.tolist() == [3, 3, 2, 2, 2]
    assert batch.pairs.nearest.tolist() == [7, 4, 6, 4, 6]
    assert batch.pairs.terms(1.5).tolist() == [0, 0.5, 0, 0, 0]


def test_an_anchor_without_a_positive_has_no_term():
    batch = MinedBatch.of(torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([0, 0, 1]))
    assert batch.pairs.has_term.tolist() == [True, True, False]
    assert batch.pairs.terms(9.0).tolist() == [5, 6, 0]


def test_a_batch_has_k_images_of_p_vehicles_with_a_positive_each():
    drawn = draw_batch(images(*"aaaabbbccd"), P=3, K=2, seed=0)
    vehicles = [image.vehicle_id for image in drawn]
    assert sorted(vehicles) == list("aabbcc") and len(set(drawn)) == 6
    assert len(draw_batch(images(*"aaaabbbccd"), P=8, K=4, seed=0)) == 12
    assert draw_batch(images(*"aab"), P=2, K=2, seed=0) == ()
    assert batch_labels(drawn).tolist() == [sorted("abc").index(vehicle) for vehicle in vehicles]


def test_features_before_the_neck_follow_from_those_after_it():
    model = tiny.network()
    torch.nn.init.uniform_(model.necks["attn"].weight, 0.5, 2)
    trace = model.trace(tiny.images(3))
    before = branches_before_neck(trace.embedding().detach(), model.branch_dims, model.necks)
    assert list(before) == ["G", "attn", "token"]
    for branch, rows in before.items():
        assert torch.allclose(rows, trace.before[branch], atol=1e-4)


def test_a_column_that_the_neck_multiplies_by_zero_is_its_mean():
    neck = torch.nn.BatchNorm1d(2)
    neck.weight.data = torch.tensor([0.0, 2.0])
    neck.running_mean.copy_(torch.tensor([7.0, 1.0]))
    assert before_neck(torch.tensor([[0.0, 4.0]]), neck)[0].tolist() == pytest.approx([7, 3], abs=1e-4)
