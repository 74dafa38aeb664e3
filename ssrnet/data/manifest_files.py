"""Writing a ``manifest.csv`` that :mod:`ssrnet.data.readers.csv_manifest` reads."""

from __future__ import annotations

import csv
import io
import os.path
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ssrnet.data.readers.csv_manifest import DRIVE
from ssrnet.files import write_atomically


def write_manifest(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """The rows under a header, atomically, as UTF-8; columns without any value are left out, but never the first three.

    Raises :class:`ResourceError` where the file cannot be written.
    """
    write_atomically(path, lambda temporary: temporary.write_bytes(manifest_text(columns, rows).encode()))


def manifest_text(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """What :func:`write_manifest` writes."""
    rows = list(rows)
    used = [each for at, each in enumerate(columns) if at < 3 or any(row.get(each) for row in rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, used, restval="", extrasaction="ignore", lineterminator="\n")
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
