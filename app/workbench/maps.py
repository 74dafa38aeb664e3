"""Projections of embeddings, made in a thread, so that a page can show how far they are; cached."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from app.workbench import OpenedModel, Progress, RankingOptions
from app.workbench.background import Job, SharedJob
from app.workbench.cache import cached
from app.workbench.queries import upload_embeddings
from ssrnet.analysis.attributes import CAMERA, attribute_names, binned, values
from ssrnet.analysis.neighbours import OwnCamera, neighbourhood_change, neighbourhoods, own_camera, pool
from ssrnet.data.records import TYPES, VehicleImage
from ssrnet.data.uploads import UploadedImage
from ssrnet.explain.projection import PCAAxes, Projection, ProjectionName, project
from ssrnet.retrieval.ranking import RankedImage, rank_by_cosine

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
NEIGHBOURHOOD = 15
"""Nearest images that are compared between two models, as many as UMAP's."""
MOVED = "change of neighbours"
CHANGES = ("0 to 20 %", "20 to 40 %", "40 to 60 %", "60 to 80 %", "80 to 100 %")
"""Kinds of points by :data:`MOVED`."""
CHANGE_COLOURS = ("#94a3b8", "#60a5fa", "#8b5cf6", "#ec4899", "#dc2626")


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
    features = model.compared_features(
        options
    )  # here, since the work's thread has no session, where those of uploads are

    def vectors() -> np.ndarray:
        return features.rows(model.data.dataset.test).numpy()

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


def moved(a: OpenedModel, b: OpenedModel, branch: str | None = None) -> np.ndarray:
    """Of each test image, how little its :data:`NEIGHBOURHOOD` nearest by one model are those by the other, in [0, 1].

    By features and not by places in the map.
    """
    key = tuple(_key(model, _options(model, branch)) for model in (a, b))
    return cached(
        "moved", key, lambda: neighbourhood_change(*(_near(m, branch) for m in (a, b))), 16, "Comparing neighbours"
    )


def nearest(model: OpenedModel, branch: str | None, row: int, count: int) -> list[RankedImage]:
    """The images nearest to a test image by the cosine of one model's features, by their positions in the test images."""
    options = _options(model, branch)

    def rank() -> list[RankedImage]:
        features = model.compared_features(options).rows(model.data.dataset.test)
        others = [one for one in rank_by_cosine(features[row], features, count + 1) if one.index != row]
        return [one._replace(rank=rank) for rank, one in enumerate(others[:count], 1)]

    return cached("nearest", (*_key(model, options), row, count), rank, 256)


def placed_uploads(model: OpenedModel, branch: str | None, images: Sequence[UploadedImage]) -> np.ndarray:
    """(M, 2): where the axes of :func:`gallery_map` by PCA put uploads."""
    options = _options(model, branch)

    def measure() -> PCAAxes:
        vectors = model.compared_features(options).rows(model.data.dataset.test).numpy()
        return PCAAxes.of(vectors, gallery_map(model, "PCA", branch).points)

    axes = cached("axes", _key(model, options), measure, 16)
    return axes.place(_compared_uploads(model, branch, images).numpy())


def nearest_to_upload(
    model: OpenedModel, branch: str | None, image: UploadedImage, count: int, in_gallery: bool = False
) -> list[RankedImage]:
    """As :func:`nearest`, of an upload, by positions in the test images or, ``in_gallery``, in the protocol's gallery."""

    def rank() -> list[RankedImage]:
        among = model.split.gallery if in_gallery else model.data.dataset.test
        features = model.compared_features(_options(model, branch)).rows(among)
        return rank_by_cosine(_compared_uploads(model, branch, [image])[0], features, count)

    return cached("nearest to an upload", (model, branch, image, count, in_gallery), rank, 64)


def _compared_uploads(model: OpenedModel, branch: str | None, images: Sequence[UploadedImage]) -> Tensor:
    """(M, D): uploads as :meth:`OpenedModel.compared_features` has test images, aligned by the whole set's statistics."""
    options = _options(model, branch)
    rows, statistics = upload_embeddings(model, images, options), model.statistics(options)
    return rows if statistics is None else statistics.align(rows, [None] * len(images))


def matches(model: OpenedModel, branch: str | None, query: VehicleImage) -> tuple[set[str], set[str]]:
    """Names of the query's matches: those that the model lists among the first, and those beyond.

    Both empty for an image that is no query of the protocol, and where nobody has said which images match.
    """
    split = model.split
    if not split.is_labelled:
        return set(), set()
    places = [q for q, image in enumerate(split.query) if image.name == query.name]
    if not places:
        return set(), set()
    ranking = model.evaluation(_options(model, branch)).ranking
    listed = {split.gallery[hit.index].name for hit in ranking.hits(places[0]) if hit.match}
    own = (image for image in split.gallery if image.vehicle_id == query.vehicle_id)
    junk = query.camera_id if split.same_camera_is_junk else None
    return listed, {image.name for image in own if junk is None or image.camera_id != junk} - listed


def usual_colouring(images: Sequence[VehicleImage]) -> str:
    """Vehicles while a legend can name them, else types, else cameras; without labels the folder or what is tagged."""
    if images[0].vehicle_id is None:
        return colourings(images)[0]
    if len({image.vehicle_id for image in images}) <= MOST_KINDS:
        return VEHICLE
    names = attribute_names(images)
    return next((name for name in (*TYPES, CAMERA) if name in names), VEHICLE)


def change_kinds(change: np.ndarray) -> list[str]:
    """Each image's kind among :data:`CHANGES`; change: (N,) of :func:`moved`."""
    return [CHANGES[min(int(value * len(CHANGES)), len(CHANGES) - 1)] for value in change]


def colourings(images: Sequence[VehicleImage]) -> list[str]:
    """What points may be coloured by, the vehicle first where one is named, and tags where nothing is."""
    names = [*([VEHICLE] if images[0].vehicle_id else []), *attribute_names(images)]
    return names or [TAG]


def kinds(images: Sequence[VehicleImage], colouring: str) -> list[str]:
    """Each image's kind; numbers of which there are many are put into :data:`BINS` bins of equal size."""
    if colouring == VEHICLE:
        return [f"vehicle {image.vehicle_id}" for image in images]
    by_image: list[str | None] = [value or None for value in values(images, colouring)]
    if colouring != CAMERA and len(set(by_image) - {None}) > MOST_KINDS:
        by_image = binned(by_image, BINS) or by_image
    return [value or NONE for value in by_image]


def _near(model: OpenedModel, branch: str | None) -> np.ndarray:
    features = model.compared_features(_options(model, branch))
    return neighbourhoods(features.rows(model.data.dataset.test), NEIGHBOURHOOD)


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
