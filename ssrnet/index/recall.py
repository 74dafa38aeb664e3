"""The recall of an approximate index: how many of the exact nearest neighbours it finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ssrnet.index.entries import GalleryIndex
from ssrnet.index.vectors import tolerance

K, QUERIES = 50, 200


@dataclass(frozen=True)
class Recall:
    """The share, in [0, 1], of the ``k`` nearest of ``queries`` images of the index found when it held ``images``."""

    share: float
    k: int
    queries: int
    images: int

    def __str__(self) -> str:
        return (
            f"finds {self.share:.1%} of the {self.k:,} nearest, measured on {self.queries:,} of its images when it held "
            f"{self.images:,}"
        )


def measure_recall(index: GalleryIndex, k: int = K, queries: int = QUERIES) -> Recall:
    """Searches for the index's first images by key, which are a random sample since keys are hashes.

    Reads all features once for the exact distances; ``index`` takes features as they are stored. A neighbour counts
    where it is no further than the exact ``k``-th.
    """
    asked = np.zeros((0, 0), dtype=np.float32)
    nearest = np.zeros((0, 0), dtype=np.float32)  # (Q, at most k) cosines
    count = 0
    for entries, features in tqdm(index.blocks(), desc="measuring recall", unit="block", leave=False):
        if not count:
            asked = features[:queries].astype(np.float32)
            nearest = np.zeros((len(asked), 0), dtype=np.float32)
        count += len(entries)
        nearest = np.sort(np.concatenate([nearest, _unit(asked) @ _unit(features).T], axis=1), axis=1)[:, -k:]
    if not count:
        return Recall(1.0, k, 0, 0)
    furthest = 1 - nearest[:, 0] + tolerance(index.dimension)
    found = [sum(n.distance <= most for n in row) for row, most in zip(index.search(asked, k), furthest, strict=True)]
    return Recall(sum(found) / nearest.size, k, len(asked), count)


def _unit(features: np.ndarray) -> np.ndarray:
    features = features.astype(np.float32)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-8)
