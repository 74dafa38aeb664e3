"""Runs, studies, comparisons and notes that are not what they say."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from ssrnet.analysis.scorecard.scorecard import read_comparison
from ssrnet.explain.gallery_notes import FORMAT, GalleryNotes, View, read_notes
from ssrnet.studies.cell_results import read_cell
from ssrnet.studies.explanations.findings import read_findings
from ssrnet.studies.tables import measured_tables, protocol_records, report_tables
from ssrnet.training.runs import find_runs, find_studies, panels, read_run
from tests.soak.hostile import Case, Make, Read, crossed, special, written


def cases() -> list[Case]:
    return _runs() + _json_files() + _studies() + _notes()


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
        "nothing": "",
        "noise": bytes(range(256)),
        "epochs that fall": "".join(f'{{"epoch": {i}}}\n' for i in range(200, 0, -1)),
        "100,000 epochs": "".join(f'{{"epoch": {i}, "loss": 1}}\n' for i in range(100_000)),
        "an epoch that is true": line + '{"epoch": true}\n' + line,
        "an epoch of NaN": line + '{"epoch": NaN}\n' + line,
        "an epoch of 10^400": line + f'{{"epoch": 1{"0" * 400}}}\n' + line,
        "a loss of 10^400": f'{{"epoch": 1, "loss": 1{"0" * 400}}}\n' * 2,
        "a loss of NaN": '{"epoch": 1, "loss": NaN, "seconds": Infinity}\n' * 2,
        "a loss of texts": '{"epoch": 1, "loss": "x", "cmc": "abc", "held_back": {"cmc": [1, "a"]}}\n' * 2,
        "levels": line + "[" * 10_000 + "\n" + line,
        "inner levels": '{"epoch": 1, "a": ' + '{"b":' * 900 + "1" + "}" * 900 + "}\n",
        "cut short": line + '{"epoch":',
        "lists": "[1]\n" + line,
        "a negative epoch": line + '{"epoch": -4}\n' + line,
        "seconds that are negative": '{"epoch": 1, "seconds": -5}\n',
        "20 MB": line * 500_000,
    }
    settings = {
        "levels": "[" * 10_000,
        "a list": "[1]",
        "a model of lies": '{"recipe": "x", "model": {"gcn_depth": "deep", "backbone": [1]}}',
        "no UTF-8": "\ud800",
        "numbers that are texts": '{"recipe": 7, "epochs": "many", "max_steps": [1], "model": 3}',
        "inner levels": '{"recipe": ' + '{"a":' * 900 + "1" + "}" * 901,
    }
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
        "nothing": "",
        "noise": lambda draw: draw.randbytes(999),
        "a list": "[]",
        "a number": "7",
        "null": "null",
        "levels": "[" * 99_999,
        "keys": "{}",
        "lists of 31 MB": lambda draw: b"[" + b"[]," * 10_000_000 + b"1]",
        "100 MB": lambda draw: b" " * 100_000_000,
        "a text": '"x"',
        "UTF-16": "{}".encode("utf-16"),
        "a format of 5,000 letters": json.dumps({"format": "x" * 5000}),
        "digits": "9" * 5000,
        "scores of texts": '{"scores": "ab"}',
        "scores of none": '{"scores": [null]}',
        "models of none": json.dumps({"format": "ssrnet comparison 1", "models": [None]}),
    }
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
        "cell": "a",
        "variant": "GB",
        "image_size": 64,
        "epochs": 1,
        "steps": 1,
        "training": {},
        "training_set": {},
        "scores": [{"test_set": "x", "record": {}, "seeds": [0], "mean": metrics, "deviation": None}],
    }
    plan = json.dumps({"rows": [{"label": "GB", "cell": "a"}, {"label": "+AB", "cell": "../../../a"}]})
    wrong = {"label": "GB", "cell": 7}
    made = {
        "no rows": study("branches", "{}"),
        "rows of texts": study("branches", '{"rows": "ab"}'),
        "a cell of a number": study("branches", json.dumps({"rows": [wrong]})),
        "levels": study("branches", "[" * 99_999),
        "an honest plan": study("branches", plan, cell),
        "scores of texts": study(
            "branches", plan, cell | {"scores": [cell["scores"][0] | {"mean": metrics | {"mAP": "x"}}]}
        ),
        "scores of NaN": study(
            "branches", plan, cell | {"scores": [cell["scores"][0] | {"mean": metrics | {"mAP": float("nan")}}]}
        ),
        "costs that are none": study("complexity", "{}"),
        "costs of texts": study("complexity", '{"rows": 1, "record": 2}'),
        "a list of costs": study("complexity", "[]"),
    }
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
        "nothing": b"",
        "noise": bytes(range(256)),
        "levels": b"[" * 99_999,
        "a list": b"[]",
        "keys": b"{}",
        "digits": b"9" * 5000,
        "UTF-16 that is none": b"\xff\xfe" + bytes(3),
        "lists of 19 MB": b"[" + b"[]," * 6_000_000 + b"1]",
    }
    values = {
        "another version": {"version": "x" * 9999},
        "another data set": {"dataset_hash": "no", "dataset": "x\n\x1b[2J" * 999},
        "tags that are a list": {"tags": []},
        "tags of numbers": {"tags": {"a": 7}},
        "tags of inner lists": {"tags": {"a": [["b"] * 9999]}},
        "unknown images": {"tags": {"a": ["no\nsuch.jpg" * 500]}},
        "views that are none": {"views": None},
        "a view that is none": {"views": {"v": None}},
        "a view of texts": {"views": {"v": "abc"}},
        "no tags": {"tags": None},
        "a view of numbers": {"views": {"v": dict.fromkeys(("method", "branch", "colouring", "query", "selected"), 7)}},
    }
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
