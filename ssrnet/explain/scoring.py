"""One query's average precision and CMC, step by step (Eqs. 8 and 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ssrnet.retrieval.ranking import Ranking


class PrecisionStep(NamedTuple):
    """The i-th match of a ranked list: its rank, counted without junk, and its position in the gallery."""

    number: int
    rank: int
    index: int

    @property
    def precision(self) -> float:
        """Share of matches among the images up to this one, i / rank."""
        return self.number / self.rank


@dataclass(frozen=True)
class QueryScore:
    """What a query adds to mAP (Eq. 9) and to CMC (Eq. 8)."""

    steps: tuple[PrecisionStep, ...]
    """A step a match, nearest first; empty for a query without a match, which is in no mean."""

    @property
    def average_precision(self) -> float:
        """The mean of the steps' precisions; NaN without a match."""
        return sum(step.precision for step in self.steps) / len(self.steps) if self.steps else float("nan")

    def gt(self, K: int) -> int:
        """gt(q, K) of Eq. 8: 1 where a match is among the first K, else 0."""
        return int(bool(self.steps) and self.steps[0].rank <= K)


def score_query(ranking: Ranking, query: int = 0) -> QueryScore:
    """The steps of one query; ``ranking`` must list the whole gallery, else the matches beyond its end are missing."""
    matches = [hit for hit in ranking.hits(query) if hit.match]
    return QueryScore(tuple(PrecisionStep(i, hit.rank, hit.index) for i, hit in enumerate(matches, 1)))
