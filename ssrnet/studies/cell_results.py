"""The contents of a study's cell.json, readable without importing the network or training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssrnet.errors import DataError
from ssrnet.files import read_json, write_atomically
from ssrnet.metrics import Metrics
from ssrnet.training.old_settings import split_loss_name


@dataclass(frozen=True)
class Score:
    """Metrics on one test set: the mean over ``seeds`` of random galleries, or of the only split.

    ``record`` is the protocol record of the first seed; seeds differ only in the random gallery.
    """

    test_set: str
    record: dict[str, Any]
    seeds: tuple[int, ...]
    mean: Metrics
    deviation: Metrics | None


@dataclass(frozen=True)
class CellResult:
    """The contents of ``cell.json``. ``training``: the settings; ``training_set``: its name, hash and sizes."""

    cell: str
    variant: str
    image_size: int
    epochs: int
    steps: int
    training: dict[str, Any]
    training_set: dict[str, Any]
    scores: tuple[Score, ...]


def read_cell(path: Path) -> CellResult:
    """Reads a file of :func:`ssrnet.studies.cells.run_cell`; raises :class:`DataError` for any other file."""
    try:
        values = read_json(path)
        training, scores = split_loss_name(values["training"]), tuple(map(_score, values["scores"]))
        return CellResult(**{**values, "training": training, "scores": scores})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not a cell of a study ({error}); remove it and run the study again.") from error


def _score(values: dict[str, Any]) -> Score:
    def metrics(values: dict[str, Any] | None) -> Metrics | None:
        return None if values is None else Metrics(**{**values, "cmc": tuple(values["cmc"])})

    mean, deviation = metrics(values["mean"]), metrics(values["deviation"])
    return Score(**{**values, "seeds": tuple(values["seeds"]), "mean": mean, "deviation": deviation})


def write_json(path: Path, value: object) -> None:
    """Writes ``value`` as JSON, atomically; paths become strings."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    write_atomically(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))
