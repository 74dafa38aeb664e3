"""The files beside an SQLite file, looked at before it is opened: what they ask for is done then."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")
"""The last bytes of a journal that names a super-journal (SQLite's pager.c)."""


def check_journals(database: Path) -> None:
    """What a killed writer left beside ``database``, if anything, is of this file alone.

    SQLite takes back the change that such a journal holds. The journal of a change to several files names another file,
    and SQLite removes that file, whatever it is, unless it lists a journal that is still there. No writer here makes one.
    Raises sqlite3.DatabaseError for such a journal, and for a link or a folder in a journal's place.
    """
    for ending in ("-journal", "-wal", "-shm"):
        path = database.with_name(database.name + ending)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise sqlite3.DatabaseError(f"{path.name} is no file of its own")
    try:
        with open(database.with_name(database.name + "-journal"), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(NAMES_ANOTHER)))
            if file.read() == NAMES_ANOTHER:
                raise sqlite3.DatabaseError(f"{database.name}-journal names another file")
    except FileNotFoundError:  # as it should be, and where its writer has just come to an end
        return
