"""The contents of a study's cell.json, readable without importing the network or training."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssrnet.errors import DataError
from ssrnet.files import read_json, write_atomically
from ssrnet.metrics import Metrics
from ssrnet.retrieval.metric_intervals import METRICS, VehicleSums
from ssrnet.training.old_settings import split_loss_name


@dataclass(frozen=True)
class Score:
    """Metrics on one test set: the mean over ``seeds`` of random galleries, or of the only split.

    ``record`` is the protocol record of the first seed; seeds differ only in the random gallery. ``vehicles``: by vehicle the
    number of its queries with a match and the sums of their scores by :data:`METRICS`, means over the seeds; None in older
    files.
    """

    test_set: str
    record: dict[str, Any]
    seeds: tuple[int, ...]
    mean: Metrics
    deviation: Metrics | None
    vehicles: dict[str, list[float]] | None = None

    @property
    def sums(self) -> VehicleSums | None:
        """``vehicles`` as intervals are drawn from; None where the file has none."""
        if self.vehicles is None:
            return None
        ids = np.array(sorted(self.vehicles))
        rows = np.array([self.vehicles[each] for each in ids], dtype=np.float64)
        return VehicleSums(ids, rows[None, :, 0], rows[None, :, 1:])


def by_vehicle(sums: VehicleSums) -> dict[str, list[float]]:
    """``Score.vehicles`` of what several random galleries, or one, scored."""
    rows = np.concatenate([sums.queries[..., None], sums.values], axis=2).mean(0).round(6)
    return dict(zip(sums.vehicles.tolist(), rows.tolist(), strict=True))


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
    wide = {len(row) for row in (values.get("vehicles") or {}).values()}
    if wide - {1 + len(METRICS)}:
        raise ValueError(f"a vehicle has {min(wide)} numbers, not {1 + len(METRICS)}")
    return Score(**{**values, "seeds": tuple(values["seeds"]), "mean": mean, "deviation": deviation})


def write_json(path: Path, value: object) -> None:
    """Writes ``value`` as JSON, atomically; paths become strings, and a list of numbers stays on one line."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    text = re.sub(r"\[\n\s+(-?\d[-+\d.eE,\s]*?)\s+\]", lambda numbers: f"[{' '.join(numbers[1].split())}]", text)
    write_atomically(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))
