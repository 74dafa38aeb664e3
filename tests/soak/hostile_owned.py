"""Damaged and hostile files that only the machine's owner would name: no code runs, and the damage gives one sentence.

Weights, pickles, features, indexes, runs and studies. Strangers cannot upload these, so a few cases of each are enough.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import random
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from ssrnet.analysis.scorecard.scorecard import read_scorecard
from ssrnet.commands.import_features import ImportSettings, import_features
from ssrnet.index.opening import make_index, open_index
from ssrnet.model import SSRNet
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.studies.cell_results import read_cell
from ssrnet.studies.explanations.measurements import read_measurements
from ssrnet.studies.tables import protocol_records, report_tables
from ssrnet.training.checkpoint import FORMAT, load_backbone, load_checkpoint
from ssrnet.training.pickles import read_pickle
from ssrnet.training.resume import Progress, load_progress, save_progress
from ssrnet.training.run_panels import panels
from ssrnet.training.runs import find_runs, find_studies, read_run
from tests import tiny
from tests.data import layouts
from tests.index import galleries
from tests.soak.hostile import Case, Content, Make, Payload, Read, safetensors, special, written

ROWS = 40


def cases() -> list[Case]:
    return [*_weights(), *_pickles(), *_resumed(), *_features(), *_imports(), *_indexes(), *_runs(), *_studies()]


@cache
def _network() -> SSRNet:
    return tiny.network(5)


def _checkpoint(info: object) -> bytes:
    """A checkpoint whose metadata hold ``info``."""
    state = {name: tensor.contiguous() for name, tensor in _network().state_dict().items()}
    return save(state, {"format": FORMAT, "info": info if isinstance(info, str) else json.dumps(info)})


def _into_backbone(path: Path) -> object:
    return load_backbone(tiny.network(), str(path))


def _weights() -> list[Case]:
    """Headers, settings and tensors that do not fit."""
    about = asdict(tiny.info(_network()))
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    headers: dict[str, Content] = {
        "noise": lambda draw: draw.randbytes(9000),
        "a length of 2^63": safetensors({"a": tensor}, bytes(8), 2**63),
        "no JSON": safetensors(b"{", bytes(8)),
        "10,000 levels": safetensors(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
        "a shape of 2^64": safetensors({"a": tensor | {"shape": [2**32, 2**32]}}, bytes(8)),
        "cut short": lambda draw: _checkpoint(about)[: draw.randrange(9_000, 90_000)],
    }
    things = {name: written("a.safetensors", content) for name, content in headers.items()}
    things["a pickle of code"] = lambda folder, draw: written("a.safetensors", pickle.dumps(Payload(folder)))(
        folder, draw
    )
    things |= {name: make for name, make in special("a.safetensors").items() if name in ("pipe", "folder", "loop")}
    readers: dict[str, Read] = {
        "load_checkpoint": load_checkpoint,
        "load_backbone": _into_backbone,
        "FeatureSet.load": FeatureSet.load,
    }
    trials = [Case(f"{r}: {name}", make, read) for name, make in things.items() for r, read in readers.items()]
    infos: dict[str, object] = {
        "no JSON": "{",
        "10,000 levels": "[" * 10_000 + "]" * 10_000,
        "a backbone of Python": about | {"model": about["model"] | {"backbone": "__class__"}},
        "10^9 graph layers": about | {"model": about["model"] | {"gcn_depth": 10**9}},
    }
    trials += [
        Case(f"checkpoint: {name}", written("net.safetensors", _checkpoint(info)), load_checkpoint)
        for name, info in infos.items()
    ]
    whole = written("net.safetensors", _checkpoint(about))
    return [*trials, Case("checkpoint: as it was", whole, load_checkpoint, "opens")]


def _pickles() -> list[Case]:
    """.pth files with code in them."""

    def saved(value: object, **more) -> bytes:
        buffer = io.BytesIO()
        torch.save(value, buffer, **more)
        return buffer.getvalue()

    with_code: dict[str, Callable[[Path], bytes]] = {
        "a plain pickle": lambda folder: pickle.dumps(Payload(folder)),
        "protocol 0": lambda folder: pickle.dumps(Payload(folder), 0),
        "PyTorch's zip": lambda folder: saved({"a": Payload(folder)}),
        "PyTorch's old format": lambda folder: saved({"a": Payload(folder)}, _use_new_zipfile_serialization=False),
        "behind tensors": lambda folder: saved({"state_dict": {"a": torch.zeros(2)}, "b": Payload(folder)}),
        "cut short": lambda folder: saved(_network().state_dict())[:9000],
    }
    return [
        Case(f"pickle, {r}: {name}", lambda folder, draw, make=make: written("a.pth", make(folder))(folder, draw), read)
        for name, make in with_code.items()
        for r, read in (("load_backbone", _into_backbone), ("read_pickle", read_pickle))
    ]


def _resumed() -> list[Case]:
    """``resume.pt`` of a run."""

    def resume(target: tuple[object, SSRNet]) -> object:
        settings, model = target
        return load_progress(settings, model, torch.optim.Adam(model.parameters()), "data")

    def run(content: Callable[[Path], bytes] | None) -> Make:
        def make(folder: Path, draw: random.Random) -> object:
            settings, model = tiny.training(folder / "data", folder / "run"), tiny.network(5)
            save_progress(settings, model, torch.optim.Adam(model.parameters()), Progress(), "data")
            if content:
                (settings.out / "resume.pt").write_bytes(content(folder))
            return settings, model

        return make

    return [
        Case("resume: code", run(lambda folder: pickle.dumps(Payload(folder))), resume, says="pickled code"),
        Case("resume: noise", run(lambda folder: bytes(range(256)) * 9), resume, says="resume.pt"),
        Case("resume: as it was", run(None), resume, "opens"),
    ]


def _features() -> list[Case]:
    """Feature files whose parts do not fit each other."""

    def file(features: torch.Tensor = torch.ones(2, 4), **about: object) -> bytes:
        texts = {"names": ["a", "b"], "branch_dims": {"x": 4}, "record": {}} | about
        return save({"features": features}, {name: json.dumps(value) for name, value in texts.items()})

    refused = {
        "NaN": file(torch.full((2, 4), float("nan"))),
        "fewer names": file(names=["a"]),
        "dimensions of others": file(branch_dims={"x": 5}),
        "a record that is a list": file(record=[1]),
    }
    name = "a-ssrnet-0123456789abcdef.safetensors"
    trials = [Case(f"features: {n}", written(name, data), FeatureSet.load, says=name) for n, data in refused.items()]
    return [*trials, Case("features: half", written(name, file(torch.ones(2, 4).half())), FeatureSet.load, "opens")]


def _imports() -> list[Case]:
    """Features of other programs, given to ``ssrnet import`` for a data set of five images."""
    good = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    paths = np.array(layouts.VERI_TEST)

    def npz(**arrays) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    def declared(shape: str) -> bytes:
        """An archive whose ``features`` have this text for a shape."""
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("features.npy", b"\x93NUMPY\x02\0" + struct.pack("<I", len(header)) + header)
        return buffer.getvalue()

    def given(data: Content | Callable[[Path], bytes]) -> Make:
        def make(folder: Path, draw: random.Random) -> ImportSettings:
            layouts.veri(folder / "data")
            content = pickle.dumps(Payload(folder)) if data == b"code" else data
            path = written("features.npz", content)(folder, draw)
            return ImportSettings(path, folder / "data", "other", folder / "imported")

        return make

    def imported(settings: ImportSettings) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            import_features(settings)

    refused: dict[str, Content] = {
        "code": b"code",
        "noise": lambda draw: draw.randbytes(3000),
        "cut short": npz(features=good, paths=paths)[:300],
        "NaN": npz(features=np.where(good > 0, np.nan, good), paths=paths),
        "objects": npz(features=good, paths=paths, ids=np.array([{}] * 5, dtype=object)),
        "a shape of code": declared("(__import__('os').mkdir('executed'), 8)"),
        "10^15 rows": declared("(1000000000000000, 2048)"),
    }
    opened = {
        "float16": npz(features=good.astype(np.float16), paths=paths),
        "other folders": npz(features=good, paths=np.array([f"C:\\x\\{p}" for p in paths])),
    }
    trials = [Case(f"import: {name}", given(data), imported, says="features.npz") for name, data in refused.items()]
    return trials + [Case(f"import: {name}", given(data), imported, "opens") for name, data in opened.items()]


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


def _searched(folder: Path) -> list:
    index, record = open_index(folder)
    try:
        list(index.entries())
        return index.search(galleries.features(2, record.dimension), 5)
    finally:
        index.close()


def _indexes() -> list[Case]:
    """``index.json``, the matrix, and SQLite files, whose journals may name files to remove; Milvus's files and links."""

    def file(name: str, content: bytes) -> Callable[[Path], object]:
        return lambda root: (root / name).write_bytes(content)

    def record(**values: object) -> Callable[[Path], object]:
        return lambda root: (root / "index.json").write_text(
            json.dumps(json.loads((root / "index.json").read_text()) | values)
        )

    def script(text: str) -> Callable[[Path], None]:
        def change(root: Path) -> None:
            with contextlib.closing(sqlite3.connect(next(root.rglob("*.sqlite")))) as db:
                db.executescript(text)
                db.commit()

        return change

    changes: dict[str, Callable[[Path], object]] = {
        "no JSON": file("index.json", b"{"),
        "a dimension of text": record(dimension="24"),
        "a dimension of 10^12": record(dimension=10**12, stored=10**12),
        "a shorter matrix": file("features.f16", bytes(ROWS * galleries.DIMENSION * 2 - 2)),
        "a matrix of zeros": file("features.f16", bytes(ROWS * galleries.DIMENSION * 2)),
        "a database of noise": file("entries.sqlite", bytes(range(256)) * 40),
        "no table": script("DROP TABLE entries"),
    }
    trials = [Case(f"index: {name}", _index(change), _searched) for name, change in changes.items()]
    unended = _index(_unended)
    trials += [
        Case("exact: as it was", _index(lambda root: None), _searched, "opens", _five),
        Case("exact: a change that was never ended", unended, _searched, "opens", _five),
        Case("exact: a journal that names a file", _index(_naming), _searched),
    ]
    if find_spec("milvus_lite"):
        milvus: dict[str, Callable[[Path], object]] = {
            "no schema": _over("schema.json", b"{"),
            "manifests of noise": _over("manifest.json*", bytes(range(256))),
            "a link": lambda root: (root / "milvus.db/collections/more").symlink_to(root.parent.parent / "outside"),
        }
        trials += [Case(f"milvus: {name}", _index(change, "milvus"), _searched) for name, change in milvus.items()]
        trials.append(Case("milvus: as it was", _index(lambda root: None, "milvus"), _searched, "opens", _five))
    return trials


def _over(name: str, content: bytes) -> Callable[[Path], object]:
    """Every file of this name becomes ``content``."""
    return lambda root: [path.write_bytes(content) for path in root.rglob(name)]


def _five(rows: list) -> bool:
    return len(rows[0]) == 5


def _unended(root: Path) -> Path:
    """Leaves the journal of a change that was begun and never ended, as a killed writer does."""
    path = root / "entries.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA cache_size=1")
    db.executescript("BEGIN; CREATE TABLE more AS SELECT * FROM entries; DROP TABLE entries;")
    db.execute("CREATE TABLE much AS SELECT zeroblob(100000)")
    beside = [(file, file.read_bytes()) for file in (path, path.with_name("entries.sqlite-journal"))]
    db.execute("ROLLBACK")
    db.close()
    for file, content in beside:
        file.write_bytes(content)
    return beside[1][0]


def _naming(root: Path) -> None:
    """A journal that names a file outside, which SQLite would remove."""
    outside = str(root.parent.parent / "outside" / "kept.txt").encode()
    with open(_unended(root), "ab") as journal:
        about = struct.pack(">II", len(outside), sum(outside) % 2**32)
        journal.write(struct.pack(">I", 0x40000000 // 4096 + 1) + outside + about + bytes.fromhex("d9d505f920a163d7"))


def _runs() -> list[Case]:
    def read(folder: Path) -> object:
        runs = [read_run(path) for path in find_runs([folder]) or [folder]]
        panels(runs)
        return runs

    def run(log: bytes | str, settings: str = '{"recipe": "x"}') -> Make:
        def make(folder: Path, draw: random.Random) -> Path:
            written("log.jsonl", log)(folder, draw)
            return written("settings.json", settings)(folder, draw).parent

        return make

    line = '{"epoch": 1, "loss": 0.5, "seconds": 3}\n'
    logs = {
        "cut short": line + '{"epoch":',
        "10,000 levels": line + "[" * 10_000 + "\n" + line,
        "an epoch of 10^400": line + f'{{"epoch": 1{"0" * 400}}}\n' + line,
        "losses of texts and NaN": '{"epoch": 1, "loss": "x", "cmc": "abc", "seconds": NaN}\n' * 2,
    }
    settings = {
        "10,000 levels": "[" * 10_000,
        "values of other kinds": '{"recipe": 7, "epochs": "many", "model": {"gcn_depth": "deep"}}',
    }
    trials = [Case(f"log: {name}", run(text), read, "either") for name, text in logs.items()]
    trials += [Case(f"settings: {name}", run(line, text), read, "either") for name, text in settings.items()]
    return [*trials, Case("run: as it was", run(line), read, "opens")]


def _studies() -> list[Case]:
    """JSON of studies and comparisons."""
    contents: dict[str, Content] = {
        "noise": lambda draw: draw.randbytes(999),
        "levels": b"[" * 99_999,
        "scores of none": b'{"scores": [null]}',
        "models of none": b'{"format": "ssrnet comparison 1", "models": [None]}',
    }
    readers: dict[str, Read] = {
        "read_cell": read_cell,
        "read_scorecard": read_scorecard,
        "read_measurements": read_measurements,
    }
    trials = [
        Case(f"{r}: {name}", written("some.json", content), read, says="some.json")
        for name, content in contents.items()
        for r, read in readers.items()
    ]

    def read_tables(folder: Path) -> object:
        find_studies([folder])
        tables = report_tables(folder)
        for table in tables:
            for row in table.rows:
                protocol_records(folder, row)
        return tables

    def plan(rows: object) -> Make:
        return lambda folder, draw: written("studies/branches.json", json.dumps({"rows": rows}))(folder, draw).parents[
            1
        ]

    rows = {
        "a cell of a number": [{"label": "GB", "cell": 7}],
        "a cell outside": [{"label": "+AB", "cell": "../../../a"}],
    }
    return trials + [Case(f"study: rows, {name}", plan(value), read_tables, "either") for name, value in rows.items()]
