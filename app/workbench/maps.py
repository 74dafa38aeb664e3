"""Projections of embeddings, made in a thread, so that a page can show how far they are; cached."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from app.workbench import OpenedModel, Progress, RankingOptions
from app.workbench.background import Job, SharedJob
from app.workbench.cache import cached
from ssrnet.analysis.attributes import CAMERA, attribute_names, binned, values
from ssrnet.analysis.neighbours import OwnCamera, own_camera, pool
from ssrnet.data.records import VehicleImage
from ssrnet.explain.projection import Projection, ProjectionName, project

METHODS = ("PCA", "UMAP")
WHOLE = "whole embedding"
STEPS, BEFORE_ROUNDS = 1000, 300
"""Of so many steps of a bar, loading and finding neighbours are taken to be the first."""
EXPECTED = {"PCA": 3.0, "UMAP": 8.0, "t-SNE": 5.0}
"""Seconds that these take, as a first guess."""
MOST_COMPARED = 20_000
"""Images up to which each is compared with every other one: half a minute on two cores."""
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
    """All test images as one model compares them, in the data set's order; of one branch where the model has it."""
    options = _options(model, branch)

    def vectors() -> np.ndarray:
        return model.compared_features(options).rows(model.data.dataset.test).numpy()

    return projected(_key(model, options), vectors, method, progress_callback)


def nearest_by_own_camera(model: OpenedModel, branch: str | None = None) -> OwnCamera | None:
    """How often an image's nearest other vehicle is by its own camera, by features and not by places in the map.

    Distractors do not count. None where no camera is known, or with more than :data:`MOST_COMPARED` images.
    """
    compared, options = pool(model.data.dataset), _options(model, branch)
    if not 0 < len(compared.images) <= MOST_COMPARED:
        return None

    def count() -> OwnCamera | None:
        return own_camera(compared.images, compared.features(model.compared_features(options)))

    return cached("own camera", _key(model, options), count, 32, "Comparing the images of each camera")


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


def _options(model: OpenedModel, branch: str | None) -> RankingOptions:
    """Options that compare one branch if the model has it, else the whole embedding."""
    return RankingOptions(branches=(branch,) if branch in model.features().branch_dims else ())


def _key(model: OpenedModel, options: RankingOptions) -> tuple:
    """Cache key of the features; the protocol changes aligned features only."""
    aligned = (model.protocol, model.alignment) if model.alignment else ()
    return model.hash, model.data, options.branches, *aligned


def _steps(job: Job[Projection], method: ProjectionName) -> int:
    """How far a projection is, of :data:`STEPS`."""
    if job.progress:
        done, total = job.progress
        return BEFORE_ROUNDS + (STEPS - BEFORE_ROUNDS) * done // total
    share = (time.monotonic() - job.began) / EXPECTED[method]
    return max(1, int(BEFORE_ROUNDS * min(1.0, share)))
