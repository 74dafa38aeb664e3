"""Bootstrap intervals over vehicles for any statistic of photographs, since photographs of one vehicle are dependent.

The cluster bootstrap of :mod:`ssrnet.retrieval.metric_intervals`, which is for retrieval metrics, for other
statistics: each replicate draws V of the V vehicles with replacement, each with all its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ssrnet.retrieval.metric_intervals import SEED, drawn_vehicles, percentile_interval

REPLICATES = 1000


@dataclass(frozen=True)
class Interval:
    """A statistic with its 95 % interval, and the number of rows and vehicles behind it."""

    value: float
    low: float
    high: float
    rows: int
    vehicles: int

    @property
    def is_positive(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0


def interval(
    vehicles: Sequence[str],
    rows: np.ndarray,
    statistic: Callable[[np.ndarray], float],
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> Interval | None:
    """``statistic`` of ``rows`` (n, k), row i of ``vehicles[i]``; None without rows, or where it is NaN.

    The interval spans the 2.5th to the 97.5th percentile of the finite replicates.
    """
    if not len(vehicles):
        return None
    rows = np.asarray(rows, np.float64).reshape(len(vehicles), -1)
    value = float(statistic(rows))
    if not np.isfinite(value):
        return None
    values = np.array([statistic(rows[drawn]) for drawn in _drawn_rows(tuple(vehicles), replicates, seed)])
    values = values[np.isfinite(values)]
    low, high = percentile_interval(values) if len(values) else (value, value)
    return Interval(value, float(low), float(high), len(rows), len(set(vehicles)))


def mean(rows: np.ndarray) -> float:
    """Mean of the first column."""
    return float(rows[:, 0].mean())


def difference(rows: np.ndarray) -> float:
    """Mean of the first column minus the second, paired: a row is one photograph."""
    return float((rows[:, 0] - rows[:, 1]).mean())


def ratio(rows: np.ndarray) -> float:
    """Sum of the first column over that of the second; NaN where that is 0."""
    below = rows[:, 1].sum()
    return float(rows[:, 0].sum() / below) if below > 0 else float("nan")


def spearman(rows: np.ndarray) -> float:
    """Rank correlation of the first two columns, ties at their mean rank; NaN where one is constant."""
    from scipy.stats import rankdata  # takes most of a second, and the pages' other intervals need none of it

    ranks = [rankdata(column) for column in rows.T[:2]]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


@lru_cache(maxsize=16)  # every method is measured on the same photographs
def _drawn_rows(vehicles: tuple[str, ...], replicates: int, seed: int) -> list[np.ndarray]:
    """Positions of the rows in each replicate."""
    names = np.asarray(vehicles)
    rows = [np.flatnonzero(names == name) for name in np.unique(names)]
    return [np.concatenate([rows[i] for i in draw]) for draw in drawn_vehicles(len(rows), replicates, seed)]
