"""Plain rows for tables and CSV files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssrnet.files import write_atomically

Cell = str | int | float | bool | None
Row = Mapping[str, Cell]
"""A line of a table by column. None is an empty cell: not known, or no such thing."""


def csv_text(rows: Sequence[Row]) -> str:
    """Comma-separated lines below a line of all rows' columns, first come; empty without rows.

    None and NaN become empty cells, True and False 1 and 0.
    """
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if not columns:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """:func:`csv_text` into ``path``, atomically, as UTF-8; raises :class:`ResourceError` where that fails."""
    # Names of files that are not UTF-8 are surrogates in Python, and keep their bytes.
    content = csv_text(rows).encode(errors="surrogateescape")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def number(value: float) -> float | None:
    """``value`` as a cell; None for NaN."""
    return None if math.isnan(value) else float(value)


def _plain(cell: Cell) -> Cell:
    if isinstance(cell, bool):
        return int(cell)
    return None if isinstance(cell, float) and math.isnan(cell) else cell
