"""What hypothesis makes of safetensors headers and of what checkpoints and features say of themselves."""

from __future__ import annotations

import copy
import json
import os
import struct
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path

from hypothesis import example
from hypothesis import strategies as st

from ssrnet.model import ModelSettings
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.feature_files import read_record
from ssrnet.training.checkpoint import FORMAT, CheckpointInfo, read_checkpoint, read_tensors
from ssrnet.training.runs import stored_metrics
from tests.soak.fuzzing import Target, opens_or_says_why_not

DATA = bytes(range(48))
LEAVES = (
    st.sampled_from(
        (
            0,
            1,
            8,
            16,
            48,
            -1,
            2**31,
            2**63,
            2**64,
            10**30,
            1.0,
            0.5,
            float("nan"),
            float("inf"),
            True,
            False,
            None,
            "",
            "F32",
            "F16",
            "BF16",
            "U8",
            "I64",
            "F8_E4M3",
            "x\ny",
            "\ud800",
            "resnet18",
            "64",
            "__metadata__",
        )
    )
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
CHANGES = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from(("set", "set", "remove", "swap", "add")), VALUES),
    min_size=1,
    max_size=4,
)


@cache
def _info() -> dict:
    info = CheckpointInfo(
        ModelSettings(backbone="resnet18"),
        64,
        5,
        "toys",
        "0123456789abcdef",
        3,
        42,
        {"epochs": 3, "holdout": 0.1, "seed": 0},
        {
            "held_back": {"mAP": 0.5, "cmc": [0.1, 0.2, 0.3, 0.4, 0.5]},
            "test": {"metrics": {"mAP": 1}, "record": {"a": 1}},
        },
        "0",
    )
    return asdict(info)


def _header(metadata: dict | None = None) -> dict:
    """A header that fits ``DATA``."""
    return {
        "__metadata__": metadata or {"a": "b"},
        "features": {"dtype": "F16", "shape": [4, 4], "data_offsets": [0, 32]},
        "b": {"dtype": "F32", "shape": [2, 1, 2], "data_offsets": [32, 48]},
    }


def _places(value: object, path: tuple = ()) -> list[tuple]:
    """The path of every value in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, own in inner for found in _places(own, (*path, key)))]


def changed(value: object, changes: list[tuple[int, str, object]]) -> object:
    """``value`` with values set, removed, exchanged or added, wherever in it."""
    value = copy.deepcopy(value)
    for number, kind, new in changes:
        places = [place for place in _places(value) if place]
        if not places:
            return new
        *above, key = places[number % len(places)]
        at = value
        for step in above:
            at = at[step]
        if kind == "set":
            at[key] = new
        elif kind == "remove":
            del at[key]
        elif isinstance(at, dict):
            other = sorted(map(str, at))[number % len(at)]
            at[other if kind == "swap" else str(new)] = at[key]
        else:
            at.insert(key, new if kind == "add" else at[-1])
    return value


def _file(root: str, name: str, header: object, data: bytes = DATA) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode("utf-8", "replace")
    path = Path(root, name)
    return _written(path, struct.pack("<Q", len(text)) + text + data)


def _written(path: Path, content: bytes) -> Path:
    """Of another time: readers wait until a file that was just written can be told from one that is written to again."""
    path.write_bytes(content)
    os.utime(path, (10**9, 10**9))
    return path


def headers(changes: list) -> None:
    """A header, changed: what opens has as many bytes as its shapes say."""
    with tempfile.TemporaryDirectory() as root:
        path = _file(root, "a.safetensors", changed(_header(), changes))
        found = opens_or_says_why_not(lambda: read_tensors(path), root)
        if found is not None:
            assert sum(tensor.nbytes for tensor in found[0].values()) == len(DATA)
            assert all(isinstance(text, str) for text in found[1].values())
        for read in (read_checkpoint, stored_metrics, FeatureSet.load):
            opens_or_says_why_not(lambda: read(path), root)
        assert read_record(path) is None


def noise(content: bytes) -> None:
    """Bytes in a header's place."""
    with tempfile.TemporaryDirectory() as root:
        path = _file(root, "a.safetensors", content, b"")
        opens_or_says_why_not(lambda: read_tensors(path), root)
        _written(path, content)
        opens_or_says_why_not(lambda: read_tensors(path), root)


@example([(2, "set", 10**400)])
def metadata(changes: list) -> None:
    """What a checkpoint says of itself, changed: what is read can be named, recorded and drawn."""
    with tempfile.TemporaryDirectory() as root:
        about = {"format": FORMAT, "info": json.dumps(changed(_info(), changes))}
        path = _file(root, "a.safetensors", _header(about))
        found = opens_or_says_why_not(lambda: read_checkpoint(path), root)
        assert found is None or (found.info.model.title and found.record and 1 <= found.info.image_size <= 4096)
        stored = opens_or_says_why_not(lambda: stored_metrics(path), root)
        assert stored is None or all(isinstance(value, int | float) for one in stored for value in one.values.values())


def features(changes: list) -> None:
    """What a feature file says of itself, changed."""
    about = changed({"names": ["a", "b", "c", "d"], "branch_dims": {"x": 3, "y": 1}, "record": {"model": "m"}}, changes)
    with tempfile.TemporaryDirectory() as root:
        texts = (
            {str(name): json.dumps(value) for name, value in about.items()}
            if isinstance(about, dict)
            else {"names": "[]"}
        )
        path = _file(root, "a-0123456789abcdef.safetensors", _header(texts))
        found = opens_or_says_why_not(lambda: FeatureSet.load(path), root)
        if found is not None:
            loaded, record = found
            assert (
                loaded.features.shape == (4, 4) and loaded.only(list(loaded.branch_dims)[:1]).features.isfinite().all()
            )
            assert isinstance(record, dict)
        assert read_record(path) is None or isinstance(read_record(path), dict)


TARGETS = (
    Target("headers", headers, CHANGES),
    Target("headers", noise, st.binary(max_size=200)),
    Target("headers", metadata, CHANGES),
    Target("headers", features, CHANGES),
)
