"""Intervals of any number over photographs, by drawing vehicles: photographs of one vehicle succeed and fail together.

The cluster bootstrap of :mod:`ssrnet.retrieval.metric_intervals`, whose sums are those of retrieval's metrics, for other
statistics: V of the V vehicles are drawn with replacement, each with all its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ssrnet.retrieval.metric_intervals import CONFIDENCE, SEED

REPLICATES = 1000


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval, the rows that it is of, and the vehicles that these are of."""

    value: float
    low: float
    high: float
    rows: int
    vehicles: int

    @property
    def is_positive(self) -> bool:
        """Whether all of the interval is above 0."""
        return self.low > 0


def interval(
    vehicles: Sequence[str],
    rows: np.ndarray,
    statistic: Callable[[np.ndarray], float],
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> Interval | None:
    """``statistic`` of ``rows`` (n, k), row i of ``vehicles[i]``; None without rows, or where it is not a number.

    The interval goes from the 2.5th to the 97.5th percentile of the replicates that give a number.
    """
    if not len(vehicles):
        return None
    rows = np.asarray(rows, np.float64).reshape(len(vehicles), -1)
    value = float(statistic(rows))
    if not np.isfinite(value):
        return None
    values = np.array([statistic(rows[drawn]) for drawn in _draws(tuple(vehicles), replicates, seed)])
    values = values[np.isfinite(values)]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, (tail, 100 - tail)) if len(values) else (value, value)
    return Interval(value, float(low), float(high), len(rows), len(set(vehicles)))


def mean(rows: np.ndarray) -> float:
    """Of the first column."""
    return float(rows[:, 0].mean())


def difference(rows: np.ndarray) -> float:
    """Mean of the first column minus the second: paired, since a row is one photograph."""
    return float((rows[:, 0] - rows[:, 1]).mean())


def ratio(rows: np.ndarray) -> float:
    """Sum of the first column over that of the second; not a number where that is 0."""
    below = rows[:, 1].sum()
    return float(rows[:, 0].sum() / below) if below > 0 else float("nan")


def spearman(rows: np.ndarray) -> float:
    """Rank correlation of the first two columns; not a number where one is constant."""
    ranks = [_ranks(column) for column in rows.T[:2]]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


@lru_cache(maxsize=16)  # every method is measured on the same photographs
def _draws(vehicles: tuple[str, ...], replicates: int, seed: int) -> list[np.ndarray]:
    """The rows of each replicate."""
    names = np.asarray(vehicles)
    own = [np.flatnonzero(names == name) for name in np.unique(names)]
    drawn = np.random.Generator(np.random.PCG64(seed)).integers(len(own), size=(replicates, len(own)))
    return [np.concatenate([own[i] for i in draw]) for draw in drawn]


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ties share the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[places]
