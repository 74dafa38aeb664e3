"""PyTorch's own files that hold code or lies: weights, and what a run is resumed from."""

from __future__ import annotations

import io
import pickle
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ssrnet.model import ModelSettings, SSRNet
from ssrnet.training.pickles import read_pickle
from ssrnet.training.resume import Progress, load_progress, save_progress
from tests import tiny
from tests.soak.hostile import Case, Make, Payload, Read, crossed, special, written
from tests.soak.hostile_weights import READERS, Content, named, small_network


def cases() -> list[Case]:
    return _pickles() + _resumed()


def _pickles() -> list[Case]:
    """.pth files: code in them, and tensors that stand for more numbers than there are."""

    def saved(value: object, **more) -> bytes:
        buffer = io.BytesIO()
        torch.save(value, buffer, **more)
        return buffer.getvalue()

    def packed(draw: random.Random) -> bytes:
        """PyTorch's own file with its numbers deflated: 400 MB in 400 kB."""
        data, buffer = saved({"a": torch.zeros(100)}), io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(data)) as old,
            zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
        ):
            for member in old.infolist():
                new.writestr(
                    member.filename, bytes(400_000_000) if member.filename.endswith("data/0") else old.read(member)
                )
        return buffer.getvalue()

    with_code: dict[str, Callable[[Path], bytes]] = {
        "a plain pickle": lambda folder: pickle.dumps(Payload(folder)),
        "PyTorch's zip": lambda folder: saved({"a": Payload(folder)}),
        "PyTorch's old format": lambda folder: saved({"a": Payload(folder)}, _use_new_zipfile_serialization=False),
        "protocol 0": lambda folder: pickle.dumps(Payload(folder), 0),
        "behind tensors": lambda folder: saved({"state_dict": {"a": torch.zeros(2)}, "b": Payload(folder)}),
    }
    things: dict[str, Make] = {
        name: lambda folder, draw, make=make: written("a.pth", make(folder))(folder, draw)
        for name, make in with_code.items()
    }
    contents: dict[str, Content] = {
        "nothing": b"",
        "noise": lambda draw: draw.randbytes(4000),
        "a list": saved([1]),
        "a number": saved(7),
        "texts": saved({"a": "b"}),
        "a model": saved({"state_dict": {"a": [1]}}),
        "packed": packed,
        "cut short": saved(small_network().state_dict())[:9000],
        "a tensor that stands for 10^12": saved({"conv1.weight": torch.zeros(1).half().expand(10**6, 10**6)}),
        "a sparse tensor": saved(
            {"conv1.weight": torch.sparse_coo_tensor(torch.zeros(2, 1).long(), torch.ones(1), (10**9, 10**9))}
        ),
        "no numbers": saved({"conv1.weight": torch.empty(10**9, 10**3, device="meta")}),
        "a zip of nothing": b"PK\5\6" + bytes(18),
        "TorchScript-like": _zip({"a/data.pkl": b"\x80\2.", "a/version": b"3", "a/code/x.py": b"import os"}),
        "a pickle of 50 MB": lambda draw: _zip({"a/data.pkl": b"\x80\2" + b"(" * 50_000_000, "a/version": b"3"}),
        "deep": b"\x80\2" + b"(" * 1_000_000 + b"l" * 1_000_000 + b".",
        "NaN": saved({"conv1.weight": torch.full((64, 3, 7, 7), float("nan"))}),
        "names of line breaks": saved({"a\nb": torch.zeros(1)}),
        "names that are numbers": saved({1: torch.zeros(1)}),
        "bytes of 10^10": b"\x80\2cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    }
    things |= {name: written("a.pth", content) for name, content in contents.items()} | special("a.pth")
    things |= {f"{name} (.pt)": named(make, "a.pt") for name, make in list(things.items())[:3]}
    readers: dict[str, Read] = READERS | {"read_pickle": read_pickle}
    plain = [name for name in contents if name not in ("nothing", "noise", "packed", "cut short")]
    return [
        *crossed({f"pickle, {n}": m for n, m in things.items() if n not in plain}, readers),
        *crossed({f"pickle, {n}": things[n] for n in plain}, readers, "either"),
        *crossed({f"pickle named .safetensors, {n}": named(things[n], "a.safetensors") for n in with_code}, READERS),
    ]


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _resumed() -> list[Case]:
    """``resume.pt`` of a run, with one thing in it changed."""

    def resume(target: tuple[object, SSRNet]) -> object:
        settings, model = target
        return load_progress(settings, model, torch.optim.Adam(model.parameters()), "data")

    def state(change: Callable[[dict], object]) -> Make:
        def make(folder: Path, draw: random.Random) -> object:
            settings, model = tiny.training(folder / "data", folder / "run"), tiny.network(5)
            settings = replace(settings, model=ModelSettings(backbone="resnet18"))
            save_progress(settings, model, torch.optim.Adam(model.parameters()), Progress(), "data")
            path = settings.out / "resume.pt"
            found = torch.load(path, weights_only=True)
            torch.save(change(found) or found, path)
            return settings, model

        return make

    def there(thing: Make) -> Make:
        def make(folder: Path, draw: random.Random) -> object:
            thing(folder, draw)
            return replace(
                tiny.training(folder / "data", folder / "run"), model=ModelSettings(backbone="resnet18")
            ), tiny.network(5)

        return make

    changes: dict[str, Callable[[dict], object]] = {
        "a list": lambda s: [1],
        "no model": lambda s: s.pop("model") and None,
        "a model of texts": lambda s: s.update(model={"a": "b"}),
        "no dictionary for a model": lambda s: s.update(model=[1]),
        "a run that is a number": lambda s: s.update(run=7),
        "a run that is a list": lambda s: s.update(run="[1]"),
        "a run of levels": lambda s: s.update(run="[" * 10_000 + "]" * 10_000),
        "progress that is none": lambda s: s.update(progress=None),
        "progress of texts": lambda s: s["progress"].update(epoch="1"),
        "progress backwards": lambda s: s["progress"].update(step=-5),
        "progress of 10^30": lambda s: s["progress"].update(batch=10**30),
        "a best of NaN": lambda s: s["progress"].update(best_mAP=float("nan")),
        "sums of texts": lambda s: s["progress"].update(sums={"loss": "x"}),
        "a model of numbered names": lambda s: s.update(model={1: torch.zeros(1)}),
        "an optimiser that is none": lambda s: s.update(optimiser=7),
        "an optimiser of others": lambda s: s.update(optimiser={"state": {}, "param_groups": []}),
        "an optimiser of NaN": lambda s: s["optimiser"].update(param_groups="x"),
        "another's model": lambda s: s["model"].pop("backbone.bn1.weight") is None,
        "another run": lambda s: s.update(run="{}"),
    }
    found: Sequence[Case] = [
        Case(f"resume: {name}", state(change), resume, says="resume.pt") for name, change in changes.items()
    ]
    found = [*found, Case("resume: as it was", state(lambda s: None), resume, "opens")]
    found += [Case(f"resume: {name}", there(thing), resume) for name, thing in special("run/resume.pt").items()]
    code = there(lambda folder, draw: written("run/resume.pt", pickle.dumps(Payload(folder)))(folder, draw))
    return [*found, Case("resume: code", code, resume, says="pickled code")]
