"""Gallery indexes that are not what they say."""

from __future__ import annotations

import base64
import json
import pickle
import random
import sqlite3
import struct
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ssrnet.index.entries import Filters
from ssrnet.index.opening import make_index, open_index
from tests.index import galleries
from tests.soak.hostile import Case, Make, Payload, safetensors, special

ROWS = 40


def cases() -> list[Case]:
    return _indexes() + _databases() + _qdrant() + _journals()


def _asked(folder: Path) -> object:
    """Opened, counted, listed and searched, with filters and without."""
    index, record = open_index(folder)
    try:
        queries = galleries.features(2, record.dimension)
        len(index)
        found = index.search(queries, 5)
        index.search(queries, 3, Filters(cameras=("c1",), after=0.0, before=1e9))
        list(index.entries())
        return found
    finally:
        index.close()


def _index(change: Callable[[Path], object], backend: str = "exact") -> Make:
    """An index of forty images, changed."""

    def make(folder: Path, draw: random.Random) -> Path:
        root = folder / "index"
        index = make_index(root, backend, galleries.MADE_BY, galleries.DIMENSION)[0]
        index.add(galleries.entries(ROWS), galleries.features(ROWS))
        index.close()
        change(root)
        return root

    return make


def _indexes() -> list[Case]:
    """``index.json`` and the matrix."""

    def record(**values: object) -> Callable[[Path], object]:
        def change(root: Path) -> None:
            path = root / "index.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | values))

        return change

    def file(name: str, content: bytes) -> Callable[[Path], object]:
        return lambda root: (root / name).write_bytes(content)

    def features(**values: object) -> Callable[[Path], object]:
        return record(features=galleries.MADE_BY | values)

    nan = np.full((ROWS, galleries.DIMENSION), np.nan, dtype="<f2").tobytes()
    infinite = np.full((ROWS, galleries.DIMENSION), np.inf, dtype="<f2").tobytes()
    size = ROWS * galleries.DIMENSION * 2
    changes: dict[str, Callable[[Path], object]] = {
        "as long as 10^12": record(dimension=10**12, stored=10**12),
        "of dimension 0": record(dimension=0, stored=0),
        "of dimension -1": record(dimension=-1, stored=-1),
        "of a text's dimension": record(dimension="24"),
        "of dimension true": record(dimension=True, stored=True),
        "of 10^400": record(dimension=10**400, stored=10**400),
        "of another dimension": record(dimension=12, stored=12),
        "projected without": record(dimension=2048),
        "of no backend": record(backend="pickle"),
        "of Qdrant that is not there": record(backend="qdrant"),
        "another format": record(format="x" * 5000),
        "an unknown key": record(code="import os"),
        "features that are none": record(features=None),
        "features of texts": features(image_size="64"),
        "features of 10^9 pixels": features(image_size=10**9),
        "features of no pixels": features(image_size=0),
        "branches that are none": features(branches=7),
        "a neck that is none": features(neck="long\n"),
        "no hash": record(features={}),
        "no JSON": file("index.json", b"{"),
        "nothing in index.json": file("index.json", b""),
        "not UTF-8": file("index.json", b"\xff\xfe{}"),
        "levels": file("index.json", b"[" * 50_000 + b"]" * 50_000),
        "200 MB": lambda root: (root / "index.json").open("wb").truncate(200_000_000),
        "a shorter matrix": file("features.f16", bytes(size - 2)),
        "an empty matrix": file("features.f16", b""),
        "no matrix": lambda root: (root / "features.f16").unlink(),
        "another matrix": file("features.f16", bytes(size)),
        "a matrix of NaN": file("features.f16", nan),
        "an infinite matrix": file("features.f16", infinite),
        "no database": lambda root: (root / "entries.sqlite").unlink(),
        "a database of noise": file("entries.sqlite", bytes(range(256)) * 40),
        "an empty database": file("entries.sqlite", b""),
        "half a database": lambda root: file("entries.sqlite", (root / "entries.sqlite").read_bytes()[:5000])(root),
        "a projection of lies": lambda root: [
            record(stored=12)(root),
            file("projection.safetensors", safetensors({"directions": 1}))(root),
        ],
    }
    found = [Case(f"index: {name}", _index(change), _asked) for name, change in changes.items()]
    found.append(Case("index: as it was", _index(lambda root: None), _asked, "opens", lambda rows: len(rows[0]) == 5))
    longer = _index(lambda root: (root / "features.f16").open("ab").write(bytes(999)))
    found.append(Case("index: a longer matrix", longer, _asked, "opens", lambda rows: len(rows[0]) == 5))
    for name in ("index.json", "features.f16", "entries.sqlite"):
        for what, thing in special(name).items():

            def change(root: Path, name=name, thing=thing) -> None:
                (root / name).unlink()
                thing(root, random.Random(0))

            found.append(Case(f"index: {name} is {what}", _index(change), _asked))
    found += [Case(f"index folder: {name}", make, _asked) for name, make in special("index").items()]
    return found


def _databases() -> list[Case]:
    """``entries.sqlite`` with what SQLite lets a table be."""
    columns = "row, key, source, name, content, vehicle_id, camera_id, time, path, seconds, norm, crc"
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
    plain = f"CREATE TABLE old AS SELECT {columns} FROM entries; DROP TABLE entries;"
    scripts = {
        "an endless view": f"DROP TABLE entries; CREATE VIEW entries AS {endless} SELECT x AS {columns.replace(', ', ', x AS ')} FROM c",
        "a view": f"{plain} CREATE VIEW entries AS SELECT * FROM old",
        "a trigger": "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries; END",
        "no table": "DROP TABLE entries",
        "no columns": "DROP TABLE entries; CREATE TABLE entries (row INTEGER PRIMARY KEY)",
        "computed columns": f"DROP TABLE entries; CREATE TABLE entries (row INTEGER PRIMARY KEY AUTOINCREMENT, x, {', '.join(f'{c} AS (zeroblob(1000000000))' for c in columns.split(', ')[1:])})",
        "rows of another's numbers": "UPDATE sqlite_sequence SET seq = 9000000000000000000",
        "a sequence of texts": "UPDATE sqlite_sequence SET seq = 'many'",
        "a sequence that is none": "UPDATE sqlite_sequence SET seq = NULL",
        "fewer in the sequence": "UPDATE sqlite_sequence SET seq = 3",
        "a negative sequence": "UPDATE sqlite_sequence SET seq = -3",
        "names of bytes": "UPDATE entries SET name = x'ff00'",
        "names of numbers": f"{plain} CREATE TABLE entries ({columns}); INSERT INTO entries SELECT * FROM old; UPDATE entries SET name = 7",
        "lengths of texts": "UPDATE entries SET norm = 'long'",
        "lengths of bytes": "UPDATE entries SET norm = x'00'",
        "infinite lengths": "UPDATE entries SET norm = 9e999",
        "seconds of texts": "UPDATE entries SET seconds = 'soon'",
        "vehicles of bytes": "UPDATE entries SET vehicle_id = x'ff'",
        "wrong sums": "UPDATE entries SET crc = 1",
        "sums of texts": "UPDATE entries SET crc = 'x'",
        "negative rows": "UPDATE entries SET row = row - 1000",
        "rows beyond the end": "UPDATE entries SET row = row + 1000000000000",
        "lengths of nothing": f"{plain} CREATE TABLE entries ({columns}); INSERT INTO entries SELECT * FROM old; UPDATE entries SET norm = NULL",
    }

    def run(script: str) -> Callable[[Path], None]:
        def change(root: Path) -> None:
            db = sqlite3.connect(root / "entries.sqlite")
            db.executescript(script)
            db.commit()
            db.close()

        return change

    return [
        Case(f"database: {name}", _index(run(script)), _asked, "sentence", says="index")
        for name, script in scripts.items()
    ]


def _qdrant() -> list[Case]:
    """Qdrant's local files keep every point as a pickle."""

    def change(value: Callable[[Path], bytes]) -> Callable[[Path], None]:
        def changed(root: Path) -> None:
            path = next(root.rglob("storage.sqlite"))
            db = sqlite3.connect(path)
            key = base64.b64encode(pickle.dumps("0" * 32)).decode()
            db.execute("INSERT INTO points VALUES (?, ?)", (key, value(root.parent)))
            db.commit()
            db.close()

        return changed

    values: dict[str, Callable[[Path], bytes]] = {
        "code": lambda folder: pickle.dumps(Payload(folder)),
        "code in a list": lambda folder: pickle.dumps([1, Payload(folder)]),
        "noise": lambda folder: b"\x80\x04noise",
        "a number": lambda folder: pickle.dumps(7),
        "nothing": lambda folder: b"",
    }
    try:
        import qdrant_client  # noqa: F401
    except ImportError:
        return []
    found = [Case(f"Qdrant: {name}", _index(change(value), "qdrant"), _asked) for name, value in values.items()]
    found.append(
        Case("Qdrant: as it was", _index(lambda root: None, "qdrant"), _asked, "opens", lambda rows: len(rows[0]) == 5)
    )
    views = "DROP TABLE points; CREATE VIEW points AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS id, x AS point FROM c"

    def endless(root: Path) -> None:
        db = sqlite3.connect(next(root.rglob("storage.sqlite")))
        db.executescript(views)
        db.close()

    def locked(root: Path) -> None:
        lock = next(root.rglob(".lock"))
        lock.unlink()
        lock.symlink_to(root.parent.parent / "outside" / "made.txt")

    def elsewhere(root: Path) -> None:
        collection = next(root.rglob("storage.sqlite")).parent
        collection.rename(root.parent / "moved")
        collection.symlink_to(root.parent / "moved")

    found.append(Case("Qdrant: a lock that is a link to nothing", _index(locked, "qdrant"), _asked, "sentence"))
    found.append(Case("Qdrant: a collection that is a link", _index(elsewhere, "qdrant"), _asked, "sentence"))
    found.append(Case("Qdrant: an endless view", _index(endless, "qdrant"), _asked))
    meta = _index(lambda root: next(root.rglob("meta.json")).write_text("[" * 9999), "qdrant")
    return [*found, Case("Qdrant: meta.json of levels", meta, _asked)]


def _journals() -> list[Case]:
    """What a killed writer leaves beside an SQLite file; a journal may name a file, which SQLite would then remove."""
    backends = {"exact": "entries.sqlite"} | ({"qdrant": "storage.sqlite"} if find_spec("qdrant_client") else {})

    def left(root: Path, name: str) -> Path:
        """The journal of a change that was begun and never ended."""
        path = next(root.rglob(name))
        table = "entries" if name == "entries.sqlite" else "points"
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA cache_size=1")
        db.executescript(f"BEGIN; CREATE TABLE more AS SELECT * FROM {table}; DROP TABLE {table};")
        db.execute("CREATE TABLE much AS SELECT zeroblob(100000)")
        beside = [(file, file.read_bytes()) for file in (path, path.with_name(f"{name}-journal"))]
        db.execute("ROLLBACK")
        db.close()
        for file, content in beside:
            file.write_bytes(content)
        return beside[1][0]

    def naming(root: Path, name: str) -> None:
        kept = str(root.parent.parent / "outside" / "kept.txt").encode()
        assert Path(kept.decode()).is_file()
        with open(left(root, name), "ab") as journal:
            about = struct.pack(">II", len(kept), sum(kept) % 2**32)
            journal.write(struct.pack(">I", 0x40000000 // 4096 + 1) + kept + about + bytes.fromhex("d9d505f920a163d7"))

    found = []
    for backend, name in backends.items():
        for ending in ("-journal", "-wal", "-shm"):

            def link(root: Path, name=name, ending=ending) -> None:
                path = next(root.rglob(name))
                path.with_name(name + ending).symlink_to(root.parent.parent / "outside" / "kept.txt")

            found.append(Case(f"{backend}: {ending} is a link", _index(link, backend), _asked, "sentence"))
        found.append(
            Case(
                f"{backend}: a journal that names a file",
                _index(partial(naming, name=name), backend),
                _asked,
                "sentence",
            )
        )
        found.append(
            Case(
                f"{backend}: a change that was never ended",
                _index(partial(left, name=name), backend),
                _asked,
                "opens",
                lambda rows: len(rows[0]) == 5,
            )
        )
    return found
