"""Whether the paper's order of a table's rows holds among the networks measured here, beyond chance, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from ssrnet.analysis.verdict import direction, in_points
from ssrnet.retrieval.metric_intervals import Estimate, VehicleSums, differences_of_sums, estimates_of_sums
from ssrnet.studies.paper import PaperTable

TEST_SET, METRIC = "VeRi-776", "mAP"
"""The paper's column by which its rows are ordered: all its trained tables have it, and its protocol is ours."""
CHANCE = (
    "Small numbers: 95 % bootstrap intervals over query vehicles. Beyond chance: the paired interval of a difference excludes "
    "0, each pair of rows by itself. One training run a row: what another seed would change is in no interval."
)


def ordered_pairs(paper: PaperTable) -> list[tuple[str, str]]:
    """Every pair of rows that the paper orders, the lower first: by its mAP on VeRi-776, or in words where it prints none."""
    if paper.rising:
        return list(dict.fromkeys(pair for rows in paper.rising for pair in combinations(rows, 2)))
    values = {row.label: paper.value(row.label, TEST_SET, METRIC) for row in paper.rows}
    rows = sorted((label for label, value in values.items() if value is not None), key=values.get)
    return [(a, b) for a, b in combinations(rows, 2) if values[a] < values[b]]


def order_sentence(paper: PaperTable, scored: Mapping[str, VehicleSums], where: str) -> str:
    """How far the order holds by mAP among the rows ``scored``, by label, on one test set under one protocol, ``where``.

    "" where fewer than two of the paper's rows are scored.
    """
    pairs = [pair for pair in ordered_pairs(paper) if set(pair) <= scored.keys()]
    if not pairs:
        return ""
    found = [direction(_difference(scored, lower, higher)) for lower, higher in pairs]
    same, against, open_ = (found.count(sign) for sign in (1, -1, 0))
    one = len(pairs) == 1
    counts = (
        f"{where}, of the {len(pairs)} pairs of rows that the paper orders{_by(paper)}, the order holds beyond chance for {same}, "
        f"is reversed beyond chance for {against}, and cannot be told for {open_}."
    )
    lower, higher = pairs[0]
    alone = (
        f"{where}, {higher}, ahead in the paper, differs from {lower} by {in_points(_difference(scored, lower, higher))} points "
        f"of mAP: {('not beyond chance', 'as in the paper', 'the other way round')[found[0]]}."
    )
    return alone if one else f"{counts} {_best(paper, pairs, scored)}"


def _best(paper: PaperTable, pairs: list[tuple[str, str]], scored: Mapping[str, VehicleSums]) -> str:
    """Which row is highest, and how the one that the paper has highest compares with it."""
    rows = list(dict.fromkeys(label for pair in pairs for label in pair))
    beaten = {lower for lower, _ in pairs}
    theirs = next(label for label in rows if label not in beaten)
    mAP = {label: estimates_of_sums(scored[label], 1)[METRIC].value for label in rows}
    ours = max(rows, key=mAP.get)
    if ours == theirs:
        above = sum(direction(_difference(scored, label, ours)) > 0 for label in rows if label != ours)
        return (
            f"{ours}, the paper's best, is highest here too, beyond chance over {above} of the {len(rows) - 1} others."
        )
    gap = _difference(scored, theirs, ours)
    chance = "beyond chance" if direction(gap) else "within chance"
    return f"Highest is {ours}, {in_points(gap)} points over {theirs}, the paper's best: {chance}."


def _difference(scored: Mapping[str, VehicleSums], lower: str, higher: str) -> Estimate:
    return differences_of_sums(scored[lower], scored[higher])[METRIC]


def _by(paper: PaperTable) -> str:
    return " in words" if paper.rising else f" by {METRIC} on {TEST_SET}"
