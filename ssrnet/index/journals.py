"""Checks the journals beside an SQLite file before it is opened, since opening acts on them."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")
"""The last bytes of a journal that names a super-journal (SQLite's pager.c)."""


def check_journals(database: Path) -> None:
    """Raises sqlite3.DatabaseError where a journal beside ``database`` names another file, or is a link or a folder.

    SQLite rolls back the change in a journal that a killed writer left. The journal of a change to several files names
    another file, and SQLite removes that file, whatever it is, unless it lists an existing journal. No writer here makes
    such journals.
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
    except FileNotFoundError:  # the usual case
        return
