"""Qdrant's local files, looked through before Qdrant reads them: it keeps each point as a pickle, which may be code."""

from __future__ import annotations

import io
import pickle
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ssrnet.files import read_json
from ssrnet.index.journals import check_journals

POINT = ("qdrant_client.http.models.models", "PointStruct")


class _Point:
    """What a point becomes here; its numbers are of no interest."""


class _PointReader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) != POINT:
            raise pickle.UnpicklingError(f"a point names {module}.{name}, which was not loaded")
        return _Point


def check_points(folder: Path) -> None:
    """Every point of every collection in ``folder`` is one, and no other code; nothing is there yet in a new folder.

    No file in it is a link: Qdrant would read, make and lock files wherever it leads.
    Raises OSError, ValueError, TypeError, KeyError, AttributeError, EOFError, UnpicklingError or sqlite3.Error where
    that is not so.
    """
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise ValueError(f"{path.relative_to(folder)} is a link")
    if not (folder / "meta.json").exists():
        return
    for name in read_json(folder / "meta.json")["collections"]:
        if Path(name).name != name or name in (".", ".."):
            raise ValueError(f"a collection is called {name[:80]!r}")
        storage = folder / "collection" / name / "storage.sqlite"
        if storage.exists():
            _check_storage(storage)


def _check_storage(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"{path} is no file")
    check_journals(path)
    # For writing, since what a killed writer began has to be taken back before it can be read.
    db = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)
    try:
        made = {(kind, name) for kind, name in db.execute("SELECT type, name FROM sqlite_master") if kind != "index"}
        columns = [(column[1], column[6]) for column in db.execute("PRAGMA table_xinfo(points)")]
        # A view in the table's place may have no end.
        if made and (made != {("table", "points")} or columns != [("id", 0), ("point", 0)]):
            raise ValueError(f"{path.name} has more than a table of points")
        for (value,) in db.execute("SELECT point FROM points") if made else ():
            if type(_PointReader(io.BytesIO(value)).load()) is not _Point:
                raise ValueError(f"{path.name} has a point that is none")
    finally:
        db.close()
