"""What can be known, without vehicle labels, of the images that a camera's statistics are measured on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.data.records import TYPES, VehicleImage

ALIKE = 0.9
"""Two images by one camera whose raw embeddings have at least this cosine count as nearly the same picture."""
MIN_DISTINCT = 4.5
"""Fewer different pictures a camera (median over the cameras) are a reason for caution."""
BLOCK_ROWS = 1024


@dataclass(frozen=True)
class CameraFacts:
    """Of one camera. images: how many. distinct: how many different pictures they are, from 1 to ``images``.

    mix: total variation distance, in [0, 1], of its vehicle types from those of all images; None where types are unknown.
    """

    camera: str
    images: int
    distinct: float
    mix: float | None


def cautions(facts: Sequence[CameraFacts]) -> tuple[str, ...]:
    """Why alignment by these cameras may do harm, a sentence each; none where nothing speaks against it.

    The rule was chosen by ``ssrnet study alignment`` on drawn data sets: see assets/alignment.md.
    """
    if not facts:
        return ()  # then no camera has statistics of its own
    images, distinct = (float(np.median([getattr(one, name) for one in facts])) for name in ("images", "distinct"))
    if images < MIN_DISTINCT:
        return (f"Half of the cameras have at most {images:g} images: too few for statistics of their own.",)
    if distinct < MIN_DISTINCT:
        return (
            f"Half of the cameras have images that are worth at most {distinct:.1f} different ones, so much alike are "
            "they, as frames of one track: alignment may take away what tells vehicles apart.",
        )
    return ()


def camera_facts(images: Sequence[VehicleImage], features: Tensor, alike: float = ALIKE) -> list[CameraFacts]:
    """The facts of each camera that is named, in the order of names; features (N, D) are raw, in the order of images."""
    types = [_type(image) for image in images]
    facts = []
    for camera in sorted({image.camera_id for image in images if image.camera_id}):
        rows = [row for row, image in enumerate(images) if image.camera_id == camera]
        mix = None if None in types else _distance([types[row] for row in rows], types)
        facts.append(CameraFacts(camera, len(rows), distinct_pictures(features[rows], alike), mix))
    return facts


def distinct_pictures(features: Tensor, alike: float = ALIKE) -> float:
    """How many different pictures features (n, D) stand for: the sum over images of one over the images like it.

    n where no two are alike; the number of groups where images are alike within groups and nowhere else.
    """
    unit = F.normalize(features.float())
    alike_to = [  # in blocks: a camera may have tens of thousands of images
        (block @ unit.T >= alike).sum(1) for block in unit.split(BLOCK_ROWS)
    ]
    return float((1 / torch.cat(alike_to).clamp_min(1)).sum())  # a zero vector is like nothing, not even itself


def _type(image: VehicleImage) -> str | None:
    return next((image.attributes[name] for name in TYPES if image.attributes.get(name)), None)


def _distance(some: Sequence[str | None], whole: Sequence[str | None]) -> float:
    """Total variation distance of the values' shares."""
    a, b = Counter(some), Counter(whole)
    return 0.5 * sum(abs(a[value] / len(some) - b[value] / len(whole)) for value in b)
