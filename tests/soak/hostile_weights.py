"""Checkpoints, weights and features that are not what they say."""

from __future__ import annotations

import json
import os
import pickle
import random
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save

from ssrnet.index.pca import Projection
from ssrnet.model import SSRNet
from ssrnet.retrieval.external.model import read_import
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.feature_files import find, read_record
from ssrnet.training.checkpoint import FORMAT, load_backbone, load_checkpoint, read_checkpoint, read_tensors
from ssrnet.training.runs import stored_metrics
from tests import tiny
from tests.soak.hostile import Case, Make, Payload, Read, crossed, safetensors, special, written

Content = bytes | Callable[[random.Random], bytes]
FEATURES = "a-ssrnet-0123456789abcdef.safetensors"


def cases() -> list[Case]:
    return _headers() + _metadata() + _features()


def _into_backbone(path: Path) -> object:
    return load_backbone(tiny.network(), str(path))


READERS: dict[str, Read] = {
    "load_checkpoint": load_checkpoint,
    "read_checkpoint": read_checkpoint,
    "read_tensors": read_tensors,
    "load_backbone": _into_backbone,
}


def _headers() -> list[Case]:
    """Files whose headers lie, against all that reads .safetensors."""
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    data = bytes(8)

    def many(draw: random.Random) -> bytes:
        about = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
        return safetensors(("{" + ",".join(f'"t{i}":{about}' for i in range(1_000_000)) + "}").encode())

    def other(**changes) -> bytes:
        return safetensors({"a": one | changes}, data)

    contents: dict[str, Content] = {
        "nothing": b"",
        "7 bytes": b"1234567",
        "noise": lambda draw: draw.randbytes(9000),
        "a header of no bytes": bytes(8),
        "a length past the end": safetensors({"a": one}, data, 10**6),
        "a length of 2^64": safetensors({"a": one}, data, 2**64 - 1),
        "a length of 2^63": safetensors({"a": one}, data, 2**63),
        "a length that is short": safetensors({"a": one}, data, 5),
        "no JSON": safetensors(b"{", data),
        "a list": safetensors([1], data),
        "a number": safetensors(b"7"),
        "null": safetensors(b"null"),
        "not UTF-8": safetensors(b'{"\xff": 1}'),
        "offsets backwards": other(data_offsets=[8, 0]),
        "negative offsets": other(data_offsets=[-8, 0]),
        "offsets past the end": other(data_offsets=[8, 16]),
        "offsets of 2^63": other(data_offsets=[2**63, 2**63 + 8]),
        "offsets of fractions": other(data_offsets=[0.0, 8.0]),
        "offsets of texts": other(data_offsets=["0", "8"]),
        "three offsets": other(data_offsets=[0, 8, 8]),
        "offsets without end": other(data_offsets=[0]),
        "overlapping": safetensors({"a": one, "b": one}, data),
        "a gap": safetensors({"a": one | {"data_offsets": [8, 16]}}, bytes(16)),
        "an unknown kind": other(dtype="F128"),
        "a kind that is no text": other(dtype=[1]),
        "no kind": safetensors({"a": {"shape": [2]}}, data),
        "a shape of 2^64": other(shape=[2**32, 2**32]),
        "a shape that overflows to fit": other(shape=[2**62, 2**3]),
        "a negative shape": other(shape=[-1, -2]),
        "a shape of fractions": other(shape=[2.0]),
        "a shape of truths": other(shape=[True, True]),
        "a shape of NaN": safetensors(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', data),
        "a shape that is a text": other(shape="2"),
        "a shape of 100,000 sides": other(shape=[1] * 100_000 + [2]),
        "a shape that is none": other(shape=None),
        "numbers of 5,000 digits": safetensors(
            b'{"a":{"dtype":"F32","shape":[%s],"data_offsets":[0,8]}}' % (b"9" * 5000), data
        ),
        "10,000 levels": safetensors(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
        "100,000 lists": safetensors(b"[" * 100_000 + b"]" * 100_000),
        "a million tensors": many,
        "a header of 90 MB": lambda draw: safetensors(b'{"a":"' + b"x" * 90_000_000 + b'"}'),
        "a header of 60 MB of lists": lambda draw: safetensors(b'{"__metadata__":[' + b"[]," * 20_000_000 + b"1]}"),
        "a header of 300 MB": lambda draw: safetensors(b"{" + b" " * 300_000_000 + b"}"),
        "names twice": safetensors(
            b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
            data,
        ),
        "metadata of numbers": safetensors({"__metadata__": {"a": 1}}),
        "metadata of NaN": safetensors(b'{"__metadata__":{"a":NaN}}'),
        "metadata that are a list": safetensors({"__metadata__": [1]}),
        "metadata that are a text": safetensors({"__metadata__": "a"}),
        "a pickle in its place": pickle.dumps({"a": 1}),
        "HTML": b"<html>" + b" " * 99,
        "cut short": safetensors({"a": one}, data[:-1]),
        "bytes behind": safetensors({"a": one}, data + b"PK\5\6"),
        "bytes of half a number": other(dtype="F4", shape=[16]),
        "no tensors": safetensors({}),
        "another's tensors": safetensors({"a": one}, data),
        "names of control characters": safetensors({"a\n\x1b[2J": one}, data),
    }
    things = {name: written("a.safetensors", content) for name, content in contents.items()}
    things["a pickle of code"] = lambda folder, draw: written("a.safetensors", pickle.dumps(Payload(folder)))(
        folder, draw
    )
    things |= special("a.safetensors")
    names = {
        name: (lambda folder, draw, name=name: folder / name)
        for name in ("\0.safetensors", "n" * 300 + ".safetensors", "a\nb.safetensors")
    }
    open_anyway = {
        name: things.pop(name)
        for name in ("no tensors", "another's tensors", "names of control characters", "names twice")
    }
    readers = READERS | {"FeatureSet.load": FeatureSet.load, "stored_metrics": stored_metrics}
    silent: dict[str, Read] = {"read_record": read_record, "read_import": read_import, "find": _found}
    kept = {name: named(make, FEATURES) for name, make in things.items()}
    return [
        *crossed(things, readers),
        *crossed({"a sparse terabyte": _sparse}, readers, "either"),
        *crossed(names, readers),
        *crossed(open_anyway, readers, "either"),
        *crossed(
            {n: named(m, "projection.safetensors") for n, m in things.items()},
            {"Projection.load": lambda p: Projection.load(p.parent)},
        ),
        *crossed(kept, silent, "opens", check=lambda found: found is None),
    ]


def _sparse(folder: Path, draw: random.Random) -> Path:
    """A file that is a terabyte of nothing."""
    with open(folder / "a.safetensors", "wb") as file:
        file.write(safetensors({"a": {"dtype": "U8", "shape": [2**40], "data_offsets": [0, 2**40]}}))
        file.truncate(file.tell() + 2**40)
    return folder / "a.safetensors"


def named(make: Make, name: str) -> Make:
    def made(folder: Path, draw: random.Random) -> Path:
        path = make(folder, draw)
        os.rename(path, path.with_name(name))
        return path.with_name(name)

    return made


def _found(path: Path) -> object:
    return find([path.parent], {"checkpoint": "ssrnet", "dataset": "a"}) or None


@cache
def small_network() -> SSRNet:
    return tiny.network(5)


def _checkpoint(info: object, **tensors: torch.Tensor | None) -> bytes:
    """A whole checkpoint whose metadata say ``info``, with some tensors changed or left out (None)."""
    state = {name: tensor.contiguous() for name, tensor in small_network().state_dict().items()} | tensors
    text = info if isinstance(info, str) else json.dumps(info)
    return save({n: t for n, t in state.items() if t is not None}, {"format": FORMAT, "info": text})


def _about(**changes) -> dict:
    return asdict(tiny.info(small_network())) | changes


def _network(**changes) -> dict:
    about = _about()
    return about | {"model": about["model"] | changes}


def _metadata() -> list[Case]:
    """Checkpoints that ask for absurd networks, or say absurd things of themselves."""
    huge = 10**12
    asked: dict[str, object] = {
        f"{name} {value!r:.20}": _network(**{name: value})
        for name, values in {
            "gcn_depth": (10**9, 0, -1, "2", 2.5, None, True, [2], float("nan")),
            "branch_dim": (huge, 0, -5, "512", 1.5, None, 8193),
            "backbone": ("resnet10000", "", 7, None, ["resnet18"], "__class__", "a\nb"),
            "last_stride": (0, huge, "1", -1, None),
            "crop_ratio": (0, -1, float("nan"), float("inf"), 10**400, "a", None),
            "attention_branch": ("yes", 1, None, [], {}),
            "parts": ("x" * 5000, 3, None),
            "attention": ("../../x", 3),
            "stride_position": ("conv9", 1),
            "token_node": ("no",),
            "\n": (1,),
            "x" * 3000: (1,),
        }.items()
        for value in values
    }
    asked |= {
        f"{name} {value!r:.20}": _about(**{name: value})
        for name, values in {
            "image_size": (10**9, 0, -64, "64", 64.0, None, True, float("nan")),
            "num_classes": (-1, "5", 5.0, [5], 10**30),
            "epoch": (-1, "3", None, 10**30, float("nan")),
            "step": (-1, "3", None, [1]),
            "dataset": (None, 7, {}),
            "dataset_hash": (None, []),
            "training": (None, "x", [1]),
            "metrics": (None, "x", [1]),
            "version": (None, 7),
            "model": (None, 7, "x", [1]),
            "unknown": (1,),
        }.items()
        for value in values
    }
    texts = {
        "no JSON": "{",
        "a list": "[1]",
        "10,000 levels": "[" * 10_000 + "]" * 10_000,
        "levels in a key": '{"model":' * 50_000 + "1" + "}" * 50_000,
        "a number of 5,000 digits": '{"model":{},"epoch":' + "9" * 5000 + "}",
        "NUL": "\0",
    }
    things = {
        name: written("net.safetensors", lambda draw, about=about: _checkpoint(about))
        for name, about in {**asked, **texts}.items()
    }
    readers: dict[str, Read] = {name: READERS[name] for name in ("load_checkpoint", "read_checkpoint")}
    things = {f"info, {name}": make for name, make in things.items()}
    found = list(crossed(things, {"read_checkpoint": readers["read_checkpoint"]}, says="net.safetensors"))
    # What loads the weights parses the same metadata: of each setting once is enough in the short form.
    found += crossed(
        things, {"load_checkpoint": readers["load_checkpoint"], "stored_metrics": stored_metrics}, "either", long=True
    )
    classes = {
        f"num_classes {n:,}": written("net.safetensors", lambda draw, n=n: _checkpoint(_about(num_classes=n)))
        for n in (10_000_000, 6)
    }
    found += crossed(classes, readers, "opens")
    nan = torch.full((64,), float("nan"))
    weights = {
        "NaN": {"backbone.bn1.weight": nan},
        "infinity": {"backbone.bn1.weight": nan.fill_(float("inf")).clone()},
        "a tensor less": {"backbone.bn1.weight": None},
        "a tensor more": {"x\ny": torch.zeros(1)},
        "another shape": {"backbone.bn1.weight": torch.zeros(64, 1)},
        "no dimension": {"backbone.bn1.weight": torch.zeros(())},
        "a huge name": {"x" * 100_000: torch.zeros(1)},
    }
    made = {
        f"weights, {n}": written("net.safetensors", lambda draw, t=t: _checkpoint(_about(), **t))
        for n, t in weights.items()
    }
    found += crossed(made, {"load_checkpoint": load_checkpoint}, says="net.safetensors")
    fine = {
        "integers": {"backbone.bn1.weight": torch.ones(64, dtype=torch.int64)},
        "half": {"backbone.bn1.weight": torch.ones(64).half()},
        "a classifier of no dimension": {"classifiers.global.weight": torch.zeros(())},
        "as it was": {},
        "no classes": {"classifiers.global.weight": torch.zeros(0, 512)},
    }
    made = {name: written("net.safetensors", lambda draw, t=t: _checkpoint(_about(), **t)) for name, t in fine.items()}
    found += crossed(
        made,
        {"load_checkpoint": load_checkpoint},
        "opens",
        check=lambda c: c.model.settings == small_network().settings,
    )
    made = {f"bits flipped {i}": written("net.safetensors", _spoiled) for i in range(4)}
    return [*found, *crossed(made, readers, "either")]


def _spoiled(draw: random.Random) -> bytes:
    data = bytearray(_checkpoint(_about()))
    for _ in range(20):
        data[draw.randrange(8_000)] ^= 1 << draw.randrange(8)
    return bytes(data[: draw.randint(len(data) // 2, len(data))])


def _features() -> list[Case]:
    """Feature files whose parts do not fit each other."""

    def file(
        names: object = ("a", "b"),
        dims: object = None,
        record: object = None,
        features: torch.Tensor = torch.ones(2, 4),
    ) -> bytes:
        about = {
            "names": names,
            "branch_dims": {"x": 4} if dims is None else dims,
            "record": {} if record is None else record,
        }
        return save(
            {"features": features},
            {name: value if isinstance(value, str) else json.dumps(value) for name, value in about.items()},
        )

    refused = {
        "NaN": file(features=torch.full((2, 4), float("nan"))),
        "infinity": file(features=torch.full((2, 4), float("inf"))),
        "names that are numbers": file([1, 2]),
        "names that are a text": file('"ab"'),
        "fewer names": file(["a"]),
        "more names": file(["a"] * 3),
        "no names": file("null"),
        "names of 10,000 levels": file("[" * 10_000 + "]" * 10_000),
        "dims of fractions": file(dims={"x": 4.0}),
        "dims that cancel": file(dims={"x": -4, "y": 8}),
        "dims that are a list": file(dims=[4]),
        "dims of texts": file(dims={"x": "4"}),
        "dims of others": file(dims={"x": 5}),
        "a record that is a list": file(record=[1]),
        "a record that is none": file(record="{"),
        "three dimensions": file(features=torch.ones(2, 2, 2)),
        "one dimension": file(features=torch.ones(8)),
        "another name": save({"x": torch.ones(2, 4)}, {"names": "[]", "branch_dims": "{}", "record": "{}"}),
        "no metadata": save({"features": torch.ones(2, 4)}),
        "a name twice": file(["a", "a"]),
    }
    opened = {
        "half": file(features=torch.ones(2, 4).half()),
        "no rows": file([], features=torch.ones(0, 4)),
        "names of line breaks": file(["a\n", "b"]),
        "whole numbers": file(features=torch.ones(2, 4, dtype=torch.int64)),
    }
    things = {name: written(FEATURES, content) for name, content in refused.items()}
    fine = {name: written(FEATURES, content) for name, content in opened.items()}
    directions = save({"directions": torch.full((2, 4), float("nan"))}, {"kept": "0.5", "fitted_on": "9"})
    projections = {
        "NaN": directions,
        "one dimension": save({"directions": torch.ones(4)}, {"kept": "1", "fitted_on": "9"}),
        "no numbers": save({"directions": torch.ones(2, 4)}, {"kept": "x", "fitted_on": "9"}),
        "nothing said": save({"directions": torch.ones(2, 4)}),
        "a share of NaN": save({"directions": torch.ones(2, 4)}, {"kept": "nan", "fitted_on": "9"}),
    }
    return [
        *crossed(things, {"FeatureSet.load": FeatureSet.load}, says=FEATURES),
        *crossed(things, {"find": _found}, "opens", check=lambda found: found is None),
        *crossed(fine, {"FeatureSet.load": FeatureSet.load}, "opens"),
        *crossed(
            {n: written("projection.safetensors", c) for n, c in projections.items()},
            {"Projection.load": lambda p: Projection.load(p.parent)},
        ),
    ]
