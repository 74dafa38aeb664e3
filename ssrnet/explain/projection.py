"""Many long vectors as points in the plane: PCA, UMAP and t-SNE.

All three project the vectors at unit length, since ranking compares directions: on the unit sphere the squared
Euclidean distance is 2 - 2 cos. UMAP and t-SNE start from the first principal components and have a fixed seed, so the
same vectors give the same map on one machine with the same umap-learn and scikit-learn. Only PCA preserves distances,
as far as two axes can. The two others preserve neighbourhoods; the size of a group and the gap between two groups mean
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
from scipy.linalg import eigh, orthogonal_procrustes
from tqdm.auto import tqdm  # as UMAP does: it may have a lock of its own

from ssrnet.errors import DataError, SettingsError

ProjectionName = Literal["PCA", "UMAP", "t-SNE"]
ProgressCallback = Callable[[int, int], None]
"""Called with the rounds done and their total."""

FEWEST = 5
"""UMAP and t-SNE need neighbourhoods, which fewer points than this do not have."""
REDUCED = 50
"""Number of principal components that UMAP and t-SNE start from, as their authors advise for long vectors."""
EPOCHS, EPOCHS_LARGE, LARGE = 400, 200, 10_000
"""UMAP's rounds, and those from LARGE points on."""
NEIGHBOURS, PERPLEXITY = 15, 30
SAME = 1e-6
"""Unit vectors that all lie this near to their mean count as equal: float32 rounds each by about 1e-7."""


@dataclass(frozen=True)
class Projection:
    """points: (N, 2) float32, all finite. variance: the two axes' shares of the total variance, for PCA alone."""

    points: np.ndarray
    method: ProjectionName
    variance: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        assert np.isfinite(self.points).all()


def project(
    vectors: np.ndarray, method: ProjectionName, progress_callback: ProgressCallback | None = None, seed: int = 0
) -> Projection:
    """(N, D) vectors as N points. UMAP calls ``progress_callback``; an exception in it ends the work.

    Raises :class:`SettingsError` for an unknown method, :class:`DataError` for no vectors, for
    NaN or infinity, and, where the method needs neighbourhoods, for fewer than :data:`FEWEST` or for vectors of one
    direction; PCA draws those as one point.
    """
    if method not in get_args(ProjectionName):
        raise SettingsError(f"the projection is {method!r}; choose one of {', '.join(get_args(ProjectionName))}.")
    if not len(vectors):
        raise DataError("there is no vector to draw; choose images.")
    if not np.isfinite(vectors).all():
        raise DataError("the vectors hold NaN or infinity; the checkpoint or the feature file is damaged.")
    if method != "PCA" and len(vectors) < FEWEST:
        raise DataError(
            f"{method} needs at least {FEWEST} points, and here are {len(vectors)}; choose PCA or more images."
        )
    x = unit_rows(vectors)
    if np.linalg.norm(x - x.mean(0), axis=1).max() <= SAME:
        if method != "PCA":
            what = "all zeros" if not x.any() else "equal up to rounding"
            raise DataError(
                f"{method} needs different vectors, and the {len(x):,} here are {what}; choose PCA, which draws them "
                "as one point, or other images, and if the vectors should differ, check the checkpoint."
            )
        return Projection(np.zeros((len(x), 2), np.float32), method, (0.0, 0.0))
    components, shares = principal_components(x, 2 if method == "PCA" else REDUCED)
    if method == "PCA":
        return Projection(components, method, (float(shares[0]), float(shares[1])))
    fit = _umap if method == "UMAP" else _tsne
    points = fit(components, progress_callback, seed).astype(np.float32)
    if not np.isfinite(points).all():
        raise DataError(
            f"{method} gave no finite point for some of the {len(points):,} vectors; choose PCA or other images."
        )
    return Projection(points, method)


@dataclass(frozen=True)
class PCAAxes:
    """Of a PCA map the mean of its vectors, (D,), and its two axes, (D, 2), both for vectors at unit length."""

    mean: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, points: np.ndarray) -> PCAAxes:
        """The axes of the ``points`` (N, 2) that :func:`project` made of vectors (N, D) by PCA."""
        x = unit_rows(vectors)
        mean = x.mean(0)
        squares = np.square(points, dtype=np.float64).sum(0)  # the eigenvalues
        return cls(mean, (x - mean).T @ points / np.maximum(squares, 1e-30))

    def place(self, vectors: np.ndarray) -> np.ndarray:
        """(M, 2) float32: where further vectors (M, D) lie in the map."""
        return ((unit_rows(vectors) - self.mean) @ self.axes).astype(np.float32)


def turned_onto(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(N, 2) points shifted, turned and mirrored as near as they come to a reference (N, 2), the same things in order.

    Least squares without a scale (orthogonal Procrustes), so that distances between the points stay as they were: where
    a map's axes point to is arbitrary, and two maps differ in more than that only where neighbours do. Points of further
    things, behind those of the reference, go along. Raises :class:`DataError` for fewer points than the reference has.
    """
    count = len(reference)
    if len(points) < count:
        raise DataError(
            f"a map of {len(points):,} points cannot be turned onto one of {len(reference):,}; draw both of the same images."
        )
    centre = reference.mean(0, dtype=np.float64)
    centred = points - points[:count].mean(0, dtype=np.float64)
    rotation, _ = orthogonal_procrustes(centred[:count], reference - centre)
    return (centred @ rotation + centre).astype(np.float32)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """(N, D) float32 at unit length; a row of zeros stays."""
    x = np.asarray(vectors)
    x = x.astype(np.result_type(x, np.float32), copy=False)
    largest = np.abs(x).max(1, keepdims=True)
    x = (x / np.where(largest > 0, largest, 1)).astype(np.float32)  # so that no square overflows or vanishes
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def principal_components(vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first ``count`` principal components of (N, D) vectors, (N, count) float32, and their shares of the variance.

    The sign makes a component's largest coordinate positive. Missing components are zeros.
    """
    x = vectors - vectors.mean(0)
    N, D = x.shape
    k = min(count, N, D)
    gram = x @ x.T if N <= D else x.T @ x  # the smaller of the two has the same eigenvalues
    values, axes = eigh(gram.astype(np.float64), subset_by_index=[len(gram) - k, len(gram) - 1])
    values, axes = np.maximum(values[::-1], 0), axes[:, ::-1]
    points = axes * np.sqrt(values) if N <= D else x @ axes
    points *= np.where(points[np.abs(points).argmax(0), np.arange(k)] < 0, -1, 1)
    total = max(float(np.trace(gram)), 1e-30)
    padding = count - k
    return np.pad(points, ((0, 0), (0, padding))).astype(np.float32), np.pad(values / total, (0, padding))


def _umap(components: np.ndarray, progress_callback: ProgressCallback | None, seed: int) -> np.ndarray:
    import warnings

    import torch
    from umap import UMAP  # loads numba, which takes seconds, and a minute the first time

    _keep_what_numba_compiles()
    threads = torch.get_num_threads()
    epochs = EPOCHS if len(components) < LARGE else EPOCHS_LARGE
    start = _start(components, 10.0)
    flat = np.ptp(start, axis=0) == 0  # UMAP divides by each axis's range
    start[:, flat] = np.random.default_rng(seed).normal(0, 1e-3, (len(start), int(flat.sum())))
    reducer = UMAP(
        n_neighbors=min(NEIGHBOURS, len(components) - 1),
        n_epochs=epochs,
        init=start,
        random_state=seed,
        n_jobs=1,
        tqdm_kwds=_progress_bar(epochs, progress_callback),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fixed seed takes one core, as it should
        try:
            points = reducer.fit_transform(components)
        finally:
            torch.set_num_threads(threads)  # numba sets OpenMP's number, which is torch's too
    if progress_callback:
        progress_callback(epochs, epochs)
    return points


@cache
def _keep_what_numba_compiles() -> None:
    """Lets later processes load UMAP's compiled functions from the disk: each else compiles them, ten seconds and more.

    Of them umap-learn stores one. Numba compiles those again whose source file has changed.
    """
    from numba.core.dispatcher import Dispatcher
    from umap import distances, layouts, umap_, utils

    for module in (distances, layouts, umap_, utils):
        for function in vars(module).values():
            if isinstance(function, Dispatcher):
                with suppress(RuntimeError):  # neither the package's folder nor the user's cache can be written
                    function.enable_caching()


def _tsne(components: np.ndarray, progress_callback: ProgressCallback | None, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE  # takes a second

    perplexity = min(PERPLEXITY, (len(components) - 1) / 3)
    start = _start(components, 1e-4)
    return TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(components)


def _start(components: np.ndarray, spread: float) -> np.ndarray:
    """The first two components, the first of them with a standard deviation of ``spread``."""
    return (components[:, :2] * (spread / max(float(components[:, 0].std()), 1e-12))).astype(np.float32)


def _progress_bar(epochs: int, callback: ProgressCallback | None) -> dict[str, object]:
    """Settings of UMAP's tqdm bar that make it call ``callback`` instead of writing."""
    if callback is None:
        return {"disable": True}
    file = _CallbackFile(epochs, callback)
    # leave=False: the bar is closed without a last number, so that tqdm calls only from refresh().
    return {"disable": False, "bar_format": "{n_fmt}", "file": file, "mininterval": 0.2, "leave": False}


class _CallbackFile:
    """A text file that passes the numbers written to it to a callback."""

    def __init__(self, total: int, callback: ProgressCallback) -> None:
        self.total, self.callback = total, callback

    def write(self, text: str) -> None:
        if not text.strip().isdigit():
            return
        try:
            self.callback(int(text), self.total)
        except BaseException:
            # tqdm.refresh() holds the lock of all bars and would keep it, so that every later bar waited for ever.
            tqdm.get_lock().release()
            raise

    def flush(self) -> None:
        pass
