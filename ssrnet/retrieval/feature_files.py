"""Feature files that are found again: named by what made them, and trusted only if their record says the same."""

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
"""What made a feature file's features; it lies in the file's metadata."""

SHAPES_NOTHING = {"model", "checkpoint", "dataset", "version"}
"""Names for people in a record: two features that differ in these alone are the same."""

AHEAD = 60.0
"""Seconds by which the clock of a file server may be ahead of this machine's."""

FILES = f"*-{16 * '[0-9a-f]'}.safetensors"
"""Every name that :func:`file_name` gives."""
PARTS = f"*-{16 * '[0-9a-f]'}.part"
"""Every name that :func:`part_name` gives."""


def feature_record(made_by: Record, dataset: ReIDDataset, dataset_hash: str, split: str = "test") -> Record:
    """The record of a split's features; ``made_by`` is a checkpoint's ``record`` and what ``describe`` says."""
    return {
        **made_by,
        "dataset": dataset.name,
        "dataset_hash": dataset_hash,
        "split": split,
        "version": ssrnet.__version__,
    }


def file_name(record: Record) -> str:
    """``city-ssrnet-0123456789abcdef.safetensors``: data set, checkpoint, and a hash over all that shapes features."""
    return f"{_prefix(record)}-{_key(record)}.safetensors"


def part_name(record: Record) -> str:
    """``city-ssrnet-0123456789abcdef.part``: the folder of such features while they are extracted.

    Any state of the data has the same, since in there each image is known by its own content.
    """
    return f"{_prefix(record)}-{_key(record | {'dataset_hash': None})}.part"


def find(folders: Iterable[Path], record: Record) -> FeatureSet | None:
    """The features that ``record`` describes, from the first folder that has them.

    A damaged file, or one whose record says otherwise, is passed over.
    """
    for folder in folders:
        for path in sorted(folder.glob(f"*-{_key(record)}.safetensors")):
            try:
                features, own = FeatureSet.load(path)
            except DataError:
                continue
            if _shaping(own) == _shaping(record):
                return features
    return None


def keep(folder: Path, features: FeatureSet, record: Record) -> Path:
    """Writes the features where :func:`find` will look; raises :class:`ResourceError` where that cannot be done."""
    path = folder / file_name(record)
    features.save(path, record)
    return path


def remove_outdated(folder: Path, record: Record) -> list[Path]:
    """Removes, and returns, features of an earlier checkpoint of the same file name or an earlier state of the data."""
    names = ("checkpoint", "dataset", "split")
    hashes = ("checkpoint_hash", "dataset_hash")
    removed = []
    for path in sorted(folder.glob(f"{_prefix(record)}-*.safetensors")):
        own = read_record(path)
        same_names = own is not None and all(own.get(name) == record[name] for name in names)
        if own is not None and same_names and any(own.get(name) != record[name] for name in hashes):
            path.unlink()
            removed.append(path)
    return removed


def remove_oldest(folder: Path, most: int, *patterns: str) -> None:
    """Removes the features written longest ago, until those left take at most ``most`` bytes; the newest stay.

    Files of a time that is still to come, as a clock that was set back leaves them, go first: else they would stay for
    ever, and what was just written would go. Parts of extractions that nobody went on with count too. ``patterns`` are
    those of other files in their place.
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
        if number and taken > most:
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


def in_letters(name: str) -> str:
    """A name's part of a file name, in letters that every file system takes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "unnamed"


def _prefix(record: Record) -> str:
    """Data set and checkpoint, as a file name begins."""
    return "-".join(map(in_letters, (str(record["dataset"]), Path(str(record["checkpoint"])).stem)))


def _key(record: Record) -> str:
    return hashlib.sha256(_shaping(record).encode()).hexdigest()[:16]


def _shaping(record: Record) -> str:
    """The record's part that shapes features, as JSON: lists and tuples are the same once they have been in a file."""
    return json.dumps({name: record[name] for name in sorted(record) if name not in SHAPES_NOTHING})
