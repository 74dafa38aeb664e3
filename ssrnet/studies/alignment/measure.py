"""What camera alignment does to drawn data sets: mAP before and after, and what can be known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ssrnet.analysis.camera_facts import camera_facts
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.retrieval.alignment import AlignmentSettings, align_cameras, cameras_of
from ssrnet.retrieval.ranking import rank
from ssrnet.studies.alignment.draws import Draw, draw_images

PRIORS = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0)
ALIKE = (0.6, 0.7, 0.8, 0.9)
"""Cosines from which two images by one camera count as nearly the same picture."""
FEWEST_QUERIES = 8
"""Draws with fewer queries that have a match are left out."""


@dataclass(frozen=True)
class DrawResult:
    """One draw with one model. raw: mAP; gains: of each of :data:`PRIORS`, aligned minus raw.

    images, distinct, mix: medians over the cameras of :class:`ssrnet.analysis.camera_facts.CameraFacts`, distinct for
    each of :data:`ALIKE`.
    """

    draw: Draw
    model: str
    queries: int
    images: float
    distinct: tuple[float, ...]
    mix: float | None
    raw: float
    gains: tuple[float, ...]


def measure_draws(
    images: Sequence[VehicleImage],
    features: Mapping[str, Tensor],
    draws: Iterable[Draw],
    progress: Callable[[Iterable], Iterable] = iter,
) -> list[DrawResult]:
    """Each draw with each model; features: by title (N, D) in the order of ``images``. Cross-camera, cosine.

    Every camera is aligned however few its images are, so that the smallest number can be chosen from the results.
    """
    results = []
    for draw in progress(list(draws)):
        rows = draw_images(images, draw)
        some = tuple(images[row] for row in rows)
        if not some:
            continue
        split, cameras = Split(some, some, same_camera_is_junk=True), cameras_of(some)
        for title, whole in features.items():
            chosen = whole[rows]
            raw = rank(chosen, chosen, split, top_k=1).metrics
            if raw.queries < FEWEST_QUERIES:
                continue
            facts = [camera_facts(some, chosen, alike) for alike in ALIKE]
            mixes = [one.mix for one in facts[0] if one.mix is not None]
            gains = []
            for prior in PRIORS:
                aligned = align_cameras(chosen, cameras, AlignmentSettings(prior, 1))
                gains.append(rank(aligned, aligned, split, top_k=1).metrics.mAP - raw.mAP)
            results.append(
                DrawResult(
                    draw,
                    title,
                    raw.queries,
                    float(np.median([one.images for one in facts[0]])),
                    tuple(float(np.median([one.distinct for one in each])) for each in facts),
                    float(np.median(mixes)) if mixes else None,
                    raw.mAP,
                    tuple(gains),
                )
            )
    return results
