"""Near duplicates: images that a data set contains twice, near by features and confirmed by pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ssrnet.analysis.csv_rows import Row
from ssrnet.analysis.neighbours import Neighbours, Pool
from ssrnet.data.records import VehicleImage

HASH_SIDE = 16
SAME_PHOTOGRAPH = 1 / 8
"""Share of hash bits in which two files of one photograph may differ; see :func:`near_duplicates`."""


@dataclass(frozen=True)
class NearDuplicate:
    """Two images that show the same photograph. ``different``: the share of their hash bits that differ, in [0, 1]."""

    a: VehicleImage
    b: VehicleImage
    split_a: str
    split_b: str
    distance: float
    different: float

    def row(self) -> Row:
        return {
            "image_a": self.a.name,
            "image_b": self.b.name,
            "vehicle_a": self.a.vehicle_id,
            "vehicle_b": self.b.vehicle_id,
            "camera_a": self.a.camera_id,
            "camera_b": self.b.camera_id,
            "split_a": self.split_a,
            "split_b": self.split_b,
            "same_vehicle": None if self.a.vehicle_id is None else self.a.vehicle_id == self.b.vehicle_id,
            "distance": self.distance,
            "different_bits": self.different,
        }


def near_duplicates(
    pool: Pool, near: Neighbours, hashes: Mapping[str, np.ndarray], candidates: int = 300
) -> tuple[NearDuplicate, ...]:
    """Pairs of images of ``pool`` that show the same photograph, the most similar first.

    Features give the candidates: the ``candidates`` nearest pairs of one vehicle and as many of two (without labels, of
    all), among each image and its nearest neighbours, so that each of several copies is in some pair. The pixels
    decide: ``hashes`` are :func:`difference_hashes`.

    The limit of 1/8: of the 861,708 pairs of different photographs in the bundled city and in twocam (real road
    cameras), the most similar differ in 0.16 of the bits; of the 1,849 photographs, re-encoded at
    JPEG quality 75, one differs in more than 1/8, and 17 do at quality 50. Cropped or mirrored copies are not found.
    """
    pairs = [
        *_closest(near.same, near.same_distance, candidates),
        *_closest(near.other, near.other_distance, candidates),
    ]

    duplicates = []
    for i, j, distance in pairs:
        different = float((hashes[pool.images[i].name] != hashes[pool.images[j].name]).mean())
        if different <= SAME_PHOTOGRAPH:
            images = (pool.images[i], pool.images[j], pool.splits[i], pool.splits[j])
            duplicates.append(NearDuplicate(*images, distance, different))
    return tuple(sorted(duplicates, key=lambda pair: (pair.different, pair.distance)))


def difference_hashes(
    images: Sequence[VehicleImage], progress: Callable[[Iterable, int], Iterable] | None = None
) -> dict[str, np.ndarray]:
    """Each image's :func:`difference_hash` by its name; raises :class:`DataError` for a file that cannot be read.

    ``progress(images, total)`` wraps the iteration, as tqdm does.
    """
    read = progress(images, len(images)) if progress else images
    return {image.name: difference_hash(image.read()) for image in read}


def difference_hash(image: Image.Image) -> np.ndarray:
    """(512,) bool: whether grey increases to the right, then downwards, between cells of a 16 x 16 grid.

    The dHash of N. Krawetz (Kind of Like That, hackerfactor.com, 2013), at twice its side and in both directions,
    since vehicle crops resemble each other more than other photographs do.
    """
    grey = image.convert("L")
    sizes = ((HASH_SIDE + 1, HASH_SIDE), (HASH_SIDE, HASH_SIDE + 1))  # width, height
    wide, tall = (np.asarray(grey.resize(size, Image.Resampling.BOX)) for size in sizes)
    return np.concatenate([(wide[:, 1:] > wide[:, :-1]).ravel(), (tall[1:] > tall[:-1]).ravel()])


def _closest(nearest: np.ndarray, distance: np.ndarray, most: int) -> Iterable[tuple[int, int, float]]:
    """The ``most`` nearest pairs (image, its nearest neighbour, distance), each once."""
    pairs = {}
    for i in np.argsort(distance, kind="stable"):
        if nearest[i] < 0 or len(pairs) == most:
            break
        pair = (min(i, nearest[i]), max(i, nearest[i]))
        pairs.setdefault(tuple(map(int, pair)), float(distance[i]))
    return [(i, j, value) for (i, j), value in pairs.items()]
