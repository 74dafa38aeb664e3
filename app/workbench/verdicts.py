"""Which of the opened models is better, by how much, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Iterable

from app.workbench import OpenedModel, RankingOptions, Workbench
from app.workbench.cache import cached
from ssrnet.analysis.verdict import Verdict, compare_evaluations

Pair = tuple[OpenedModel, OpenedModel]


def pairs_of(bench: Workbench) -> list[Pair]:
    """SSR-Net after each of the other models."""
    return [(model, bench.ssrnet) for model in bench.models.values() if model != bench.ssrnet]


def verdicts(pairs: Iterable[Pair], options: RankingOptions = RankingOptions()) -> list[Verdict]:
    """One for each pair; where both are aligned by camera, those of their raw features come first.

    The evaluations must have been made, or are made unseen. None is given where no query has a match.
    """
    pairs = list(pairs)
    raw = [(a.raw, b.raw) for a, b in pairs if a.is_aligned and b.is_aligned]
    found = [_verdict(a, b, options) for a, b in (*raw, *pairs)]
    return [one for one in found if one is not None]


def _verdict(a: OpenedModel, b: OpenedModel, options: RankingOptions) -> Verdict | None:
    def compute() -> Verdict | None:
        return compare_evaluations((a.title, b.title), a.evaluation(options), b.evaluation(options))

    return cached("verdicts", (a.title, a, b.title, b, options), compute, 32)
