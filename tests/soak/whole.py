"""Checks that every file is whole: reads all files of a folder whose command was killed to the last byte."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import load_file

from ssrnet.index.exact_store import INDEX, MATRIX
from ssrnet.index.opening import open_index
from ssrnet.training.checkpoint import load_checkpoint, read_pickle
from ssrnet.training.log import read_log
from ssrnet.training.runs import read_run


def is_temporary(path: Path, folder: Path) -> bool:
    """Whether its name, or that of a folder above it, is one that no reader opens."""
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") and part.endswith((".part", ".making")) for part in parts)


def check_whole(folder: Path) -> None:
    """Reads every file below ``folder`` that is not temporary; any error is the package's fault."""
    if not folder.is_dir():
        return
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if is_temporary(path, folder):
            continue
        if path.suffix == ".safetensors":
            assert load_file(path), f"{path.name} holds nothing"
        elif path.suffix in (".jpg", ".png"):
            with Image.open(path) as image:
                image.load()  # raises where a pixel is missing
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".npy":
            assert np.load(path).size
        elif path.suffix == ".pt":
            read_pickle(path)
        elif path.suffix == ".onnx":
            import onnx

            onnx.checker.check_model(onnx.load(path), full_check=True)


def check_run(folder: Path) -> None:
    """Checks that a training run's files agree with each other and can be read."""
    check_whole(folder)
    if not (folder / "settings.json").exists():
        return
    run = read_run(folder)
    epochs = [line["epoch"] for line in read_log(folder / "log.jsonl")] if (folder / "log.jsonl").exists() else []
    assert [line["epoch"] for line in run.epochs] == epochs == list(range(1, len(epochs) + 1)), f"the log has {epochs}"
    saved = read_pickle(folder / "resume.pt")["progress"] if (folder / "resume.pt").exists() else None
    if saved is not None:  # written last, so all that it resumes from exists
        last = load_checkpoint(folder / "last.safetensors").info
        assert saved["step"] <= last.step, f"resume.pt is of step {saved['step']}, last.safetensors of {last.step}"
        assert saved["epoch"] <= len(epochs) <= last.epoch, f"{saved}, {epochs}, epoch {last.epoch}"
    else:
        assert len(epochs) <= 1, f"{len(epochs)} epochs are logged and none can be gone on from"


def check_index(folder: Path) -> dict[str, bytes]:
    """Checks every row's checksum; returns the rows by their entries' sources and names."""
    if not (folder / "index.json").exists():
        return {}
    index, record = open_index(folder)
    with closing(index):
        if record.backend == "exact":
            index.verify()
            rows = {
                f"{entry.source}/{entry.name}": row.tobytes()
                for part in index.blocks()
                for entry, row in zip(*part, strict=True)
            }
            assert len(rows) == len(index)
            return rows
        return {f"{entry.source}/{entry.name}": b"" for entry in index.entries()}


def check_part(folder: Path) -> None:
    """Checks an extraction's file, and the partial store beside it."""
    check_whole(folder)
    for path in folder.glob("*.part"):
        if (path / "index.json").exists():
            check_index(path)
        else:
            assert not (path / MATRIX).exists() or not (path / MATRIX).stat().st_size or (path / INDEX).exists()
