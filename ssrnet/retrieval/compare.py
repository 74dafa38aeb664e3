"""Two models on one protocol, query by query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ssrnet.errors import ProtocolError
from ssrnet.retrieval.ranking import Ranking

Outcome = Literal["all", "fixed", "broken", "both wrong"]
"""Queries by whether the first listed image is a match: fixed by b, broken by b, wrong in both."""


@dataclass(frozen=True)
class Comparison:
    """``a`` against ``b``, each array (Q,): AP of b minus AP of a, and both first-hit ranks (0 without a match)."""

    delta_ap: np.ndarray
    first_hit_a: np.ndarray
    first_hit_b: np.ndarray

    def select(self, outcome: Outcome) -> np.ndarray:
        """Positions of the queries of one outcome at rank 1, largest change of AP first; ``all`` in their own order."""
        a, b = self.first_hit_a == 1, self.first_hit_b == 1
        scored = self.first_hit_a > 0
        if outcome == "all":
            return np.arange(len(a))
        chosen = np.flatnonzero(
            {"fixed": ~a & b, "broken": a & ~b, "both wrong": scored & ~a & ~b}[outcome]
        )
        return chosen[np.argsort(-np.abs(self.delta_ap[chosen]), kind="stable")]


def compare(a: Ranking, b: Ranking) -> Comparison:
    """Raises :class:`ProtocolError` where the two do not rank the same queries."""
    if len(a.first_hit) != len(b.first_hit) or ((a.first_hit > 0) != (b.first_hit > 0)).any():
        raise ProtocolError("the two rankings are of different queries; evaluate both models under one protocol.")
    return Comparison(b.average_precision - a.average_precision, a.first_hit, b.first_hit)
