"""Indexes, runs, studies and notes that are not what they say."""

from __future__ import annotations

import base64
import json
import pickle
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ssrnet.comparison.results import read_comparison
from ssrnet.explain.gallery_notes import FORMAT, GalleryNotes, View, read_notes
from ssrnet.index.entries import Filters
from ssrnet.index.opening import make_index, open_index
from ssrnet.runs import find_runs, find_studies, panels, read_run
from ssrnet.studies.explanations.results import read_findings
from ssrnet.studies.results import read_cell
from ssrnet.studies.tables import measured_tables, protocol_records, report_tables
from tests.index import galleries
from tests.soak.hostile import Case, Make, Payload, Read, crossed, safetensors, special, written

ROWS = 40


def cases() -> list[Case]:
    return _indexes() + _databases() + _qdrant() + _runs() + _json_files() + _studies() + _notes()


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
        "as long as 10^12": record(dimension=10**12, stored=10**12), "of dimension 0": record(dimension=0, stored=0), "of dimension -1":
        record(dimension=-1, stored=-1), "of a text's dimension": record(dimension="24"), "of dimension true": record(dimension=True, stored=True),
        "of 10^400": record(dimension=10**400, stored=10**400), "of another dimension": record(dimension=12, stored=12), "projected without":
        record(dimension=2048), "of no backend": record(backend="pickle"), "of Qdrant that is not there": record(backend="qdrant"),
        "another format": record(format="x" * 5000), "an unknown key": record(code="import os"), "features that are none": record(features=None),
        "features of texts": features(image_size="64"), "features of 10^9 pixels": features(image_size=10**9), "features of no pixels":
        features(image_size=0), "branches that are none": features(branches=7), "a neck that is none": features(neck="long\n"),
        "no hash": record(features={}), "no JSON": file("index.json", b"{"), "nothing in index.json": file("index.json", b""), "not UTF-8":
        file("index.json", b"\xff\xfe{}"), "levels": file("index.json", b"[" * 50_000 + b"]" * 50_000), "200 MB":
        lambda root: (root / "index.json").open("wb").truncate(200_000_000), "a shorter matrix": file("features.f16", bytes(size - 2)),
        "an empty matrix": file("features.f16", b""), "no matrix": lambda root: (root / "features.f16").unlink(), "another matrix":
        file("features.f16", bytes(size)), "a matrix of NaN": file("features.f16", nan), "an infinite matrix": file("features.f16", infinite),
        "no database": lambda root: (root / "entries.sqlite").unlink(), "a database of noise": file("entries.sqlite", bytes(range(256)) * 40),
        "an empty database": file("entries.sqlite", b""), "half a database":
        lambda root: file("entries.sqlite", (root / "entries.sqlite").read_bytes()[:5000])(root), "a projection of lies":
        lambda root: [record(stored=12)(root), file("projection.safetensors", safetensors({"directions": 1}))(root)],
    }  # fmt: skip
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
        "a view": f"{plain} CREATE VIEW entries AS SELECT * FROM old", "a trigger":
        "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries; END", "no table": "DROP TABLE entries", "no columns":
        "DROP TABLE entries; CREATE TABLE entries (row INTEGER PRIMARY KEY)", "computed columns":
        f"DROP TABLE entries; CREATE TABLE entries (row INTEGER PRIMARY KEY AUTOINCREMENT, x, {', '.join(f'{c} AS (zeroblob(1000000000))' for c in columns.split(', ')[1:])})",
        "rows of another's numbers": "UPDATE sqlite_sequence SET seq = 9000000000000000000", "a sequence of texts":
        "UPDATE sqlite_sequence SET seq = 'many'", "a sequence that is none": "UPDATE sqlite_sequence SET seq = NULL", "fewer in the sequence":
        "UPDATE sqlite_sequence SET seq = 3", "a negative sequence": "UPDATE sqlite_sequence SET seq = -3", "names of bytes": "UPDATE entries SET name = x'ff00'",
        "names of numbers": f"{plain} CREATE TABLE entries ({columns}); INSERT INTO entries SELECT * FROM old; UPDATE entries SET name = 7",
        "lengths of texts": "UPDATE entries SET norm = 'long'", "lengths of bytes": "UPDATE entries SET norm = x'00'", "infinite lengths":
        "UPDATE entries SET norm = 9e999", "seconds of texts": "UPDATE entries SET seconds = 'soon'", "vehicles of bytes": "UPDATE entries SET vehicle_id = x'ff'",
        "wrong sums": "UPDATE entries SET crc = 1", "sums of texts": "UPDATE entries SET crc = 'x'", "negative rows":
        "UPDATE entries SET row = row - 1000", "rows beyond the end": "UPDATE entries SET row = row + 1000000000000",
        "lengths of nothing": f"{plain} CREATE TABLE entries ({columns}); INSERT INTO entries SELECT * FROM old; UPDATE entries SET norm = NULL",
    }  # fmt: skip

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
        "code": lambda folder: pickle.dumps(Payload(folder)), "code in a list": lambda folder: pickle.dumps([1, Payload(folder)]),
        "noise": lambda folder: b"\x80\x04noise", "a number": lambda folder: pickle.dumps(7), "nothing": lambda folder: b"",
    }  # fmt: skip
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

    found.append(Case("Qdrant: an endless view", _index(endless, "qdrant"), _asked))
    meta = _index(lambda root: next(root.rglob("meta.json")).write_text("[" * 9999), "qdrant")
    return [*found, Case("Qdrant: meta.json of levels", meta, _asked)]


def _runs() -> list[Case]:
    def read(folder: Path) -> object:
        found = find_runs([folder]) or [folder]
        runs = [read_run(path) for path in found]
        panels(runs)
        return runs

    def log(content: bytes | str, settings: str = '{"recipe": "x"}') -> Make:
        def make(folder: Path, draw: random.Random) -> Path:
            written("log.jsonl", content)(folder, draw)
            (folder / "settings.json").write_text(settings)
            return folder

        return make

    line = '{"epoch": 1, "loss": 0.5, "seconds": 3}\n'
    logs = {
        "nothing": "", "noise": bytes(range(256)), "epochs that fall": "".join(f'{{"epoch": {i}}}\n' for i in range(200, 0, -1)), "100,000 epochs":
        "".join(f'{{"epoch": {i}, "loss": 1}}\n' for i in range(100_000)), "an epoch that is true": line + '{"epoch": true}\n' + line, "an epoch of NaN":
        line + '{"epoch": NaN}\n' + line, "an epoch of 10^400": line + f'{{"epoch": 1{"0" * 400}}}\n' + line, "a loss of 10^400":
        f'{{"epoch": 1, "loss": 1{"0" * 400}}}\n' * 2, "a loss of NaN": '{"epoch": 1, "loss": NaN, "seconds": Infinity}\n' * 2, "a loss of texts":
        '{"epoch": 1, "loss": "x", "cmc": "abc", "held_back": {"cmc": [1, "a"]}}\n' * 2, "levels": line + "[" * 10_000 + "\n" + line, "inner levels":
        '{"epoch": 1, "a": ' + '{"b":' * 900 + "1" + "}" * 900 + "}\n", "cut short": line + '{"epoch":', "lists": "[1]\n" + line, "a negative epoch":
        line + '{"epoch": -4}\n' + line, "seconds that are negative": '{"epoch": 1, "seconds": -5}\n', "20 MB": line * 500_000,
    }  # fmt: skip
    settings = {
        "levels": "[" * 10_000, "a list": "[1]", "a model of lies": '{"recipe": "x", "model": {"gcn_depth": "deep", "backbone": [1]}}', "no UTF-8": "\ud800",
        "numbers that are texts": '{"recipe": 7, "epochs": "many", "max_steps": [1], "model": 3}', "inner levels": '{"recipe": ' + '{"a":' * 900 + "1" + "}" * 901,
    }  # fmt: skip
    found = [
        Case(f"log: {name}", log(text), read, "either", says="" if name != "20 MB" else "log.jsonl")
        for name, text in logs.items()
    ]
    found += [
        Case(f"settings: {name}", log(line, text.encode("utf-8", "replace").decode()), read, "either")
        for name, text in settings.items()
    ]
    for name in ("run/log.jsonl", "run/settings.json"):
        for what, thing in special(name).items():

            def make(folder: Path, draw: random.Random, thing=thing) -> Path:
                thing(folder, draw)
                return folder

            found.append(Case(f"{name}: {what}", make, read, "either"))
    found += [Case(f"run folder: {name}", make, read_run) for name, make in special("run").items()]
    return found


def _json_files() -> list[Case]:
    """What Scoreboard and the studies read, all of them JSON."""
    contents: dict[str, bytes | str | Callable[[random.Random], bytes]] = {
        "nothing": "", "noise": lambda draw: draw.randbytes(999), "a list": "[]", "a number": "7", "null": "null", "levels": "[" * 99_999, "keys": "{}",
        "lists of 31 MB": lambda draw: b"[" + b"[]," * 10_000_000 + b"1]", "100 MB": lambda draw: b" " * 100_000_000, "a text": '"x"', "UTF-16":
        "{}".encode("utf-16"), "a format of 5,000 letters": json.dumps({"format": "x" * 5000}), "digits": "9" * 5000, "scores of texts": '{"scores": "ab"}',
        "scores of none": '{"scores": [null]}', "models of none": json.dumps({"format": "ssrnet comparison 1", "models": [None]}),
    }  # fmt: skip
    things = {name: written("some.json", content) for name, content in contents.items()} | special("some.json")
    readers: dict[str, Read] = {
        "read_cell": read_cell,
        "read_comparison": read_comparison,
        "read_findings": read_findings,
    }
    return list(crossed(things, readers, says="some.json"))


def _studies() -> list[Case]:
    def read(folder: Path) -> object:
        find_studies([folder])
        tables = report_tables(folder)
        for table in measured_tables(folder):
            for row in table.rows:
                protocol_records(folder, row)
        return tables

    def study(name: str, text: str, cell: object = None) -> Make:
        def make(folder: Path, draw: random.Random) -> Path:
            written(f"studies/{name}.json", text)(folder, draw)
            if cell is not None:
                written("cells/a/cell.json", json.dumps(cell))(folder, draw)
            return folder

        return make

    metrics = {"mAP": 0.5, "mINP": 0.5, "cmc": [0.5] * 10, "queries": 3, "excluded": 0}
    cell = {
        "cell": "a", "variant": "GB", "image_size": 64, "epochs": 1, "steps": 1, "training": {}, "training_set": {},
        "scores": [{"test_set": "x", "record": {}, "seeds": [0], "mean": metrics, "deviation": None}],
    }  # fmt: skip
    plan = json.dumps({"rows": [{"label": "GB", "cell": "a"}, {"label": "+AB", "cell": "../../../a"}]})
    wrong = {"label": "GB", "cell": 7}
    made = {
        "no rows": study("branches", "{}"), "rows of texts": study("branches", '{"rows": "ab"}'), "a cell of a number":
        study("branches", json.dumps({"rows": [wrong]})), "levels": study("branches", "[" * 99_999), "an honest plan": study("branches", plan, cell),
        "scores of texts": study("branches", plan, cell | {"scores": [cell["scores"][0] | {"mean": metrics | {"mAP": "x"}}]}), "scores of NaN":
        study("branches", plan, cell | {"scores": [cell["scores"][0] | {"mean": metrics | {"mAP": float("nan")}}]}), "costs that are none":
        study("complexity", "{}"), "costs of texts": study("complexity", '{"rows": 1, "record": 2}'), "a list of costs": study("complexity", "[]"),
    }  # fmt: skip
    found = [Case(f"study: {name}", make, read, "either") for name, make in made.items()]
    for what, thing in special("studies/branches.json").items():

        def make(folder: Path, draw: random.Random, thing=thing) -> Path:
            thing(folder, draw)
            return folder

        found.append(Case(f"study: {what}", make, read, "either"))
    return found


def _notes() -> list[Case]:
    """An uploaded file of tags and views."""
    good = GalleryNotes("city", "hash", {"odd": ("a.jpg",)}, {"v": View("UMAP", None, "camera", "a.jpg", ("a.jpg",))})
    about = json.loads(good.json())
    changed = {
        "nothing": b"", "noise": bytes(range(256)), "levels": b"[" * 99_999, "a list": b"[]", "keys": b"{}", "digits": b"9" * 5000, "UTF-16 that is none":
        b"\xff\xfe" + bytes(3), "lists of 19 MB": b"[" + b"[]," * 6_000_000 + b"1]",
    }  # fmt: skip
    values = {
        "another version": {"version": "x" * 9999}, "another data set": {"dataset_hash": "no", "dataset": "x\n\x1b[2J" * 999}, "tags that are a list":
        {"tags": []}, "tags of numbers": {"tags": {"a": 7}}, "tags of inner lists": {"tags": {"a": [["b"] * 9999]}}, "unknown images":
        {"tags": {"a": ["no\nsuch.jpg" * 500]}}, "views that are none": {"views": None}, "a view that is none": {"views": {"v": None}}, "a view of texts":
        {"views": {"v": "abc"}}, "no tags": {"tags": None}, "a view of numbers": {"views": {"v": dict.fromkeys(("method", "branch", "colouring", "query", "selected"), 7)}},
    }  # fmt: skip
    changed |= {name: json.dumps(about | value).encode() for name, value in values.items()}
    assert about["format"] == FORMAT

    def read(name: str) -> Read:
        return lambda data: read_notes(data, name, "city", "hash", {"a.jpg"})

    found = [
        Case(f"notes: {what}", lambda folder, draw, d=data: d, read("map.json"), says="map.json")
        for what, data in changed.items()
    ]
    found.append(
        Case(
            "notes: as they were",
            lambda folder, draw: good.json().encode(),
            read("map.json"),
            "opens",
            lambda n: n == good,
        )
    )
    for name in ("a\nb.json", "\ud800.json", "\u202e.json", "n" * 3000, ""):
        found.append(Case(f"notes named {name!r:.20}", lambda folder, draw: b"{", read(name)))
    return found
