"""Text files of data sets: lists line by line, and CSV tables with a header line."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO
from xml.parsers import expat

from ssrnet.errors import DataError
from ssrnet.files import open_regular, read_bytes

FIELDS = re.compile(r"[\s,]+")


class Row(NamedTuple):
    """One record of a table: the 1-based line it starts on, and its stripped values by column."""

    line: int
    values: dict[str, str]


def read_text(path: Path, encodings: Sequence[str] = ("utf-8-sig",)) -> str:
    """The text of ``path`` in the first of ``encodings`` that decodes it.

    Raises :class:`DataError` where none does, and for a file that cannot be read.
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return decode(data, path, encodings)


def decode(data: bytes, source: object, encodings: Sequence[str] = ("utf-8-sig",)) -> str:
    """``data`` as text, as :func:`read_text`; ``source`` is what messages call it."""
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
    raise DataError(
        f"{source}, line {line}: the text is not {' or '.join(encodings).removesuffix('-sig').upper()}; "
        "save the file as UTF-8."
    )


def read_lines(path: Path, encodings: Sequence[str] = ("utf-8-sig",)) -> list[tuple[int, str]]:
    """The lines of ``path`` that are not blank, stripped, with their 1-based numbers."""
    lines = enumerate(read_text(path, encodings).split("\n"), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def fields_of(line: str) -> list[str]:
    """What whitespace and commas separate in ``line``."""
    return FIELDS.split(line)


def read_xml_items(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Line and attributes of each ``Item`` of an XML file; UTF-8, or the gb2312 that VeRi-776 and CityFlow declare.

    Raises :class:`DataError` for other text, for broken XML, and for a document type: its entities may grow without end.
    """
    text = read_text(path, ("utf-8-sig", "gb18030"))
    items: list[tuple[int, dict[str, str]]] = []
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "Item":
            items.append((parser.CurrentLineNumber, attributes))

    def refuse(*declared: object) -> None:
        raise DataError(
            f"{path}, line {parser.CurrentLineNumber}: it declares a document type, which label files go without; remove it."
        )

    parser.StartElementHandler, parser.StartDoctypeDeclHandler = start, refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise DataError(f"{path} is not well-formed XML ({error}); download it again.") from error
    return items


def read_csv(path: Path, required: Sequence[str]) -> Iterator[Row]:
    """The records of a comma-separated UTF-8 file, one by one; blank lines are skipped.

    Raises :class:`DataError` for other encodings, broken quotes, columns that are missing or named twice, and records
    with more or fewer fields than the header.
    """
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as text:
            yield from csv_rows(text, path, required)
    except UnicodeDecodeError:
        read_text(path)  # raises with the line
        raise
    except OSError as error:
        raise _unreadable(path, error) from error


def csv_rows(text: TextIO, source: object, required: Sequence[str]) -> Iterator[Row]:
    """The records of an opened table, as :func:`read_csv`; ``source`` is what messages call it."""
    columns: list[str] | None = None
    line = 1
    # strict: otherwise a quote that is never closed swallows the rest of the file without an error.
    reader = csv.reader(text, strict=True)
    try:
        for record in reader:
            fields = [value.strip() for value in record]
            if columns is None:
                columns = _check_columns(source, fields, required)
            elif any(fields):
                yield Row(line, _pair(source, line, columns, fields))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{source}, line {line}: not valid CSV ({error}); correct the quotes there.") from error
    if columns is None:
        raise DataError(f"{source} is empty; it needs a header line with the columns {', '.join(required)}.")


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path} cannot be read ({error.strerror}); check the file and its permissions.")


def _check_columns(source: object, columns: list[str], required: Sequence[str]) -> list[str]:
    missing = [column for column in required if column not in columns]
    if missing:
        raise DataError(
            f"{source} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} "
            f"(found: {', '.join(columns)}); name them in the first line, separated by commas."
        )
    twice = sorted(column for column, count in Counter(columns).items() if count > 1)
    if twice:
        raise DataError(f"{source} names the column {twice[0]!r} twice; rename one of them.")
    return columns


def _pair(source: object, line: int, columns: list[str], fields: list[str]) -> dict[str, str]:
    if len(fields) != len(columns):
        raise DataError(
            f"{source}, line {line}: {len(fields)} fields where the header names {len(columns)} columns; "
            "put fields that contain commas in double quotes."
        )
    return dict(zip(columns, fields, strict=True))
