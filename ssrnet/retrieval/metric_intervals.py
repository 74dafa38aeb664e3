"""95 % bootstrap intervals of the metrics of retrieval, over query vehicles.

Queries of one vehicle succeed and fail together, so vehicles are drawn, not queries (a cluster
bootstrap; Davison & Hinkley, Bootstrap Methods and their Application, 1997, Sec. 3.8). A replicate takes V of
the V vehicles with replacement, each with all its queries, and is the mean over these queries: a ratio of
sums, in which a vehicle with many queries weighs as much as in the metric itself. Under a shot protocol the
same vehicles are drawn for every seed, and the replicate is the mean over the seeds. The interval spans
the 2.5th to the 97.5th percentile of the replicates.

The gallery stays the same, with every distractor: an interval covers other query vehicles against the same
gallery, not another gallery or another training run. Few vehicles hardly show how vehicles differ: under about
20 the interval is too narrow, and it has no width where all queries score the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ssrnet.errors import DataError, ProtocolError

METRICS = ("rank-1", "rank-5", "rank-10", "mAP", "mINP")
CONFIDENCE = 0.95
REPLICATES = 2000
SEED = 0


@dataclass(frozen=True)
class QueryScores:
    """Scores of the queries with a match: ``vehicles`` (Q,) their ids, ``values`` (Q, 5) float64 by :data:`METRICS`."""

    vehicles: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        assert self.values.shape == (len(self.vehicles), len(METRICS)), self.values.shape

    @classmethod
    def from_queries(
        cls, vehicles: Sequence[str], ap: np.ndarray, inp: np.ndarray, first_hit: np.ndarray
    ) -> QueryScores:
        """ap, inp, first_hit: (Q,) as in :class:`ssrnet.metrics.Metrics`; queries without a match are left out."""
        scored = first_hit > 0
        hits = [(first_hit <= k).astype(np.float64) for k in (1, 5, 10)]
        return cls(np.asarray(vehicles)[scored], np.stack([*hits, ap, inp], axis=1)[scored])


@dataclass(frozen=True)
class Estimate:
    """A metric in [0, 1], or a difference of two in [-1, 1], with its 95 % interval.

    ``value`` and ``deviation`` are mean and standard deviation (n - 1) over seeds; one seed has no deviation.
    """

    value: float
    low: float
    high: float
    deviation: float | None = None


def estimates(seeds: Sequence[QueryScores], replicates: int = REPLICATES, seed: int = SEED) -> dict[str, Estimate]:
    """Each of :data:`METRICS` over the vehicles of ``seeds``, the random galleries of one protocol.

    ``seed`` starts numpy's PCG64. Raises :class:`DataError` where no query has a match.
    """
    return estimates_of_sums(VehicleSums.of(seeds), replicates, seed)


def estimates_of_sums(sums: VehicleSums, replicates: int = REPLICATES, seed: int = SEED) -> dict[str, Estimate]:
    """:func:`estimates` of what has been summed already."""
    return _estimates(sums.over(), sums.resampled(replicates, seed))


def differences(
    a: Sequence[QueryScores], b: Sequence[QueryScores], replicates: int = REPLICATES, seed: int = SEED
) -> dict[str, Estimate]:
    """``b`` minus ``a``, paired: each replicate takes the same vehicles for both.

    Raises :class:`ProtocolError` where the two scored different queries, else as :func:`estimates`.
    """
    if [list(scores.vehicles) for scores in a] != [list(scores.vehicles) for scores in b]:
        raise ProtocolError("the two models scored different queries; evaluate both under one protocol.")
    return differences_of_sums(VehicleSums.of(a), VehicleSums.of(b), replicates, seed)


def differences_of_sums(
    a: VehicleSums, b: VehicleSums, replicates: int = REPLICATES, seed: int = SEED
) -> dict[str, Estimate]:
    """:func:`differences` of what has been summed already."""
    if a.vehicles.tolist() != b.vehicles.tolist() or a.queries.tolist() != b.queries.tolist():
        raise ProtocolError("the two models scored different queries; evaluate both under one protocol.")
    return _estimates(b.over() - a.over(), b.resampled(replicates, seed) - a.resampled(replicates, seed))


def vehicles_of(seeds: Sequence[QueryScores]) -> set[str]:
    """The query vehicles that have a match under some seed."""
    return set().union(*(scores.vehicles.tolist() for scores in seeds))


@dataclass(frozen=True)
class VehicleSums:
    """By seed and vehicle what an interval is drawn from.

    ``vehicles``: (V,) their ids, sorted. ``queries``: (S, V) how many have a match. ``values``: (S, V, 5) the sums of their
    scores, by :data:`METRICS`.
    """

    vehicles: np.ndarray
    queries: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, seeds: Sequence[QueryScores]) -> VehicleSums:
        vehicles = np.unique(np.concatenate([scores.vehicles for scores in seeds]))
        if not len(vehicles):
            raise DataError("no query has a match in the gallery, so there is nothing to average.")
        queries = np.zeros((len(seeds), len(vehicles)))
        values = np.zeros((*queries.shape, len(METRICS)))
        for s, scores in enumerate(seeds):
            rows = np.searchsorted(vehicles, scores.vehicles)
            np.add.at(queries[s], rows, 1)
            np.add.at(values[s], rows, scores.values)
        return cls(vehicles, queries, values)

    def over(self) -> np.ndarray:
        """(S, 5) the metrics of each seed; NaN for a seed without queries."""
        with np.errstate(invalid="ignore"):
            return self.values.sum(1) / self.queries.sum(1)[:, None]

    def resampled(self, replicates: int, seed: int) -> np.ndarray:
        """(R, 5) the mean over seeds in each replicate."""
        times = _times_taken(self.queries.shape[1], replicates, seed)  # (R, V)
        queries = times @ self.queries.T  # (R, S)
        values = np.stack([times @ sums for sums in self.values], axis=1)  # (R, S, 5)
        # A slice may have query vehicles under some seeds only: a seed left without queries does not count.
        counts = queries > 0
        means = values / np.where(counts, queries, 1)[:, :, None]
        return means.sum(1) / counts.sum(1)[:, None]


def drawn_vehicles(vehicles: int, replicates: int, seed: int) -> np.ndarray:
    """(R, V) int64: the vehicles that each replicate takes, by number, drawn with replacement by numpy's PCG64."""
    return np.random.Generator(np.random.PCG64(seed)).integers(vehicles, size=(replicates, vehicles))


def percentile_interval(replicates: np.ndarray) -> np.ndarray:
    """(R, ...) replicates -> (2, ...): the ends of their 95 % interval."""
    tail = 50 * (1 - CONFIDENCE)
    return np.percentile(replicates, (tail, 100 - tail), axis=0)


@lru_cache(maxsize=1)  # the same for every model and branch
def _times_taken(vehicles: int, replicates: int, seed: int) -> np.ndarray:
    """(R, V) float64: how often each replicate takes each vehicle; rows are multinomial and sum to V."""
    drawn = drawn_vehicles(vehicles, replicates, seed)
    drawn += vehicles * np.arange(replicates)[:, None]
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)


def _estimates(seeds: np.ndarray, replicates: np.ndarray) -> dict[str, Estimate]:
    """seeds: (S, 5), NaN rows left out; replicates: (R, 5)."""
    seeds = seeds[~np.isnan(seeds).any(1)]
    low, high = percentile_interval(replicates)
    deviation = seeds.std(0, ddof=1).tolist() if len(seeds) > 1 else [None] * len(METRICS)
    columns = zip(seeds.mean(0).tolist(), low.tolist(), high.tolist(), deviation, strict=True)
    return {name: Estimate(*column) for name, column in zip(METRICS, columns, strict=True)}
