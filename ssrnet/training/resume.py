"""How far a run has come, and resume.pt, from which --resume goes on."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import NamedTuple

import torch

from ssrnet.errors import CheckpointError
from ssrnet.files import parse_json, write_atomically
from ssrnet.model import SSRNet
from ssrnet.training.checkpoint import load_weights
from ssrnet.training.old_settings import split_loss_name
from ssrnet.training.pickles import is_state_dict, read_pickle
from ssrnet.training.settings import TrainSettings

MAY_CHANGE = (
    "data",
    "more_data",
    "layout",
    "out",
    "max_steps",
    "evaluate_every",
    "workers",
    "device",
    "cache",
    "cache_images",
    "resume",
    "skip_damaged",
)
"""Settings that may differ when a run is resumed; the hash of the data tells whether other images are left out."""

KEYS = {"model", "optimiser", "progress", "run"}


class Progress(NamedTuple):
    """How far a run has come.

    ``epoch`` whole epochs and ``batch`` batches of the next are done, ``step`` steps in all.
    ``sums`` and ``seconds`` are those of the unfinished epoch; ``best_mAP`` is on the held-back identities.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best_mAP: float = -1.0
    sums: dict[str, float] = {}
    seconds: float = 0.0


def save_progress(
    settings: TrainSettings, model: SSRNet, optimiser: torch.optim.Optimizer, progress: Progress, dataset_hash: str
) -> None:
    """Writes all that --resume needs, atomically: weights, optimiser, settings, progress.

    No random state: batches and augmentation depend on the seed and the step alone, and the network
    draws nothing.
    """
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "progress": progress._asdict(),
        "run": as_json(_identity(settings, dataset_hash)),
    }
    write_atomically(settings.out / "resume.pt", lambda temporary: torch.save(state, temporary))


def load_progress(
    settings: TrainSettings, model: SSRNet, optimiser: torch.optim.Optimizer, dataset_hash: str
) -> Progress:
    """Restores what :func:`save_progress` saved; raises :class:`CheckpointError` for another run's file."""
    path = settings.out / "resume.pt"
    if not path.is_file():
        raise CheckpointError(f"there is nothing to resume at {path}; start the run without --resume.")
    state = read_pickle(path)
    foreign = CheckpointError(f"{path} is not what a run of this ssrnet leaves; remove it and start the run anew.")
    if not isinstance(state, dict) or not state.keys() >= KEYS or not _is_progress(state["progress"]):
        raise foreign
    try:
        before = split_loss_name(parse_json(str(state["run"])))
    except (AttributeError, TypeError, ValueError) as error:
        raise foreign from error
    if not is_state_dict(state["model"]):
        raise foreign
    now = json.loads(as_json(_identity(settings, dataset_hash)))
    changed = [f"{name} was {before.get(name)} and is {now[name]}" for name in now if before.get(name) != now[name]]
    if changed:
        advice = "give the same, or another --out"
        if before.get("epochs") != now["epochs"]:
            # The learning rate falls to its end at the last epoch, so that a longer run is another run from the start.
            advice = f"give the same, or train further in another --out with --start-from {settings.out / 'last.safetensors'}"
        raise CheckpointError(f"{path} belongs to a run with other settings ({'; '.join(changed)}); {advice}.")
    load_weights(model, state["model"], path)
    try:
        optimiser.load_state_dict(state["optimiser"])
    except Exception as error:  # PyTorch raises anything for the state of another optimiser
        raise foreign from error
    return Progress(**state["progress"])


def _is_progress(value: object) -> bool:
    """Whether ``value`` holds every number of a :class:`Progress`, each in range."""
    if not isinstance(value, dict) or set(value) != set(Progress._fields) or not isinstance(value["sums"], dict):
        return False
    counts = [value[name] for name in ("epoch", "batch", "step")]
    numbers = [value["best_mAP"], value["seconds"], *value["sums"].values()]
    return all(type(count) is int and 0 <= count < 2**53 for count in counts) and all(
        type(number) in (int, float) and math.isfinite(number) for number in numbers
    )


def _identity(settings: TrainSettings, dataset_hash: str) -> dict[str, object]:
    """All settings that shape a run's weights, and the hash of its data."""
    return {k: v for k, v in asdict(settings).items() if k not in MAY_CHANGE} | {"dataset_hash": dataset_hash}


def as_json(value: object, indent: int | None = None) -> str:
    """JSON of settings and logs; a path becomes its text."""
    return json.dumps(value, indent=indent, default=str)
