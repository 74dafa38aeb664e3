"""The attention health of a network on a data set, measured once and stored beside the data set's features."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np

from ssrnet.files import read_json, write_atomically
from ssrnet.model.health import AttentionHealth
from ssrnet.retrieval.feature_files import Record, file_name

IMAGES = 24
"""Images that the health is measured on, or all where there are fewer: some three seconds of two free cores a network."""
SUFFIX = ".health.json"
T = TypeVar("T")


def evenly_spaced(images: Sequence[T], most: int = IMAGES) -> list[T]:
    """The images that are looked at, the same for every network."""
    return [images[i] for i in np.linspace(0, len(images) - 1, min(most, len(images)), dtype=int)]


def save_health(folder: Path, health: AttentionHealth, record: Record) -> Path:
    """Writes the health of the features that ``record`` describes; raises :class:`ResourceError` where it cannot be written."""
    path = _path(folder, record)
    write_atomically(path, lambda part: part.write_text(json.dumps(asdict(health)) + "\n", encoding="utf-8"))
    return path


def find_health(folders: Iterable[Path], record: Record) -> AttentionHealth | None:
    """The health from the first folder that has it; damaged files are skipped."""
    for folder in folders:
        try:
            fields = read_json(_path(folder, record))
            return AttentionHealth(**{**fields, "node_cosine": tuple(map(float, fields["node_cosine"]))})
        except (OSError, TypeError, KeyError, ValueError):
            continue
    return None


def _path(folder: Path, record: Record) -> Path:
    return folder / (file_name(record).removesuffix(".safetensors") + SUFFIX)
