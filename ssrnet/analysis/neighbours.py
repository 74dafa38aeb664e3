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
from ssrnet.retrieval.ranking import BLOCK_ELEMENTS, DistanceName, check_features, distance_blocks, judged_blocks

TRAIN = "train"


@dataclass(frozen=True)
class Pool:
    """N distinct images and the split of each: "query", "gallery", "query and gallery" or "train"."""

    images: tuple[VehicleImage, ...]
    splits: tuple[str, ...]

    def features(self, test: FeatureSet, train: FeatureSet | None = None) -> Tensor:
        """(N, D) features of the images, in order; raises :class:`DataError` for an image without."""
        testing = [image for image, split in zip(self.images, self.splits, strict=True) if split != TRAIN]
        rows = test.rows(testing)
        return rows if train is None else torch.cat([rows, train.rows(self.images[len(testing) :])])


@dataclass(frozen=True)
class Neighbours:
    """For each of N images the nearest other image of the same vehicle, ``same``, and of any other one, ``other``.

    ``same`` and ``other`` (N,) int64 are positions, -1 where there is none; their distances (N,) float32 are inf
    there. ``same_pair_distances`` (S,) float32 are the distances of all pairs of one vehicle, each pair twice.
    """

    same: np.ndarray
    same_distance: np.ndarray
    other: np.ndarray
    other_distance: np.ndarray
    same_pair_distances: np.ndarray

    @property
    def nearest(self) -> np.ndarray:
        """(N,) int64: the nearest image of any vehicle; of equally near ones that of another vehicle."""
        return np.where(self.same_distance < self.other_distance, self.same, self.other)


@dataclass(frozen=True)
class OwnCamera:
    """In how many of ``images`` images the nearest image of another vehicle is by the image's own camera.

    share: in [0, 1]. expected: the same for an image of another vehicle drawn at random, as if cameras made no difference.
    """

    share: float
    expected: float
    images: int


def pool(dataset: ReIDDataset, train: bool = False) -> Pool:
    """The test images, with ``train`` the training images after them; without distractors, whose vehicle is unknown."""
    queries, gallery = ({image.name for image in images} for images in (dataset.query, dataset.gallery))
    pairs = [(image, _split_name(image.name in queries, image.name in gallery)) for image in dataset.test]
    pairs += [(image, TRAIN) for image in dataset.train if train]
    pairs = [(image, split) for image, split in pairs if image.vehicle_id not in dataset.distractor_ids]
    return Pool(tuple(image for image, _ in pairs), tuple(split for _, split in pairs))


def neighbours(
    images: Sequence[VehicleImage], features: Tensor, distance: DistanceName = "cosine", other_cameras: bool = False
) -> Neighbours:
    """The nearest images by features (N, D) of ``images``, in order. Images without a vehicle count as the same one.

    With ``other_cameras`` images of the same camera are skipped, whichever vehicle they show: frames of one pass
    are near for other reasons than identity, and often share a label error. All N x N distances
    are computed in blocks of at most :data:`ssrnet.retrieval.ranking.BLOCK_ELEMENTS`; the matrix is never held.

    Raises :class:`DataError` where features are missing or not finite, or where ``other_cameras`` is set and an image
    has no camera.
    """
    if other_cameras and any(image.camera_id is None for image in images):
        raise DataError("some images do not name their camera; look at neighbours by all cameras, or add camera_id.")
    everything = Split(tuple(images), tuple(images), same_camera_is_junk=False)
    check_features(features, features, everything)
    cameras = torch.from_numpy(coded(np.array([image.camera_id for image in images], dtype=object))[0])
    cameras = cameras.to(features.device)
    rows = []
    for block in judged_blocks(distance_blocks(features, features, distance), everything, features.device):
        skipped = torch.zeros_like(block.same)
        skipped[:, block.queries].fill_diagonal_(True)  # the image itself
        if other_cameras:
            skipped |= cameras[block.queries, None] == cameras
        d = block.distance.masked_fill(skipped, torch.inf)
        same_pairs = d[block.same & ~skipped].cpu().numpy()
        rows.append((*_nearest(d, block.same), *_nearest(d, ~block.same), same_pairs))
    return Neighbours(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def own_camera(images: Sequence[VehicleImage], features: Tensor) -> OwnCamera | None:
    """How much cameras draw images together, by the cosine of features (N, D) of ``images``, in order.

    Over the images whose camera is known; None where there is none, or no image of another vehicle.
    Raises as :func:`neighbours`.
    """
    other = neighbours(images, features).other
    camera, vehicle = (
        coded(np.array(values, dtype=object))[0]
        for values in ([image.camera_id for image in images], [image.vehicle_id for image in images])
    )
    known = np.array([image.camera_id is not None for image in images]) & (other >= 0)
    if not known.any():
        return None
    pair = (camera + 1) * (vehicle.max() + 1) + vehicle  # an unknown camera is -1
    by_camera, of_vehicle, both = (np.bincount(codes)[codes] for codes in (camera + 1, vehicle, pair))
    expected = (by_camera - both)[known] / (len(images) - of_vehicle)[known]
    own = camera[other] == camera
    return OwnCamera(float(own[known].mean()), float(expected.mean()), int(known.sum()))


def neighbourhoods(features: Tensor, count: int) -> np.ndarray:
    """(N, count) int64: the nearest other images of each by the cosine of features (N, D), in no order; fewer of few."""
    count, nearest = min(count, len(features) - 1), []
    distances, rows = distance_blocks(features, features, "cosine"), max(1, BLOCK_ELEMENTS // len(features))
    for start in range(0, len(features), rows):
        block = slice(start, min(start + rows, len(features)))
        d = distances(block)
        d[:, block].fill_diagonal_(torch.inf)
        nearest.append(d.topk(count, largest=False, sorted=False).indices.cpu().numpy())
    return np.concatenate(nearest)


def neighbourhood_change(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) in [0, 1]: how little two models' :func:`neighbourhoods` (N, k) of an image share, as a Jaccard distance.

    0 where both have the same neighbours, in any order, 1 where they share none.
    """
    shared = (a[:, :, None] == b[:, None]).any(2).sum(1)
    return 1 - shared / (a.shape[1] + b.shape[1] - shared)


def _nearest(d: Tensor, among: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Position and distance (b,) of the nearest image of ``among``; d and among: (b, N)."""
    nearest, place = d.masked_fill(~among, torch.inf).min(1)
    return place.where(torch.isfinite(nearest), -1).cpu().numpy(), nearest.cpu().numpy()


def _split_name(is_query: bool, in_gallery: bool) -> str:
    return "query and gallery" if is_query and in_gallery else "query" if is_query else "gallery"
