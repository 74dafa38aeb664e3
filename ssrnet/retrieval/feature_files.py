"""A cache of feature files, each named by a hash of the record of what made its features."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import ssrnet
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.tensors import read_metadata

Record = dict[str, object]
"""What made a file's features: data set, checkpoint and settings; stored in the file's metadata."""

DESCRIPTIVE = {"model", "checkpoint", "dataset", "layout", "version"}
"""Entries for readers alone: records that differ in nothing else stand for the same features."""

SHIPPED, KEPT = Path("assets/features"), Path("runs/features")
"""The folders of feature files, below the project's folder or the working folder: those of the demo, and those that the
app, `ssrnet evaluate` and `ssrnet compare` extracted."""
MOST_KEPT = 2 * 2**30
"""Bytes of features that ``KEPT`` may hold: some 400 times the demo's, or 25 times VeRi-776's."""

AHEAD = 60.0
"""Seconds by which a file server's clock may be ahead of this machine's."""

FILES = f"*-{16 * '[0-9a-f]'}.safetensors"
"""Matches every name of :func:`file_name`."""
PARTS = f"*-{16 * '[0-9a-f]'}.part"
"""Matches every name of :func:`part_name`."""


def feature_record(made_by: Record, dataset: ReIDDataset, dataset_hash: str, split: str = "test") -> Record:
    """The record of a split's features; ``made_by`` is a checkpoint's ``record`` with that of ``describe``."""
    return {
        **made_by,
        "dataset": dataset.name,
        "layout": dataset.layout,
        "dataset_hash": dataset_hash,
        "split": split,
        "version": ssrnet.__version__,
    }


def file_name(record: Record) -> str:
    """``city-ssrnet-0123456789abcdef.safetensors``: data set, checkpoint, and a hash of the record."""
    return f"{_prefix(record)}-{_key(record)}.safetensors"


def part_name(record: Record) -> str:
    """``city-ssrnet-0123456789abcdef.part``: the folder of such features while they are extracted.

    It is the same for every state of the data, since each of its rows has the hash of its image.
    """
    return f"{_prefix(record)}-{_key(record | {'dataset_hash': None})}.part"


def feature_folders(*roots: Path) -> list[Path]:
    """Where features may be stored already, below each of the folders."""
    return [root / folder for root in roots for folder in (SHIPPED, KEPT)]


def find_features(folders: Iterable[Path], record: Record) -> FeatureSet | None:
    """The features of ``record``, from the first folder that has them; None where none has.

    Damaged files and files with another record are skipped.
    """
    found = find_file(folders, record)
    return None if found is None else found[1]


def find_file(folders: Iterable[Path], record: Record) -> tuple[Path, FeatureSet] | None:
    """As :func:`find_features`, with the file that they were read from."""
    for folder in folders:
        for path in sorted(folder.glob(f"*-{_key(record)}.safetensors")):
            try:
                features, stored = FeatureSet.load(path)
            except DataError:
                continue
            if _identifying(stored) == _identifying(record):
                return path, features
    return None


def differences(stored: Record, wanted: Record) -> list[str]:
    """How a file's features are other ones than ``wanted``, as ["flip test is True, not False"]; [] for the same."""

    def value(record: Record, name: str) -> str:
        label = record.get({"checkpoint_hash": "checkpoint", "dataset_hash": "dataset"}.get(name, ""))
        return f"{record.get(name, 'the default')}" + (f" ({label})" if label else "")

    return [
        f"{name.replace('_', ' ')} is {value(stored, name)}, not {value(wanted, name)}"
        for name in sorted(stored.keys() | wanted.keys())
        if _identifying({name: stored.get(name)}) != _identifying({name: wanted.get(name)})
    ]


def save_features(folder: Path, features: FeatureSet, record: Record) -> Path:
    """Writes the features for :func:`find_features`; raises :class:`ResourceError` where they cannot be written."""
    path = folder / file_name(record)
    features.save(path, record)
    return path


def remove_outdated(folder: Path, record: Record) -> list[Path]:
    """Removes and returns files of an earlier checkpoint of the same name, or of an earlier state of the data."""
    names = ("checkpoint", "dataset", "split")
    hashes = ("checkpoint_hash", "dataset_hash")
    removed = []
    for path in sorted(folder.glob(f"{_prefix(record)}-*.safetensors")):
        stored = read_record(path)
        if stored is None or any(stored.get(name) != record[name] for name in names):
            continue
        if any(stored.get(name) != record[name] for name in hashes):
            path.unlink()
            removed.append(path)
    return removed


def remove_oldest(folder: Path, max_bytes: int, *patterns: str) -> None:
    """Removes the oldest feature files until the rest takes at most ``max_bytes`` bytes; the newest file always stays.

    Files with a modification time in the future, which a clock that was set back leaves, go first: else they would stay
    for ever, and newly written files would go. Parts of unfinished extractions count too. ``patterns``: other files to
    remove instead.
    """
    latest = time.time() + AHEAD
    written = [
        (changed if changed <= latest else 0.0, sum(file.stat().st_size for file in (path, *path.glob("*"))), path)
        for pattern in patterns or (FILES, PARTS)
        for path in folder.glob(pattern)
        for changed in [path.stat().st_mtime]
    ]
    taken = 0
    for number, (_, size, path) in enumerate(sorted(written, reverse=True)):
        taken += size
        if number and taken > max_bytes:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def read_record(path: Path) -> Record | None:
    """The record of a feature file, without its features; None for any other file."""
    try:
        metadata = read_metadata(path)
        record = json.loads(metadata["record"]) if "branch_dims" in metadata else None
    except (OSError, KeyError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def slug(name: str) -> str:
    """``name`` for use in a file name: lower-case ASCII letters, digits and hyphens, at most 40."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "unnamed"


def _prefix(record: Record) -> str:
    """Data set and checkpoint, with which a file name begins."""
    return "-".join(map(slug, (str(record["dataset"]), Path(str(record["checkpoint"])).stem)))


def _key(record: Record) -> str:
    return hashlib.sha256(_identifying(record).encode()).hexdigest()[:16]


def _identifying(record: Record) -> str:
    """The record without its descriptive entries, as JSON, in which tuples and lists are equal."""
    return json.dumps({name: record[name] for name in sorted(record) if name not in DESCRIPTIVE})
