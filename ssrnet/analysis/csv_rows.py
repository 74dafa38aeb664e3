"""Rows for tables and CSV files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssrnet.files import write_atomically

Cell = str | int | float | bool | None
Row = Mapping[str, Cell]
"""Cells by column. None is an empty cell: unknown, or not applicable."""


def csv_text(rows: Sequence[Row]) -> str:
    """CSV text: a header of all columns, in the order of appearance, then the rows; empty without rows.

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
    # File names that are not UTF-8 are surrogates in Python; this restores their bytes.
    content = csv_text(rows).encode(errors="surrogateescape")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def number(value: float) -> float | None:
    """``value`` as a cell; None for NaN."""
    return None if math.isnan(value) else float(value)


def _plain(cell: Cell) -> Cell:
    if isinstance(cell, bool):
        return int(cell)
    return None if isinstance(cell, float) and math.isnan(cell) else cell
