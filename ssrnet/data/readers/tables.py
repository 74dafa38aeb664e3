"""CSV tables with a header line."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ssrnet.data.readers.common import list_bytes, read_text
from ssrnet.errors import DataError

MOST_BYTES = 256 * 2**20
"""Of a table: half a million lines of five hundred letters."""
MOST_COLUMNS = 1000
LONGEST_LINE = 1_000_000
"""Characters: a line is taken apart before its fields are counted."""


class Row(NamedTuple):
    """One record: the 1-based line it starts on, and its stripped values by column."""

    line: int
    values: dict[str, str]


def read_csv(path: Path, required: Sequence[str]) -> Iterator[Row]:
    """The records of a comma-separated UTF-8 file, one after the other; blank lines are passed over.

    Raises :class:`DataError` for other encodings, broken quotes, columns that are missing, too many or named twice,
    records with more or fewer fields than the header, and files as large as :func:`read_text` says.
    """
    # Line by line: as one text with its records in a list the file is in memory ten times over.
    text = io.TextIOWrapper(io.BytesIO(list_bytes(path, MOST_BYTES)), encoding="utf-8-sig", newline="")
    # strict: otherwise a quote that is never closed swallows the rest of the file without a word.
    reader = csv.reader(_lines(path, text), strict=True)
    columns: list[str] | None = None
    line = 1
    try:
        for record in reader:
            fields = [value.strip() for value in record]
            if columns is None:
                columns = _check_columns(path, fields, required)
            elif any(fields):
                yield Row(line, _pair(path, line, columns, fields))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: not valid CSV ({error}); correct the quotes there.") from error
    except UnicodeDecodeError:
        read_text(path, most=MOST_BYTES)  # raises, and knows the line
        raise
    if columns is None:
        raise DataError(f"{path} is empty; it needs a header line with the columns {', '.join(required)}.")


def _lines(path: Path, text: io.TextIOWrapper) -> Iterator[str]:
    for number, line in enumerate(text, start=1):
        if len(line) > LONGEST_LINE:
            raise DataError(f"{path}, line {number}: {len(line):,} characters are no line of a table; check the file.")
        yield line


def _check_columns(path: Path, columns: list[str], required: Sequence[str]) -> list[str]:
    if len(columns) > MOST_COLUMNS:
        raise DataError(
            f"{path} has {len(columns):,} columns, more than the {MOST_COLUMNS:,} that are read; drop some."
        )
    missing = [column for column in required if column not in columns]
    if missing:
        raise DataError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} "
            f"(found: {', '.join(columns)}); name them in the first line, separated by commas."
        )
    twice = sorted(column for column, count in Counter(columns).items() if count > 1)
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
