"""Projected features: the directions in which indexed features vary most, fitted once and stored with the index.

Features are scaled to length 1 first, since a cosine ignores their length, and their mean is not subtracted: so the
projection preserves inner products best, and with all directions the cosines stay the same. The directions are
eigenvectors of the second moment of the rows, so the fit is deterministic; the sign of each is chosen so that its
largest number is positive.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ssrnet.errors import DataError, SettingsError
from ssrnet.index.entries import EVERYTHING, Entry, Filters, GalleryIndex, Neighbour
from ssrnet.index.exact_store import ExactIndex
from ssrnet.tensors import read_float32, write_tensors

FILE = "projection.safetensors"
FIT_ROWS = 100_000
"""A projection is fitted on at most so many features, evenly spaced over the index."""


@dataclass(frozen=True)
class Projection:
    """``directions`` (d, D) float32, orthonormal; ``kept``: the share of the squared length that they keep, in [0, 1]."""

    directions: np.ndarray
    kept: float
    fitted_on: int

    @classmethod
    def fit(cls, blocks: Iterable[np.ndarray], size: int) -> Projection:
        """Fits ``size`` directions to blocks (n, D) of N features in all.

        Raises :class:`SettingsError` for ``size`` above D or N.
        """
        moment, count = np.zeros((0, 0)), 0
        for block in blocks:
            unit = _unit(block)
            product = unit.T @ unit  # (D, D)
            moment = product.astype(np.float64) if not count else moment + product
            count += len(unit)
        largest = min(len(moment), count)
        if not 1 <= size <= largest:
            raise SettingsError(
                f"--pca is {size}, but {count:,} features of {len(moment):,} numbers have at most {largest:,} directions; "
                f"choose from 1 to {largest:,}, or leave it out."
            )
        values, vectors = np.linalg.eigh(moment)  # ascending
        directions = vectors[:, ::-1][:, :size].T
        signs = np.sign(directions[np.arange(size), np.abs(directions).argmax(1)])
        kept = float(values[-size:].sum() / values.sum())
        return cls(np.ascontiguousarray(directions * signs[:, None], dtype=np.float32), min(kept, 1.0), count)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(n, D) features to (n, d) float32."""
        return _unit(features) @ self.directions.T

    def save(self, folder: Path) -> None:
        """Writes ``projection.safetensors``; raises :class:`ResourceError` where it cannot be written."""
        metadata = {"kept": repr(self.kept), "fitted_on": str(self.fitted_on)}
        write_tensors(folder / FILE, {"directions": torch.from_numpy(self.directions)}, metadata)

    @classmethod
    def load(cls, folder: Path) -> Projection:
        """Reads what :meth:`save` wrote; raises :class:`DataError` where it is missing or damaged."""
        path = folder / FILE
        try:
            tensor, metadata = read_float32(path, "directions")
            directions, kept, fitted_on = tensor.numpy(), float(metadata["kept"]), int(metadata["fitted_on"])
            if directions.ndim != 2 or not np.isfinite(directions).all() or not np.isfinite(kept):
                raise ValueError("its directions are no finite numbers in two dimensions")
            return cls(directions, kept, fitted_on)
        except (OSError, KeyError, ValueError) as error:
            raise DataError(
                f"{path} is missing or damaged ({error}), and the index cannot be searched without it; restore it, or "
                "build the index again in another folder."
            ) from error


@dataclass
class ProjectedIndex:
    """An index that takes whole features, and stores and searches them projected."""

    inner: GalleryIndex
    projection: Projection

    @property
    def dimension(self) -> int:
        return self.projection.directions.shape[1]

    def __len__(self) -> int:
        return len(self.inner)

    def add(self, entries: Sequence[Entry], features: np.ndarray) -> int:
        return self.inner.add(entries, self.projection(self._checked(features)))

    def relabel(self, entries: Sequence[Entry]) -> None:
        self.inner.relabel(entries)

    def delete(self, keys: Collection[str]) -> int:
        return self.inner.delete(keys)

    def named(self, source: str, names: Sequence[str]) -> list[Entry]:
        return self.inner.named(source, names)

    def entries(self) -> Iterator[Entry]:
        return self.inner.entries()

    def blocks(self, size: int = 1024) -> Iterator[tuple[list[Entry], np.ndarray]]:
        return self.inner.blocks(size)

    def search(self, queries: np.ndarray, k: int, filters: Filters = EVERYTHING) -> list[list[Neighbour]]:
        return self.inner.search(self.projection(self._checked(queries)), k, filters)

    def save(self) -> None:
        self.inner.save()

    def close(self) -> None:
        self.inner.close()

    def _checked(self, features: np.ndarray) -> np.ndarray:
        features = np.asarray(features)
        if features.ndim != 2 or features.shape[1] != self.dimension:
            raise DataError(
                f"the features are {' x '.join(map(str, features.shape))}, but this index takes {self.dimension:,} "
                "numbers an image; extract them with the checkpoint and settings of the index."
            )
        return features


@dataclass
class ReScored:
    """An index of projected features whose ``candidates`` nearest are ranked again by the whole features.

    ``whole`` has every entry of ``projected``. The distances are exact; more candidates make it likelier that the true
    nearest are among them.
    """

    projected: GalleryIndex
    whole: ExactIndex
    candidates: int

    def search(self, queries: np.ndarray, k: int, filters: Filters = EVERYTHING) -> list[list[Neighbour]]:
        """As :meth:`ssrnet.index.entries.GalleryIndex.search`."""
        candidates = self.projected.search(queries, max(k, self.candidates), filters)
        return self.whole.among(queries, [[entry.key for entry, _ in row] for row in candidates], k)


def fitted_projection(folder: Path, whole: ExactIndex, size: int) -> Projection:
    """The projection of the index in ``folder``, on which its entries depend, or one newly fitted to ``whole``.

    Raises :class:`DataError` where the index has a projection of another size.
    """
    if not (folder / FILE).exists():
        return Projection.fit(evenly((features for _, features in whole.blocks()), len(whole)), size)
    projection = Projection.load(folder)
    if projection.directions.shape != (size, whole.dimension):
        raise DataError(
            f"{folder} holds an index projected to {len(projection.directions):,} numbers, but --pca is {size:,}; "
            "name the same, or another folder."
        )
    return projection


def evenly(blocks: Iterable[np.ndarray], count: int, limit: int = FIT_ROWS) -> Iterator[np.ndarray]:
    """Every s-th row of blocks that hold ``count`` in all, so that at most ``limit`` remain."""
    step, seen = max(1, -(-count // limit)), 0
    for block in blocks:
        yield block[-seen % step :: step]
        seen += len(block)


def _unit(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, dtype=np.float32)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-8)
