"""Which queries a figure shows: by a reproducible rule, or by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ssrnet.analysis.comparison import Comparison
from ssrnet.data.protocols import Split
from ssrnet.errors import DataError

RuleName = Literal["sample", "differ", "fixed", "broken", "worst"]
RULES: dict[RuleName, str] = {
    "sample": "drawn at random (seed {seed}) from the {count:,} queries that have a match",
    "differ": "those whose AP differs most between the two models, either way, of the {count:,} whose AP differs",
    "fixed": "drawn at random (seed {seed}) from the {count:,} whose first image is right with {b} alone",
    "broken": "drawn at random (seed {seed}) from the {count:,} whose first image is right with {a} alone",
    "worst": "those of the lowest AP with {b}, of the {count:,} queries that have a match",
}
"""How the queries are chosen, in the words of the caption; a and b are the compared models."""
BY_HAND = "chosen by hand"


def choose_queries(comparison: Comparison, rule: RuleName, seed: int = 0, count: int = 6) -> np.ndarray:
    """Positions of up to ``count`` queries, at most one per vehicle, by a reproducible rule.

    Random choices come from numpy's PCG64, seeded by ``seed``, over the queries in the split's order. Raises
    :class:`DataError` where no query fits the rule.
    """
    candidates = _candidates(comparison, rule)
    if not len(candidates):
        raise DataError(f"no query fits the rule “{rule_text(comparison, rule, seed)}”; choose another rule.")
    if rule == "differ":
        order = np.argsort(-np.abs(comparison.delta_ap[candidates]), kind="stable")
    elif rule == "worst":
        order = np.argsort(comparison.b.ranking.average_precision[candidates], kind="stable")
    else:
        order = np.random.Generator(np.random.PCG64(seed)).permutation(len(candidates))
    chosen: dict[str, int] = {}
    for query in candidates[order].tolist():
        chosen.setdefault(comparison.split.query[query].vehicle_id, query)
        if len(chosen) == count:
            break
    return np.array(list(chosen.values()))


def named_queries(split: Split, names: Sequence[str]) -> np.ndarray:
    """Positions of the queries of these names; raises :class:`DataError` for none, or for one that is no query."""
    positions = {image.name: at for at, image in enumerate(split.query)}
    missing = [name for name in names if name not in positions]
    if missing:
        raise DataError(
            f"{missing[0]} is none of the {len(positions):,} queries of this protocol; choose another query, or the "
            "protocol under which it is one."
        )
    if not names:
        raise DataError("no query is chosen; choose at least one.")
    return np.array([positions[name] for name in names])


def rule_text(comparison: Comparison, rule: RuleName, seed: int, titles: tuple[str, str] = ("a", "b")) -> str:
    """The rule in the words of a caption; ``titles`` name the compared models."""
    number = len(_candidates(comparison, rule))
    words = RULES[rule].format(seed=seed, count=number, a=titles[0], b=titles[1])
    return f"{words}, at most one a vehicle"


def _candidates(comparison: Comparison, rule: RuleName) -> np.ndarray:
    if rule in ("fixed", "broken"):
        return np.sort(comparison.select(rule))
    delta = comparison.delta_ap
    return np.flatnonzero(~np.isnan(delta) & (delta != 0) if rule == "differ" else ~np.isnan(delta))
