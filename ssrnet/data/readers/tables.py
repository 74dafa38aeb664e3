"""CSV tables with a header line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssrnet.data.readers.common import read_text
from ssrnet.errors import DataError


@dataclass(frozen=True)
class Row:
    """One record: the 1-based line it starts on, and its stripped values by column."""

    line: int
    values: dict[str, str]


def read_csv(path: Path, required: Sequence[str]) -> list[Row]:
    """The records of a comma-separated UTF-8 file; blank lines are passed over.

    Raises :class:`DataError` for other encodings, broken quotes, columns that are missing or named twice,
    and records with more or fewer fields than the header.
    """
    # strict: otherwise a quote that is never closed swallows the rest of the file without a word.
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    rows: list[Row] = []
    columns: list[str] | None = None
    line = 1
    try:
        for record in reader:
            fields = [value.strip() for value in record]
            if columns is None:
                columns = _check_columns(path, fields, required)
            elif any(fields):
                rows.append(Row(line, _pair(path, line, columns, fields)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: not valid CSV ({error}); correct the quotes there.") from error
    if columns is None:
        raise DataError(f"{path} is empty; it needs a header line with the columns {', '.join(required)}.")
    return rows


def _check_columns(path: Path, columns: list[str], required: Sequence[str]) -> list[str]:
    missing = [column for column in required if column not in columns]
    if missing:
        raise DataError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} "
            f"(found: {', '.join(columns)}); name them in the first line, separated by commas."
        )
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise DataError(f"{path} names the column {twice[0]!r} twice; rename one of them.")
    return columns


def _pair(path: Path, line: int, columns: list[str], fields: list[str]) -> dict[str, str]:
    if len(fields) != len(columns):
        raise DataError(
            f"{path}, line {line}: {len(fields)} fields where the header names {len(columns)} columns; "
            "put fields that contain commas in double quotes."
        )
    return dict(zip(columns, fields, strict=True))
