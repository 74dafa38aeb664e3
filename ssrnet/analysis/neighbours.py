"""The nearest image of the same vehicle and of any other, for every image of a pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ssrnet.analysis.attributes import coded
from ssrnet.data.protocols import Split
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import DistanceName, check_features, distance_blocks, judged_blocks

TRAIN = "train"


@dataclass(frozen=True)
class Pool:
    """N images, each once, and where each is filed: "query", "gallery", "query and gallery" or "train"."""

    images: tuple[VehicleImage, ...]
    splits: tuple[str, ...]

    def features(self, test: FeatureSet, train: FeatureSet | None = None) -> Tensor:
        """(N, D) of the images, in order; raises :class:`DataError` for an image that has none."""
        testing = [image for image, split in zip(self.images, self.splits, strict=True) if split != TRAIN]
        rows = test.rows(testing)
        return rows if train is None else torch.cat([rows, train.rows(self.images[len(testing) :])])


@dataclass(frozen=True)
class Neighbours:
    """For each of N images the nearest other image of its vehicle, ``own``, and the nearest of any other, ``other``.

    ``own`` and ``other`` (N,) int64 are positions, -1 where there is none; their distances (N,) float32 are inf
    there. ``same_vehicle`` (S,) float32 holds the distances of all pairs of one vehicle, each pair twice.
    """

    own: np.ndarray
    own_distance: np.ndarray
    other: np.ndarray
    other_distance: np.ndarray
    same_vehicle: np.ndarray

    @property
    def nearest(self) -> np.ndarray:
        """(N,) int64: the nearest image of all; one of another vehicle where both are equally near."""
        return np.where(self.own_distance < self.other_distance, self.own, self.other)


def pool(dataset: ReIDDataset, train: bool = False) -> Pool:
    """The test images, then the training images if asked for; without distractors, which are no one vehicle."""
    asking, stored = ({image.name for image in images} for images in (dataset.query, dataset.gallery))
    filed = [(image, _filed(image.name in asking, image.name in stored)) for image in dataset.test]
    filed += [(image, TRAIN) for image in dataset.train if train]
    filed = [(image, split) for image, split in filed if image.vehicle_id not in dataset.distractor_ids]
    return Pool(tuple(image for image, _ in filed), tuple(split for _, split in filed))


def neighbours(
    images: Sequence[VehicleImage], features: Tensor, distance: DistanceName = "cosine", other_cameras: bool = False
) -> Neighbours:
    """features: (N, D) of ``images``, in order.

    With ``other_cameras`` images by an image's own camera are passed over, whichever vehicle they show: there the
    other frames of one pass are near for reasons of their own, and often share a label error. All N x N distances
    are computed in blocks of at most :data:`ssrnet.retrieval.ranking.BLOCK_ELEMENTS`, and none is kept.

    Raises :class:`DataError` where features are missing or no numbers, or where ``other_cameras`` is asked of images
    that do not name theirs.
    """
    if other_cameras and any(image.camera_id is None for image in images):
        raise DataError("some images do not name their camera; look at neighbours by all cameras, or add camera_id.")
    everything = Split(tuple(images), tuple(images), same_camera_is_junk=False)
    check_features(features, features, everything)
    cameras = torch.from_numpy(coded(np.array([image.camera_id for image in images], dtype=object))[0])
    cameras = cameras.to(features.device)
    rows = []
    for block in judged_blocks(distance_blocks(features, features, distance), everything, features.device):
        passed = torch.zeros_like(block.same)
        passed[:, block.queries].fill_diagonal_(True)  # the image itself
        if other_cameras:
            passed |= cameras[block.queries, None] == cameras
        d = block.distance.masked_fill(passed, torch.inf)
        same_vehicle = d[block.same & ~passed].cpu().numpy()
        rows.append((*_nearest(d, block.same), *_nearest(d, ~block.same), same_vehicle))
    return Neighbours(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def _nearest(d: Tensor, among: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Position and distance (b,) of the nearest image of ``among``; d and among: (b, N)."""
    nearest, place = d.masked_fill(~among, torch.inf).min(1)
    return place.where(torch.isfinite(nearest), -1).cpu().numpy(), nearest.cpu().numpy()


def _filed(asks: bool, stored: bool) -> str:
    return "query and gallery" if asks and stored else "query" if asks else "gallery"
