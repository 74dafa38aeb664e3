"""Two models on one protocol, query by query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ssrnet.data.protocols import Split
from ssrnet.errors import ProtocolError
from ssrnet.retrieval.evaluation import Evaluation

Outcome = Literal["all", "both right", "fixed", "broken", "both wrong"]
"""Queries by whether the first listed image is a match: in both, in b alone, in a alone, in neither."""
NO_MATCH = "no match"
"""In place of an outcome, for a query that has no match in the gallery and is in no outcome but ``all``."""


@dataclass(frozen=True)
class Comparison:
    """``a`` against ``b``; raises :class:`ProtocolError` where they did not rank the same queries and gallery.

    Two distances, or with and without re-ranking, may be compared; two seeds of a shot protocol may not.
    """

    a: Evaluation
    b: Evaluation

    def __post_init__(self) -> None:
        for what, a, b in zip(("data sets", "protocols", "images"), _asked(self.a), _asked(self.b), strict=True):
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
        """Positions of the queries of one outcome at rank 1, largest change of AP first; ``all`` in their own order."""
        if outcome == "all":
            return np.arange(len(self.split.query))
        chosen = np.flatnonzero(self.outcomes == outcome)
        return chosen[np.argsort(-np.abs(self.delta_ap[chosen]), kind="stable")]


def compare(a: Evaluation, b: Evaluation) -> Comparison:
    """``b`` against ``a``; raises :class:`ProtocolError` where they are of different protocols or data."""
    return Comparison(a, b)


def _asked(evaluation: Evaluation) -> tuple[object, ...]:
    """What was asked, and of which images: from the coarse to the fine, so that a refusal names the coarsest."""
    record = evaluation.record
    protocol = (record.protocol, record.seed, record.shots, record.junk_rule)
    return (record.dataset, record.dataset_hash), protocol, evaluation.split
