"""The exact store: a folder with a memory-mapped float16 matrix, and an SQLite table of the entries of its rows.

``features.f16`` only grows: row r of D little-endian float16 numbers starts at byte 2 D r. ``entries.sqlite`` names the
valid rows. A row is written and synced before the transaction that names it is committed, so after kill -9 or a power
cut it is complete or absent, and bytes that a dead process left behind the last row are overwritten. The row of a
deleted entry stays in the file. Readers map the rows that are committed when they open the matrix, and no writer ever
truncates these, which would end a reader with SIGBUS: a matrix without valid rows is replaced.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import numpy as np

from ssrnet.errors import DataError, ResourceError
from ssrnet.index import vectors
from ssrnet.index.columns import Columns
from ssrnet.index.entries import EVERYTHING, FIELDS, Entry, Filters, Neighbour
from ssrnet.index.journals import check_journals
from ssrnet.index.search import candidates

MATRIX, INDEX = "features.f16", "entries.sqlite"
WAIT_SECONDS = 30
"""Longest wait of a writer for another one to finish its batch."""
AT_ONCE = 500
"""Values in one SQL statement; SQLite may be built with a limit of 999."""

TYPE = "vehicle_type"
"""The column that stores of earlier versions lack; the first change of such a store adds it."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    row INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice, so that a reader's row stays what it was
    key TEXT NOT NULL UNIQUE, source TEXT NOT NULL, name TEXT NOT NULL, content TEXT NOT NULL,
    vehicle_id TEXT, camera_id TEXT, time TEXT, path TEXT NOT NULL, vehicle_type TEXT,
    seconds REAL, norm REAL NOT NULL, crc INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS names ON entries (source, name);
"""


class ExactIndex:
    """See :class:`ssrnet.index.entries.GalleryIndex`. Opened by one or several processes; writers take turns."""

    def __init__(self, folder: Path, dimension: int, create: bool = False) -> None:
        """Opens the store in ``folder``, or creates an empty one there.

        Raises :class:`DataError` for a damaged or missing store, :class:`ResourceError` where it cannot be written.
        """
        self.folder, self.dimension = folder, dimension
        self._matrix_path, self._index_path = folder / MATRIX, folder / INDEX
        self._columns: Columns | None = None
        with self._readable():
            if create:
                folder.mkdir(parents=True, exist_ok=True)
                self._matrix_path.touch()
            elif not self._index_path.is_file():
                raise DataError(f"{self._index_path} is missing; restore it, or build the index again.")
            check_journals(self._index_path)
            self._db = sqlite3.connect(
                self._index_path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA trusted_schema=OFF")
            self._db.execute("PRAGMA synchronous=FULL")
            if create:
                self._db.executescript(SCHEMA)
            self._check_schema()
            self._check_size()

    def __len__(self) -> int:
        with self._readable():
            return self._db.execute("SELECT count(*) FROM entries").fetchone()[0]

    def add(self, entries: Sequence[Entry], features: np.ndarray) -> int:
        half = vectors.checked_features(features, len(entries), self.dimension)
        first = vectors.positions(entries)
        with self._readable(), self._transaction():
            stored = {row[0] for row in self._select("key", "key", list(first))}
            fresh = sorted(i for key, i in first.items() if key not in stored)
            start = self._rows_given()
            self._write_rows(start, half[fresh])
            self._db.executemany(
                f"INSERT INTO entries (row, key, seconds, norm, crc, {', '.join(FIELDS)}) "
                f"VALUES (?, ?, ?, ?, ?{', ?' * len(FIELDS)})",
                [
                    (
                        start + n + 1,
                        entries[i].key,
                        entries[i].seconds,
                        _norm(half[i]),
                        zlib.crc32(half[i].tobytes()),
                        *(getattr(entries[i], name) for name in FIELDS),
                    )
                    for n, i in enumerate(fresh)
                ],
            )
        return len(fresh)

    def relabel(self, entries: Sequence[Entry]) -> None:
        with self._readable(), self._transaction():
            self._db.executemany(
                f"UPDATE entries SET vehicle_id=?, camera_id=?, time=?, seconds=?, path=?, {TYPE}=? WHERE key=?",
                [(e.vehicle_id, e.camera_id, e.time, e.seconds, e.path, e.vehicle_type, e.key) for e in entries],
            )

    def delete(self, keys: Collection[str]) -> int:
        with self._readable(), self._transaction():
            return sum(
                self._db.execute(f"DELETE FROM entries WHERE key IN ({_marks(part)})", part).rowcount
                for part in _parts(list(keys))
            )

    def named(self, source: str, names: Sequence[str]) -> list[Entry]:
        with self._readable():
            rows = self._select(self._fields, "name", names, "source=? AND", (source,))
            return [self._entry(row) for row in rows]

    def entries(self) -> Iterator[Entry]:
        yield from (entry for _, part in self._listed(1000) for entry in part)

    def blocks(self, size: int = 1024) -> Iterator[tuple[list[Entry], np.ndarray]]:
        """All entries with their features (n, dimension) float16, ``size`` at a time, oldest first."""
        for rows, part in self._listed(size):
            yield part, self._rows(rows)

    def search(self, queries: np.ndarray, k: int, filters: Filters = EVERYTHING) -> list[list[Neighbour]]:
        queries = vectors.checked_queries(queries, k, self.dimension)
        with self._readable():
            columns = self._current_columns()
            rows, norms = columns.passing(filters)
            try:
                places = candidates(self._matrix(), rows, norms, queries, k, vectors.tolerance(self.dimension))
            except FloatingPointError as error:
                raise self._damaged(error) from error
            return [
                self._nearest(query, "row", rows[place] + 1, k) for query, place in zip(queries, places, strict=True)
            ]

    def among(self, queries: np.ndarray, keys: Sequence[Sequence[str]], k: int) -> list[list[Neighbour]]:
        """As :meth:`search`, each query only among the entries of its ``keys``."""
        queries = vectors.checked_queries(queries, k, self.dimension)
        with self._readable():
            return [self._nearest(query, "key", of_query, k) for query, of_query in zip(queries, keys, strict=True)]

    def features(self, keys: Sequence[str]) -> dict[str, np.ndarray]:
        """By key the feature (dimension,) float16 of each of ``keys`` that is there."""
        with self._readable():
            found = {row - 1: key for row, key in self._select("row, key", "key", keys)}
            rows = np.array(sorted(found), dtype=np.int64)
            return {found[row]: values for row, values in zip(rows.tolist(), self._rows(rows), strict=True)}

    def verify(self) -> None:
        """Reads every row and compares it with its checksum; raises :class:`DataError` for the first that differs."""
        with self._readable():
            result = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if result != "ok":
                raise self._damaged(result)
            numbers = [row[0] - 1 for row in self._db.execute("SELECT row FROM entries ORDER BY row")]
            for part in _parts(numbers, 4096):
                self._rows(np.array(part, dtype=np.int64))

    def save(self) -> None:
        """Does nothing: :meth:`add` returns once its rows are on the disk."""

    def close(self) -> None:
        self._columns = None
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _nearest(self, query: np.ndarray, column: str, values: Sequence, k: int) -> list[Neighbour]:
        """The ``k`` nearest of the entries whose row number or key is one of ``values``."""
        values = np.asarray(values).tolist()
        records = sorted(self._select(f"row, {self._fields}", column, values))  # without those deleted since
        rows = np.array([record[0] - 1 for record in records], dtype=np.int64)
        if len(rows) and not 0 <= rows[0] <= rows[-1] < self._rows_given():
            raise self._damaged("it names rows that were never written")
        # In parts, since all of a gallery may tie with the k-th.
        parts = [vectors.exact_distances(query, self._rows(part)) for part in _parts(rows, 4096)]
        distances = np.concatenate([np.zeros(0, dtype=np.float32), *parts])
        return vectors.nearest([self._entry(record[1:]) for record in records], distances, k)

    def _write_rows(self, start: int, half: np.ndarray) -> None:
        if not start and self._matrix_path.stat().st_size:  # of an index whose entries were removed: it may be mapped
            new = self._matrix_path.with_name(f".{MATRIX}.{os.getpid()}.part")
            new.touch()
            os.replace(new, self._matrix_path)
        with open(self._matrix_path, "r+b") as file:
            file.seek(start * 2 * self.dimension)
            file.write(half.tobytes())
            file.truncate()  # of a batch that was never committed
            file.flush()
            os.fsync(file.fileno())

    def _rows_given(self) -> int:
        """Rows that have ever been committed, deleted ones included."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name='entries'").fetchone()
        if row is not None and not (isinstance(row[0], int) and 0 <= row[0] < 2**40):
            raise self._damaged(f"it counts {row[0]!r} rows")
        return row[0] if row else 0

    def _check_schema(self) -> None:
        """Raises :class:`DataError` for other tables or columns: reading a view may run for ever, or fill the memory."""
        made = self._db.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        unexpected = [name for kind, name, _ in made if kind not in ("table", "index")]
        columns = self._db.execute("PRAGMA table_xinfo(entries)").fetchall()
        if not columns:
            raise self._damaged("no such table: entries")
        expected, there = {"row", "key", "seconds", "norm", "crc", *FIELDS}, {column[1] for column in columns}
        if unexpected or there | {TYPE} != expected or any(column[6] for column in columns):
            raise self._damaged(
                f"its database was not made by ssrnet: {', '.join(map(str, unexpected)) or 'other columns'}"
            )
        self._type = TYPE if TYPE in there else "NULL"
        self._fields = ", ".join(self._type if name == TYPE else name for name in FIELDS)

    def _entry(self, row: Sequence) -> Entry:
        try:
            return Entry(*row)
        except (AttributeError, TypeError) as error:  # SQLite stores bytes and numbers in a TEXT column too
            raise self._damaged(f"an entry is not made of strings: {row[1]!r}") from error

    def _check_size(self) -> None:
        given, size = self._rows_given(), self._matrix_path.stat().st_size
        if size < given * 2 * self.dimension:
            raise self._damaged(
                f"{MATRIX} has {size:,} bytes, and {given:,} rows of {self.dimension:,} numbers need "
                f"{given * 2 * self.dimension:,}"
            )

    def _matrix(self) -> np.ndarray:
        """(rows ever committed, dimension) float16, memory-mapped."""
        given = self._rows_given()
        if not given:
            return np.zeros((0, self.dimension), dtype="<f2")  # an empty file cannot be mapped
        self._check_size()
        try:
            # Copy-on-write, since torch warns of read-only arrays; nothing is ever written.
            return np.memmap(self._matrix_path, "<f2", "c", shape=(given, self.dimension))
        except ValueError as error:  # another index replaced it since the size was checked
            raise self._damaged(error) from error

    def _rows(self, rows: np.ndarray) -> np.ndarray:
        """(n, dimension) float16, each checked against its checksum."""
        values = np.array(self._matrix()[rows])
        sums = dict(self._select("row, crc", "row", (rows + 1).tolist()))
        for row, value in zip(rows, values, strict=True):
            if sums.get(int(row) + 1, None) not in (None, zlib.crc32(value.tobytes())):
                raise self._damaged(f"row {row:,} of {MATRIX} is not what was written there")
        return values

    def _listed(self, size: int) -> Iterator[tuple[np.ndarray, list[Entry]]]:
        last = 0
        while True:
            with self._readable():
                records = self._db.execute(
                    f"SELECT row, {self._fields} FROM entries WHERE row > ? ORDER BY row LIMIT ?", (last, size)
                ).fetchall()
            if not records:
                return
            last = records[-1][0]
            rows = np.array([record[0] - 1 for record in records], dtype=np.int64)
            yield rows, [self._entry(record[1:]) for record in records]

    def _current_columns(self) -> Columns:
        """The columns, read again after any process has written."""
        changes = self._db.execute("PRAGMA data_version").fetchone()[0], self._db.total_changes
        if self._columns is None or self._columns.changes != changes:
            try:
                self._columns = Columns.read(self._db, changes, self._rows_given, self._type)
            except (TypeError, ValueError, OverflowError) as error:
                raise self._damaged(error) from error
        return self._columns

    def _select(
        self, what: str, column: str, values: Sequence, condition: str = "", first: tuple = ()
    ) -> Iterator[tuple]:
        for part in _parts(values):
            query = f"SELECT {what} FROM entries WHERE {condition} {column} IN ({_marks(part)})"
            yield from self._db.execute(query, (*first, *part)).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._check_schema()  # another process may have added the column since
            if self._type != TYPE:
                self._db.execute(f"ALTER TABLE entries ADD COLUMN {TYPE} TEXT")
                self._check_schema()
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turns errors of SQLite and the disk into a sentence."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "no such" in str(error):
                raise self._damaged(error) from error
            raise ResourceError(
                f"{self._index_path} cannot be used ({error}); wait for another process that writes to it, free space, "
                "or check its permissions: what was committed is untouched."
            ) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error
        except FileNotFoundError as error:
            raise DataError(f"{error.filename} is missing; restore it, or build the index again.") from error
        except OSError as error:
            raise ResourceError(
                f"{self.folder} cannot be used ({error.strerror or error}); free space or check its permissions, "
                "what was committed is untouched."
            ) from error

    def _damaged(self, why: object) -> DataError:
        return DataError(
            f"the index in {self.folder} is damaged ({why}); restore it from a copy, or build it again in another folder."
        )


def _norm(half: np.ndarray) -> float:
    return float(np.linalg.norm(half.astype(np.float64)))


def _parts(values: Sequence, size: int = AT_ONCE) -> Iterable[Sequence]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _marks(values: Sequence) -> str:
    return ", ".join("?" * len(values))
