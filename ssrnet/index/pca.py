"""Shorter features: the directions in which the indexed ones differ most, fitted once and kept with the index.

Features are brought to length 1 first, since a cosine does not see their length, and their mean is not subtracted:
so the projection is the one that keeps inner products best, and with all directions kept the cosines are the same.
The directions are eigenvectors of the second moment of the rows, which no random number has a part in; the sign of
each is chosen so that its largest number is positive.
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
FITTED_ON = 100_000
"""At most so many features are looked at, evenly spaced over the index."""


@dataclass(frozen=True)
class Projection:
    """``directions`` (d, D) float32, orthonormal; ``kept``: their share of the squared length, in [0, 1]."""

    directions: np.ndarray
    kept: float
    fitted_on: int

    @classmethod
    def fit(cls, blocks: Iterable[np.ndarray], size: int) -> Projection:
        """From blocks (n, D) of features, N in all; raises :class:`SettingsError` for ``size`` above D or N."""
        moment, count = np.zeros((0, 0)), 0
        for block in blocks:
            unit = _unit(block)
            product = unit.T @ unit  # (D, D)
            moment = product.astype(np.float64) if not count else moment + product
            count += len(unit)
        most = min(len(moment), count)
        if not 1 <= size <= most:
            raise SettingsError(
                f"--pca is {size}, but {count:,} features of {len(moment):,} numbers have at most {most:,} directions; "
                f"choose from 1 to {most:,}, or leave it out."
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
        """Writes ``projection.safetensors``; raises :class:`ResourceError` where that cannot be done."""
        about = {"kept": repr(self.kept), "fitted_on": str(self.fitted_on)}
        write_tensors(folder / FILE, {"directions": torch.from_numpy(self.directions)}, about)

    @classmethod
    def load(cls, folder: Path) -> Projection:
        """What :meth:`save` wrote; raises :class:`DataError` where it is missing or damaged."""
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
    """An index that takes whole features and keeps and searches them projected."""

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
                "numbers an image; extract them with the index's own checkpoint and settings."
            )
        return features


@dataclass
class ReScored:
    """An index of projected features whose ``candidates`` nearest are compared once more, by the whole features.

    ``whole`` has every entry of ``projected``. The distances are exact; that the nearest are among the candidates is
    not certain, and the larger their number the likelier.
    """

    projected: GalleryIndex
    whole: ExactIndex
    candidates: int

    def search(self, queries: np.ndarray, k: int, filters: Filters = EVERYTHING) -> list[list[Neighbour]]:
        """As :meth:`ssrnet.index.entries.GalleryIndex.search`."""
        found = self.projected.search(queries, max(k, self.candidates), filters)
        return self.whole.among(queries, [[entry.key for entry, _ in row] for row in found], k)


def evenly(blocks: Iterable[np.ndarray], count: int, most: int = FITTED_ON) -> Iterator[np.ndarray]:
    """Every s-th row of blocks that hold ``count`` in all, so that at most ``most`` remain."""
    step, seen = max(1, -(-count // most)), 0
    for block in blocks:
        yield block[-seen % step :: step]
        seen += len(block)


def _unit(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, dtype=np.float32)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-8)
