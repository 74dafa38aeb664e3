"""Features of a gallery index: checks of what is added and searched for, and exact distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssrnet.errors import DataError, SettingsError
from ssrnet.index.entries import Entry, Neighbour


def checked_features(features: np.ndarray, count: int, dimension: int) -> np.ndarray:
    """The features (count, dimension) as float16, as :class:`FeatureSet` stores them too.

    Raises :class:`DataError` for another shape, NaN, infinity, or a number that float16 cannot hold.
    """
    features = np.asarray(features)
    if features.shape != (count, dimension):
        raise DataError(
            f"the features are {' x '.join(map(str, features.shape))}, but {count:,} entries of an index of "
            f"{dimension:,} numbers need {count} x {dimension}; extract them with the checkpoint of the index."
        )
    with np.errstate(over="ignore"):
        half = features.astype("<f2")
    if not np.isfinite(half).all():
        raise DataError(
            "features hold NaN, infinity or numbers beyond 65,504, which float16 cannot store; check the checkpoint, "
            "or extract with --extraction.embedding.normalise-branches."
        )
    return half


def positions(entries: Sequence[Entry]) -> dict[str, int]:
    """The first position of each key, in order."""
    first: dict[str, int] = {}
    for i, entry in enumerate(entries):
        first.setdefault(entry.key, i)
    return first


def checked_queries(queries: np.ndarray, k: int, dimension: int) -> np.ndarray:
    """The queries (Q, dimension) as float32; raises :class:`DataError` or, for ``k``, :class:`SettingsError`."""
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    if queries.ndim != 2 or queries.shape[1] != dimension:
        raise DataError(
            f"the queries are {' x '.join(map(str, queries.shape))}, but this index holds {dimension:,} numbers an "
            "image; extract them with the checkpoint and settings of the index."
        )
    if not np.isfinite(queries).all():
        raise DataError("the query features hold NaN or infinity; the checkpoint is damaged.")
    if k < 1:
        raise SettingsError(f"k is {k}; ask for at least 1 neighbour.")
    return queries


def exact_distances(query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(n,) float32 cosine distances of query (D,) to vectors (n, D), computed in float64 and then rounded.

    Each row by itself, unlike in a matrix product, so that equal vectors have equal distances wherever they lie.
    A zero vector has cosine 0 with everything, as in :func:`ssrnet.retrieval.ranking.distance_blocks`.
    """
    query, vectors = query.astype(np.float64), vectors.astype(np.float64)
    squared = np.square(vectors).sum(1) * np.square(query).sum()
    cosine = (vectors * query).sum(1) / np.sqrt(np.maximum(squared, 1e-32))
    return np.maximum(1 - cosine, 0).astype(np.float32)


def nearest(candidates: Sequence[Entry], distances: np.ndarray, k: int) -> list[Neighbour]:
    """The ``k`` nearest of the candidates, nearest first; at equal distance by name, source and key."""
    pairs = [Neighbour(entry, float(distance)) for entry, distance in zip(candidates, distances, strict=True)]
    pairs.sort(key=lambda pair: (pair.distance, pair.entry.name, pair.entry.source, pair.entry.key))
    return pairs[:k]


def tolerance(dimension: int) -> float:
    """How far two float32 cosines of ``dimension`` terms may be off together.

    Rounding errors of a sum grow with the root of its terms (Higham and Mary, SISC 2019, a probabilistic bound);
    8 times that, for each of the two.
    """
    return 16 * dimension**0.5 * 2.0**-24
