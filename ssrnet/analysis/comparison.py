"""Two models on one protocol, query by query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import ProtocolError
from ssrnet.retrieval.evaluation import Evaluation

Outcome = Literal["all", "both right", "fixed", "broken", "both wrong"]
"""Queries by whether the first listed image is a match: in both, in b alone, in a alone, in neither."""
NO_MATCH = "no match"
"""In place of an outcome, for a query without a match in the gallery; its only outcome is ``all``."""
LARGEST_GAIN = (
    "Of the queries that the second model lists right first and the first one wrong, the one whose AP grows most."
)
"""The rule of :func:`largest_gain`."""
LARGEST_LOSS = "The query whose AP falls most from the first model to the second; where none falls, that of the second model's lowest AP."
"""The rule of :func:`largest_loss`."""
BIN_WIDTH = 0.05


@dataclass(frozen=True)
class Comparison:
    """``a`` against ``b``; raises :class:`ProtocolError` where they did not rank the same queries and gallery.

    Two distances, or with and without re-ranking, may be compared; two seeds of a shot protocol may not.
    """

    a: Evaluation
    b: Evaluation

    def __post_init__(self) -> None:
        for what, a, b in zip(("data sets", "protocols", "images"), _compared(self.a), _compared(self.b), strict=True):
            if a != b:
                raise ProtocolError(
                    f"the two models were evaluated with different {what}, so their queries cannot be compared "
                    "one by one; evaluate both on one data set under one protocol."
                )

    @property
    def split(self) -> Split:
        return self.a.split

    @property
    def delta_ap(self) -> np.ndarray:
        """(Q,) AP of b minus AP of a, in [-1, 1]; NaN without a match."""
        return self.b.ranking.average_precision - self.a.ranking.average_precision

    @property
    def outcomes(self) -> np.ndarray:
        """(Q,) str: the outcome of each query, or :data:`NO_MATCH`."""
        a, b = self.a.ranking.first_hit, self.b.ranking.first_hit
        names = np.array([["both wrong", "fixed"], ["broken", "both right"]])
        return np.where(a > 0, names[(a == 1).astype(int), (b == 1).astype(int)], NO_MATCH)

    def select(self, outcome: Outcome) -> np.ndarray:
        """Positions of the queries of one outcome, largest change of AP first; ``all`` in the split's order."""
        if outcome == "all":
            return np.arange(len(self.split.query))
        chosen = np.flatnonzero(self.outcomes == outcome)
        return chosen[np.argsort(-np.abs(self.delta_ap[chosen]), kind="stable")]

    def by_change(self, outcome: Outcome | Literal["failed"]) -> np.ndarray:
        """As :meth:`select`, ``all`` ordered like the others, without a match last; "failed": wrong in a, in b or both."""
        if outcome not in ("all", "failed"):
            return self.select(outcome)
        outcomes = self.outcomes
        chosen = np.flatnonzero(np.isin(outcomes, ("fixed", "broken", "both wrong")) | (outcome == "all"))
        return chosen[np.argsort(-np.abs(self.delta_ap[chosen]), kind="stable")]  # NaN comes last

    def same_precision(self, query: int) -> list[int]:
        """Positions of the queries with this query's two APs, itself among them; empty without a match."""
        a, b = self.a.ranking.average_precision, self.b.ranking.average_precision
        return np.flatnonzero((a == a[query]) & (b == b[query])).tolist()


def largest_gain(comparison: Comparison) -> VehicleImage | None:
    """The query that :data:`LARGEST_GAIN` names; None where the second model fixes no query."""
    fixed = comparison.select("fixed")
    return comparison.split.query[fixed[0]] if len(fixed) else None


def largest_loss(comparison: Comparison) -> VehicleImage | None:
    """The query that :data:`LARGEST_LOSS` names, of equals the first; None where no query has a match."""
    delta, ap = comparison.delta_ap, comparison.b.ranking.average_precision
    if np.isnan(delta).all():
        return None
    falls = np.nanmin(delta) < 0
    return comparison.split.query[int(np.nanargmin(delta if falls else ap))]


@dataclass(frozen=True)
class DeltaHistogram:
    """``centres`` (n,) of bins of one width from -1 to 1, the middle one around 0; ``queries`` (n,) int64 in each.

    ``worse``, ``same`` and ``better`` count queries whose AP fell, did not change at all, and rose.
    """

    centres: np.ndarray
    queries: np.ndarray
    width: float
    worse: int
    same: int
    better: int


def delta_histogram(delta_ap: np.ndarray, width: float = BIN_WIDTH) -> DeltaHistogram:
    """delta_ap: (Q,) in [-1, 1], NaN for queries without a match, which are left out."""
    known = delta_ap[~np.isnan(delta_ap)]
    half = round(1 / width)
    places = np.rint(known / width).astype(np.int64)
    queries = np.bincount(places + half, minlength=2 * half + 1)
    centres = np.arange(-half, half + 1) * width
    return DeltaHistogram(
        centres, queries, width, int((known < 0).sum()), int((known == 0).sum()), int((known > 0).sum())
    )


def _compared(evaluation: Evaluation) -> tuple[object, ...]:
    """What two evaluations must share, from coarse to fine, so that the error names the coarsest difference."""
    record = evaluation.record
    protocol = (record.protocol, record.seed, record.shots, record.junk_rule)
    return (record.dataset, record.dataset_hash), protocol, evaluation.split
