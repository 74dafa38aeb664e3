"""Writing a ``manifest.csv`` that :mod:`ssrnet.data.readers.csv_manifest` reads."""

from __future__ import annotations

import csv
import io
import os.path
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ssrnet.data.readers.csv_manifest import DRIVE, REQUIRED
from ssrnet.files import write_atomically


def write_manifest(path: Path, rows: Iterable[Mapping[str, str]], columns: Sequence[str] = REQUIRED) -> None:
    """:func:`manifest_text` into ``path``, atomically; raises :class:`ResourceError` where that fails."""
    content = manifest_text(rows, columns).encode()
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def manifest_text(rows: Iterable[Mapping[str, str]], columns: Sequence[str] = REQUIRED) -> str:
    """CSV text: ``columns``, then all others that have a value in any of the rows, by name."""
    rows = list(rows)
    others = sorted({column for row in rows for column, value in row.items() if value} - set(columns))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, *others], restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def can_be_written(name: str) -> bool:
    """Whether the reader gets this image name back: it strips spaces, and takes a backslash for a slash."""
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8
        return False
    return name == name.strip() and not any(sign in name for sign in "\\\0\r") and not DRIVE.match(name)


def image_folder(manifest: Path, folder: Path) -> str:
    """The cell ``image_folder`` of a manifest for images in ``folder``: empty, relative below the manifest, else absolute."""
    folder, beside = Path(os.path.abspath(folder)), Path(os.path.abspath(manifest.parent))
    if folder.is_relative_to(beside):
        return folder.relative_to(beside).as_posix().removeprefix(".")
    return str(folder)
