"""Data sets drawn from a town: fewer images, fewer vehicles, cameras that see unlike vehicles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from ssrnet.data.records import TYPES, VehicleImage

Mix = Literal["even", "types apart", "vehicles apart"]
MIXES: dict[Mix, str] = {
    "even": "all cameras see the same vehicles",
    "types apart": "half of the cameras lose 95 % of the commonest type, the others 95 % of all other types",
    "vehicles apart": "each vehicle is left out of each camera with probability 0.7",
}
KEPT_OF_A_TYPE, KEPT_OF_A_VEHICLE = 0.05, 0.3
IMAGES = (4, 8, 16, 32, None)
"""Images a camera at most; None leaves all."""
VEHICLES = (4, 8, 16, None)


@dataclass(frozen=True)
class Draw:
    """A kind of data set; the same ``seed`` draws the same images."""

    mix: Mix
    vehicles: int | None
    images: int | None
    seed: int


def draws(seeds: int) -> Iterator[Draw]:
    """Every kind with each seed."""
    for mix, vehicles, images, seed in product(MIXES, VEHICLES, IMAGES, range(seeds)):
        yield Draw(mix, vehicles, images, seed)


def draw_images(images: Sequence[VehicleImage], draw: Draw) -> list[int]:
    """Positions of the images of ``draw``, ascending; numpy's PCG64 draws them."""
    rng = np.random.default_rng([draw.seed, list(MIXES).index(draw.mix), draw.vehicles or 0, draw.images or 0])
    vehicles = sorted({image.vehicle_id for image in images})
    if draw.vehicles is not None:
        vehicles = rng.choice(vehicles, min(draw.vehicles, len(vehicles)), replace=False).tolist()
    cameras = sorted({image.camera_id or "" for image in images})
    left = [at for at, image in enumerate(images) if image.vehicle_id in set(vehicles)]
    if draw.mix == "types apart":
        left = _types_apart(images, left, cameras, rng)
    elif draw.mix == "vehicles apart":
        seen = {(v, c): rng.random() < KEPT_OF_A_VEHICLE for v in vehicles for c in cameras}
        left = [at for at in left if seen[images[at].vehicle_id, images[at].camera_id or ""]]
    if draw.images is not None:
        order = rng.permutation(left).tolist()
        taken: Counter[str | None] = Counter()
        left = []
        for at in order:
            taken[images[at].camera_id] += 1
            if taken[images[at].camera_id] <= draw.images:
                left.append(at)
    return sorted(left)


def _types_apart(
    images: Sequence[VehicleImage], left: list[int], cameras: list[str], rng: np.random.Generator
) -> list[int]:
    types = {
        at: next((images[at].attributes[name] for name in TYPES if name in images[at].attributes), "") for at in left
    }
    commonest = Counter(types.values()).most_common(1)[0][0]
    without = set(rng.permutation(cameras)[: len(cameras) // 2].tolist())
    kept = [(types[at] == commonest) != ((images[at].camera_id or "") in without) for at in left]
    return [at for at, whole in zip(left, kept, strict=True) if whole or rng.random() < KEPT_OF_A_TYPE]
