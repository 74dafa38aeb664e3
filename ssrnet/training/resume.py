"""Where a run stands, and the file from which --resume goes on."""

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
    "out",
    "max_steps",
    "evaluate_every",
    "workers",
    "device",
    "cache",
    "cache_images",
    "resume",
)
"""Settings that a resumed run may change without becoming another run."""

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
    """Restores what :func:`save_progress` saved; raises :class:`CheckpointError` where it is another run's."""
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
        raise CheckpointError(
            f"{path} belongs to a run with other settings ({'; '.join(changed)}); give the same, or another --out."
        )
    load_weights(model, state["model"], path)
    try:
        optimiser.load_state_dict(state["optimiser"])
    except Exception as error:  # of what is not its own PyTorch's optimiser raises anything
        raise foreign from error
    return Progress(**state["progress"])


def _is_progress(found: object) -> bool:
    """Whether all numbers of a :class:`Progress` are there, and can be."""
    if not isinstance(found, dict) or set(found) != set(Progress._fields) or not isinstance(found["sums"], dict):
        return False
    counts = [found[name] for name in ("epoch", "batch", "step")]
    numbers = [found["best_mAP"], found["seconds"], *found["sums"].values()]
    return all(type(count) is int and 0 <= count < 2**53 for count in counts) and all(
        type(number) in (int, float) and math.isfinite(number) for number in numbers
    )


def _identity(settings: TrainSettings, dataset_hash: str) -> dict[str, object]:
    """What makes a run this run: all settings that shape its weights, and its data."""
    return {k: v for k, v in asdict(settings).items() if k not in MAY_CHANGE} | {"dataset_hash": dataset_hash}


def as_json(value: object, indent: int | None = None) -> str:
    """JSON of settings and logs; a path becomes its text."""
    return json.dumps(value, indent=indent, default=str)
