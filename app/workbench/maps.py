"""Projections of embeddings, made in a thread, so that a page can show how far they are; cached."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from app.workbench import OpenedModel, Progress
from app.workbench.background import Job, SharedJob
from app.workbench.cache import cached
from ssrnet.analysis.attributes import CAMERA, attribute_names, binned, values
from ssrnet.data.records import VehicleImage
from ssrnet.explain.projection import Projection, ProjectionName, project

METHODS = ("PCA", "UMAP")
WHOLE = "whole embedding"
STEPS, BEFORE_ROUNDS = 1000, 300
"""Of so many steps of a bar, loading and finding neighbours are taken to be the first."""
EXPECTED = {"PCA": 3.0, "UMAP": 8.0, "t-SNE": 5.0}
"""Seconds that these take, as a first guess."""
MOST_KINDS = 24
BINS = 6
VEHICLE, TAG, NONE = "vehicle", "tag", "none"


def projected(
    key: tuple, vectors: Callable[[], np.ndarray], method: ProjectionName, progress_callback: Progress | None = None
) -> Projection:
    """:func:`ssrnet.explain.projection.project`, which goes on while pages come and go, and ends when none waits.

    ``key`` names the vectors. What ``progress_callback(done, total)`` raises leaves the work; the next call continues
    to wait for it.
    """

    def tick(job: Job[Projection]) -> None:
        if progress_callback:
            progress_callback(_steps(job, method), STEPS)

    shared = cached("projections", (*key, method), SharedJob, 32)
    return shared.result(lambda listen: project(vectors(), method, listen), tick)


def gallery_map(
    model: OpenedModel, method: ProjectionName, branch: str | None = None, progress_callback: Progress | None = None
) -> Projection:
    """All test images as one model sees them, in the data set's order; of one branch where the model has it."""
    features = model.features()
    branches = (branch,) if branch in features.branch_dims else ()

    def vectors() -> np.ndarray:
        return features.only(branches).rows(model.data.dataset.test).numpy()

    return projected((model.hash, model.data, branches), vectors, method, progress_callback)


def colourings(images: Sequence[VehicleImage]) -> list[str]:
    """What points may be coloured by, the vehicle first."""
    return [VEHICLE, *attribute_names(images)]


def kinds(images: Sequence[VehicleImage], colouring: str) -> list[str]:
    """Each image's kind; numbers of which there are many are put into :data:`BINS` bins of equal size."""
    if colouring == VEHICLE:
        return [f"vehicle {image.vehicle_id}" for image in images]
    by_image: list[str | None] = [value or None for value in values(images, colouring)]
    if colouring != CAMERA and len(set(by_image) - {None}) > MOST_KINDS:
        by_image = binned(by_image, BINS) or by_image
    return [value or NONE for value in by_image]


def _steps(job: Job[Projection], method: ProjectionName) -> int:
    """How far a projection is, of :data:`STEPS`."""
    if job.progress:
        done, total = job.progress
        return BEFORE_ROUNDS + (STEPS - BEFORE_ROUNDS) * done // total
    share = (time.monotonic() - job.began) / EXPECTED[method]
    return max(1, int(BEFORE_ROUNDS * min(1.0, share)))
