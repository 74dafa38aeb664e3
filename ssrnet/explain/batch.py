"""A PK batch as the triplet loss sees it: its images, features before the neck, and their distances (Eq. 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ssrnet.data.records import VehicleImage
from ssrnet.data.sampler import PKSampler
from ssrnet.losses import BatchHardTriplet, HardestPairs, hardest_pairs


@dataclass(frozen=True)
class MinedBatch:
    """distance: (B, B), Euclidean, of features as they are. labels: (B,) int64. pairs: mined from the two."""

    distance: Tensor
    labels: Tensor
    pairs: HardestPairs

    @classmethod
    def of(cls, features: Tensor, labels: Tensor) -> MinedBatch:
        """features: (B, D); labels: (B,) int64. As the training loss, with its distance and its mining."""
        distance = BatchHardTriplet(margin=0.0, reduction="mean").distance(features)
        return cls(distance, labels, hardest_pairs(distance, labels))


def draw_batch(images: Sequence[VehicleImage], P: int, K: int, seed: int) -> tuple[VehicleImage, ...]:
    """The first batch that training's PK sampler draws from ``images`` with this seed, K neighbours to a vehicle.

    Vehicles of a single image are left out, since they have no positive. With fewer than P others all of them are
    drawn; fewer than two make no batch, and the result is empty.
    """
    counts = Counter(image.vehicle_id for image in images)
    candidates = [image for image in images if counts[image.vehicle_id] > 1]
    vehicle_ids = [image.vehicle_id for image in candidates]
    P = min(P, len(set(vehicle_ids)))
    if P < 2:
        return ()
    return tuple(candidates[position] for position in next(iter(PKSampler(vehicle_ids, P, K, seed))))


def batch_labels(images: Sequence[VehicleImage]) -> Tensor:
    """(B,) int64: equal where the vehicle is."""
    vehicles = {vehicle_id: label for label, vehicle_id in enumerate(sorted({image.vehicle_id for image in images}))}
    return torch.tensor([vehicles[image.vehicle_id] for image in images])


@torch.inference_mode()
def before_neck(after: Tensor, neck: nn.BatchNorm1d) -> Tensor:
    """(B, D): the features before a neck, from those after it; the neck's statistics are the stored ones, as in use.

    A column that the neck multiplies by 0 is given its running mean, since the feature is lost.
    """
    weight, bias = neck.weight.to(after), neck.bias.to(after)
    mean, deviation = neck.running_mean.to(after), (neck.running_var.to(after) + neck.eps).sqrt()
    lost = weight == 0
    return torch.where(lost, mean, (after - bias) / torch.where(lost, 1.0, weight) * deviation + mean)


def branches_before_neck(
    after: Tensor, branch_dims: Mapping[str, int], necks: Mapping[str, nn.BatchNorm1d]
) -> dict[str, Tensor]:
    """By branch (B, dim): :func:`before_neck` of an embedding (B, D) that joins the branches as they are."""
    columns = after.split(list(branch_dims.values()), dim=1)
    return {branch: before_neck(rows, necks[branch]) for branch, rows in zip(branch_dims, columns, strict=True)}
