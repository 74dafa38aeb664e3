"""The paper's numbers, from ``paper.json``, their only place in the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, NamedTuple


@dataclass(frozen=True)
class PaperRow:
    """One row of a table; a value is None where the paper has N/A.

    ``reference`` is the paper's number of the cited work; ``same_base_network`` is its asterisk.
    """

    label: str
    values: tuple[float | None, ...]
    reference: int | None = None
    same_base_network: bool = False


@dataclass(frozen=True)
class Claim:
    """What the text says of a table that the table does not bear out: each of ``better`` exceeds each of ``over``.

    ``stated``: by at least so many points, or None where the text has no number. ``words``: the text's own, at ``where``.
    """

    where: str
    words: str
    better: tuple[str, ...]
    over: tuple[str, ...]
    test_sets: tuple[str, ...]
    metric: str
    stated: float | None


class Gain(NamedTuple):
    """``points`` in percent that a row has more than another on a test set."""

    points: float
    better: str
    over: str
    test_set: str


@dataclass(frozen=True)
class PaperTable:
    """One table. ``columns``: pairs of test set ("" for none) and metric; ``notes``: how we read the text.

    Rank-1, Rank-5 and mAP are in percent. ``name`` is the paper's ("Table 1"), ``source`` its section. ``rising``: rows that
    the text orders in words, each list from the lowest on, where the paper prints no numbers. ``groups``: headings by the
    label of the row that they stand above.
    """

    name: str
    title: str
    source: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[PaperRow, ...]
    notes: tuple[str, ...]
    claims: tuple[Claim, ...] = ()
    rising: tuple[tuple[str, ...], ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)

    def row(self, label: str) -> PaperRow | None:
        """The row with that label, or None where the paper gives none (Fig. 4's points)."""
        return next((row for row in self.rows if row.label == label), None)

    def value(self, label: str, test_set: str, metric: str) -> float | None:
        """One number; raises :class:`KeyError` for a row or column that the table does not have."""
        row = self.row(label)
        if row is None or (test_set, metric) not in self.columns:
            raise KeyError(f"{self.name} has no {label} / {test_set} / {metric}")
        return row.values[self.columns.index((test_set, metric))]

    def smallest_gain(self, claim: Claim) -> Gain:
        """The smallest of the differences that ``claim`` is about, as the table has them."""
        return min(
            Gain(self.value(a, test, claim.metric) - self.value(b, test, claim.metric), a, b, test)
            for a in claim.better
            for b in claim.over
            for test in claim.test_sets
        )


@cache
def paper_tables() -> dict[str, PaperTable]:
    """Tables 1 to 9 and Fig. 4 by the paper's names, in its order."""
    return {name: _table(name, entry) for name, entry in _file()["tables"].items()}


@cache
def references() -> dict[int, str]:
    """The works that the tables cite, by the paper's numbers."""
    return {int(number): text for number, text in _file()["references"].items()}


def citation() -> str:
    """The reference of the paper itself."""
    return _file()["citation"]


@cache
def _file() -> dict[str, Any]:
    return json.loads(resources.files(__package__).joinpath("paper.json").read_text(encoding="utf-8"))


def _table(name: str, entry: dict[str, Any]) -> PaperTable:
    rows = tuple(PaperRow(**{**row, "values": tuple(row["values"])}) for row in entry["rows"])
    columns = tuple((test_set, metric) for test_set, metric in entry["columns"])
    claims = tuple(
        Claim(**{name: tuple(value) if isinstance(value, list) else value for name, value in claim.items()})
        for claim in entry.get("claims", ())
    )
    return PaperTable(
        name,
        entry["title"],
        entry["source"],
        columns,
        rows,
        tuple(entry["notes"]),
        claims,
        rising=tuple(map(tuple, entry.get("rising", ()))),
        groups=entry.get("groups", {}),
    )
