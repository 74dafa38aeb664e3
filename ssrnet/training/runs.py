"""Training runs on disk: their logs, their settings, and the metrics of their checkpoints.

A run is the --out folder of ``ssrnet train``, which may still write there while it is read here.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from ssrnet.errors import CheckpointError, DataError, SettingsError
from ssrnet.files import parse_json, read_json
from ssrnet.metrics import AP_DEFINITION
from ssrnet.model import ModelSettings
from ssrnet.tensors import read_tensors
from ssrnet.training.log import read_log
from ssrnet.training.old_settings import split_loss_name

LOG, SETTINGS = "log.jsonl", "settings.json"
CMC_RANKS = (1, 5, 10)
QUIET = 300.0
"""Seconds without a new line after which an unfinished run counts as stopped; four of its epochs if that is longer."""
NOT_COMPARED = {"out", "resume"}
"""Settings that always differ, or do not affect what is trained."""
HELD_BACK = "held_back"
HEALTH = "attention_health"

State = Literal["starting", "training", "stopped", "finished"]
Axis = Literal["epoch", "step", "minutes"]


@dataclass(frozen=True)
class TrainingRun:
    """One run's folder at one moment.

    ``epochs`` has one mapping an epoch, epochs rising; inner mappings are flattened ("held_back/mAP"),
    CMC lists become "held_back/rank-1" and so on, ``minutes`` is the time trained up to its end, and
    what is no finite number is left out. ``settings`` is flattened too ("model.backbone").
    """

    folder: Path
    epochs: tuple[Mapping[str, float], ...]
    settings: Mapping[str, object]
    title: str
    state: State

    @property
    def last(self) -> Mapping[str, float]:
        """The newest epoch; empty before the first has ended."""
        return self.epochs[-1] if self.epochs else {}

    @property
    def going_on(self) -> bool:
        return self.state in ("starting", "training")

    def series(self, name: str, axis: Axis = "epoch") -> tuple[list[float], list[float]]:
        """Positions and values of the epochs that have ``name``."""
        points = [(line[axis], line[name]) for line in self.epochs if name in line and axis in line]
        return [x for x, _ in points], [y for _, y in points]

    def resized(self, axis: Axis = "epoch") -> list[tuple[float, int]]:
        """Where the first epoch with another image size ended, and that size in pixels."""
        places, sizes = self.series("image_size", axis)
        return [(at, int(size)) for at, size, before in zip(places[1:], sizes[1:], sizes) if size != before]


@dataclass(frozen=True)
class StoredMetrics:
    """Metrics that a checkpoint stores, in [0, 1], and the record of how they were measured."""

    checkpoint: Path
    model: str
    epoch: int
    on: str
    values: Mapping[str, float]
    record: Mapping[str, object]


def find_runs(places: Iterable[Path]) -> list[Path]:
    """Folders below ``places`` that hold a run, sorted; one that has not ended its first epoch counts too."""
    folders: set[Path] = set()
    for place in places:
        folders |= {path.parent for path in place.rglob(LOG)}
        folders |= {path.parent for path in place.rglob(SETTINGS) if "recipe" in _read_settings(path)}
    return sorted(folders)


def find_studies(places: Iterable[Path]) -> list[Path]:
    """Folders below ``places`` that ``ssrnet study`` had as --out, sorted in each."""
    outs = ({path.parent.parent for path in place.rglob("studies/*.json")} for place in places)
    return [folder for folders in outs for folder in sorted(folders)]


def read_run(folder: Path, now: float | None = None) -> TrainingRun:
    """The run in ``folder``; ``now`` is the time in seconds since 1970 by which it is judged alive.

    A last line that is being written, or was cut short by a crash, is left out, and where a run was
    resumed from an earlier epoch the later lines count. Raises :class:`DataError` where the folder is
    gone or holds no run, or where a line before the last is no epoch.
    """
    log = folder / LOG
    settings = _read_settings(folder / SETTINGS)
    try:
        lines = read_log(log)
        changed = log.stat().st_mtime
    except FileNotFoundError:
        if not folder.is_dir():
            raise DataError(f"{folder} is not there (any more); choose another run or correct its path.") from None
        if "recipe" not in settings:
            raise DataError(
                f"{folder} holds no training run (neither {LOG} nor {SETTINGS} of one); "
                "choose what `ssrnet train` had as --out."
            ) from None
        lines, changed = [], (folder / SETTINGS).stat().st_mtime
    except OSError as error:
        raise DataError(f"{log} cannot be read ({error.strerror}); check its permissions.") from error
    epochs = _epochs(lines)
    state = _state(epochs, settings, (time.time() if now is None else now) - changed)
    return TrainingRun(folder, epochs, _flat(settings, "."), _title(settings), state)


def differing_settings(runs: Sequence[TrainingRun]) -> dict[str, tuple[str, ...]]:
    """Settings that are not the same in all runs, each with its value a run; "not set" where a run lacks it."""
    names = dict.fromkeys(name for run in runs for name in run.settings if name not in NOT_COMPARED)
    rows = {
        name: tuple(_text(run.settings[name]) if name in run.settings else "not set" for run in runs) for name in names
    }
    return {name: values for name, values in rows.items() if len(set(values)) > 1}


def stored_metrics(checkpoint: Path) -> list[StoredMetrics]:
    """The metrics that ``checkpoint`` stores, without loading its weights; may be empty.

    An entry that has a record keeps it; for the held-back identities of `ssrnet train`, whose evaluation has fixed
    rules, the record is made here. Raises :class:`CheckpointError` where
    the file cannot be read.
    """
    try:
        file = read_tensors(checkpoint)
        info = parse_json(file.metadata.get("info", "{}"))
        metrics = {name: values for name, values in info.get("metrics", {}).items() if isinstance(values, dict)}
        return [_stored(checkpoint, file.hash, info, name, values) for name, values in metrics.items()]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{checkpoint} is no checkpoint of ssrnet or damaged ({error}); copy it again."
        ) from error


def _stored(checkpoint: Path, content: str, info: dict, name: str, values: dict) -> StoredMetrics:
    numbers = _flat(values.get("metrics", values))
    model = _model_title(info["model"])
    made_by = {"model": model, "checkpoint": checkpoint.name, "checkpoint_hash": content}
    record = values.get("record") or {
        "dataset": info["dataset"],
        "dataset_hash": info["dataset_hash"],
        "images": _images(name, info["training"]),
        "queries_kept": "all",
        "protocol": "cross_camera where the data names cameras, else single_gallery_shot with seed 0",
        "junk_rule": "the query itself; with cameras, every image of its vehicle by its camera",
        "queries": numbers.get("queries"),
        "excluded_queries": numbers.get("excluded"),
        "average_precision": AP_DEFINITION,
        "distance": "cosine",
        "re_ranking": "none",
        "features": {**made_by, "image_size": info["image_size"], "flip_test": False, "neck": "after"},
        "version": info["version"],
    }
    on = "training identities held back" if name == HELD_BACK else name
    finite = {key: value for key, value in numbers.items() if _is_number(value)}
    return StoredMetrics(checkpoint, model, int(info["epoch"]), on, finite, record)


def _images(name: str, training: Mapping[str, object]) -> str:
    if name != HELD_BACK:
        return name
    holdout, seed = training.get("holdout"), training.get("seed")
    return f"{holdout} training identities that were not trained on, drawn by seed {seed}"


def _epochs(lines: Sequence[Mapping[str, object]]) -> tuple[dict[str, float], ...]:
    """The lines' finite numbers with the time trained so far; an epoch that was trained again counts as it was last."""
    epochs: list[dict[str, float]] = []
    for line in lines:
        numbers = {name: float(value) for name, value in _flat(line).items() if _is_number(value)}
        while epochs and epochs[-1]["epoch"] >= numbers["epoch"]:
            epochs.pop()
        spent = epochs[-1].get("minutes", 0.0) if epochs else 0.0
        epochs.append({**numbers, "minutes": spent + numbers.get("seconds", 0.0) / 60})
    return tuple(epochs)


def _state(epochs: Sequence[Mapping[str, float]], settings: Mapping[str, object], quiet: float) -> State:
    """``quiet``: seconds since the last line, or since the start; negative where the clock was set back since.

    Then the run counts as still for as long, since a file of next year would say for a year that it goes on; the next
    line of one that does go on sets it right.
    """
    last = epochs[-1] if epochs else {}
    for reached, limit in (("epoch", settings.get("epochs")), ("step", settings.get("max_steps"))):
        if isinstance(limit, int) and last.get(reached, 0) >= limit:
            return "finished"
    slowest = max((line.get("seconds", 0.0) for line in epochs), default=0.0)
    # Before the first line nobody knows how long an epoch takes; an hour is what a large one may.
    if abs(quiet) > (max(QUIET, 4 * slowest) if epochs else 3600):
        return "stopped"
    return "training" if epochs else "starting"


def _read_settings(path: Path) -> dict[str, object]:
    """The run's settings; empty where there are none to read, since curves need none."""
    try:
        settings = read_json(path)
    except (OSError, ValueError):
        return {}
    return split_loss_name(settings) if isinstance(settings, dict) else {}


def _title(settings: Mapping[str, object]) -> str:
    model = settings.get("model")
    return _model_title(model) if isinstance(model, dict) else ""


def _model_title(model: Mapping[str, object]) -> str:
    """The network's row in the paper's tables; a newer ssrnet's unknown settings are passed over."""
    known = {field.name for field in fields(ModelSettings)}
    settings: dict[str, Any] = {name: value for name, value in model.items() if name in known}
    try:
        return ModelSettings(**settings).title
    except (SettingsError, TypeError):
        return "a network that this ssrnet does not know"


def _flat(values: Mapping[str, object], separator: str = "/", prefix: str = "") -> dict[str, object]:
    """Inner mappings by path; a CMC list as the few ranks that papers give."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, separator, f"{prefix}{name}{separator}")
        elif name == "cmc" and isinstance(value, Sequence):
            flat |= {f"{prefix}rank-{k}": value[k - 1] for k in CMC_RANKS if k <= len(value)}
        else:
            flat[prefix + name] = value
    return flat


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < 2**64 or (
        isinstance(value, float) and math.isfinite(value)
    )  # a whole number may be of any size


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
