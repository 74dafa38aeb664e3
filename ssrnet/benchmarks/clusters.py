"""Synthetic features for the benchmarks: clusters of vehicles seen by cameras, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage

CAMERAS = 20
IMAGES_PER_VEHICLE = 20
IMAGE, CAMERA = 3.5, 0.5
"""Lengths of the image's and the camera's part relative to the vehicle's: at 3,072 numbers clusters touch."""
AT_ONCE = 4096


class Images(NamedTuple):
    """features (n, D) float32; vehicles, cameras (n,) int64."""

    features: np.ndarray
    vehicles: np.ndarray
    cameras: np.ndarray


class Clusters:
    """A feature is the sum of a random vehicle, camera and image vector of ``dimension`` numbers."""

    def __init__(self, dimension: int, vehicles: int, seed: int, image: float = IMAGE, decaying: bool = False) -> None:
        """``image``: length of the image's part. ``decaying``: few directions hold most variance, as in trained features."""
        self._random, self._image = np.random.default_rng(seed), image
        # The first 10, 50 and 200 directions then hold 41, 72 and 90 % of the variance; in the shipped SSR-Net's
        # features of the bundled city it is 37, 70 and 89 %.
        self._scale = (1 + np.arange(1, dimension + 1, dtype=np.float32) / 6) ** -0.75 if decaying else None
        self._vehicles = self._normal(vehicles, dimension)
        self._cameras = CAMERA * self._normal(CAMERAS, dimension)

    def images(self, count: int) -> Iterator[Images]:
        """The next ``count`` images, in blocks of at most ``AT_ONCE``."""
        for start in range(0, count, AT_ONCE):
            n = min(AT_ONCE, count - start)
            vehicles = self._random.integers(len(self._vehicles), size=n)
            cameras = self._random.integers(CAMERAS, size=n)
            features = self._image * self._normal(n, self._vehicles.shape[1])
            features += self._vehicles[vehicles]
            features += self._cameras[cameras]
            yield Images(features, vehicles, cameras)

    def whole(self, count: int) -> Images:
        """The next ``count`` images in one block."""
        features = np.empty((count, self._vehicles.shape[1]), dtype=np.float32)
        labels = np.empty((2, count), dtype=np.int64)
        start = 0
        for block in self.images(count):
            rows = slice(start, start := start + len(block.features))
            features[rows], labels[:, rows] = block.features, block[1:]
        return Images(features, *labels)

    def _normal(self, rows: int, dimension: int) -> np.ndarray:
        values = self._random.standard_normal((rows, dimension), dtype=np.float32)
        return values if self._scale is None else values * self._scale


@dataclass(frozen=True)
class Retrieval:
    """Queries (Q, D) and gallery (G, D), float32, with the vehicle and camera of each, int64."""

    query: np.ndarray
    gallery: np.ndarray
    query_vehicles: np.ndarray
    query_cameras: np.ndarray
    gallery_vehicles: np.ndarray
    gallery_cameras: np.ndarray

    @classmethod
    def make(cls, queries: int, gallery: int, dimension: int, seed: int) -> Self:
        """Draws queries and gallery of the same vehicles; vehicles are random, so a query may have no match."""
        clusters = Clusters(dimension, max(2, gallery // IMAGES_PER_VEHICLE), seed)
        query, listed = clusters.whole(queries), clusters.whole(gallery)
        return cls(query.features, listed.features, *query[1:], *listed[1:])

    def save(self, folder: Path) -> None:
        """Writes six files that :meth:`load` reads."""
        for name, values in asdict(self).items():
            np.save(folder / f"{name}.npy", values)

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(**{name: np.load(folder / f"{name}.npy") for name in cls.__dataclass_fields__})

    def head(self, queries: int, gallery: int) -> Self:
        """The first queries and gallery images."""
        return type(self)(
            self.query[:queries],
            self.gallery[:gallery],
            self.query_vehicles[:queries],
            self.query_cameras[:queries],
            self.gallery_vehicles[:gallery],
            self.gallery_cameras[:gallery],
        )

    def split(self) -> Split:
        """The split for :func:`ssrnet.retrieval.ranking.rank`; images of the query's vehicle and camera are junk."""

        def images(kind: str, vehicles: np.ndarray, cameras: np.ndarray) -> tuple[VehicleImage, ...]:
            path = Path(kind)
            return tuple(VehicleImage(path, kind, str(v), str(c)) for v, c in zip(vehicles, cameras, strict=True))

        return Split(
            images("query", self.query_vehicles, self.query_cameras),
            images("gallery", self.gallery_vehicles, self.gallery_cameras),
            same_camera_is_junk=True,
        )
