"""Whether the paper's order of a table's rows holds among the networks measured here, beyond chance, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from ssrnet.analysis.query_slices import FEW_VEHICLES
from ssrnet.analysis.verdict import direction, in_points
from ssrnet.retrieval.metric_intervals import Estimate, VehicleSums, differences_of_sums, estimates_of_sums
from ssrnet.studies.paper import PaperTable

TEST_SET, METRIC = "VeRi-776", "mAP"
"""The paper's column by which its rows are ordered; every table of networks that it trained has it."""
CHANCE = (
    "Small numbers: 95 % bootstrap intervals over query vehicles. Beyond chance: the paired interval of a difference excludes "
    "0, each pair of rows by itself. No interval covers what another seed of the training would change."
)
"""What stands below a table with intervals."""


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
    vehicles = len(scored[pairs[0][0]].vehicles)
    if vehicles < FEW_VEHICLES:
        return f"{where}, {vehicles} query vehicles are too few to tell an order of rows from chance."
    differences = [_difference(scored, *pair) for pair in pairs]
    found = [direction(difference) for difference in differences]
    if len(pairs) == 1:
        (lower, higher), says = pairs[0], ("within chance", "as in the paper", "the other way round")[found[0]]
        return f"{where}, {higher}, ahead in the paper, differs from {lower} by {in_points(differences[0])} points of mAP: {says}."
    by = " in words" if paper.rising else f" by {METRIC} on {TEST_SET}"
    return (
        f"{where}, of the {len(pairs)} pairs of rows that the paper orders{by}, the order holds beyond chance for "
        f"{found.count(1)}, is reversed beyond chance for {found.count(-1)}, and is within chance for {found.count(0)}. "
        f"{_best(pairs, scored)}"
    )


def _best(pairs: Sequence[tuple[str, str]], scored: Mapping[str, VehicleSums]) -> str:
    """Which of the pairs' rows is highest, and how the one that is highest in the paper compares with it."""
    rows = list(dict.fromkeys(label for pair in pairs for label in pair))
    below = {lower for lower, _ in pairs}
    theirs = next(label for label in rows if label not in below)
    ours = max(rows, key=lambda label: estimates_of_sums(scored[label], 1)[METRIC].value)
    if ours == theirs:
        above = sum(direction(_difference(scored, label, ours)) > 0 for label in rows if label != ours)
        return f"{ours}, highest of them in the paper, is highest here, beyond chance over {above} of the {len(rows) - 1} others."
    gap = _difference(scored, theirs, ours)
    chance = "beyond chance" if direction(gap) else "within chance"
    return f"{ours} is highest here, {in_points(gap)} points over {theirs}, which is highest in the paper: {chance}."


def _difference(scored: Mapping[str, VehicleSums], lower: str, higher: str) -> Estimate:
    return differences_of_sums(scored[lower], scored[higher])[METRIC]
