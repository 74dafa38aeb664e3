"""A run's log: log.jsonl and TensorBoard's scalars, one entry an epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ssrnet.errors import DataError, DivergedError, ResourceError
from ssrnet.files import parse_json, read_bytes, write_atomically

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class EpochSums:
    """Sums of an epoch's loss, accuracy and terms over its steps.

    A GPU computes ahead of Python until Python needs a number, so the values of steps stay on the device until
    :meth:`flush`.
    """

    def __init__(self, sums: Mapping[str, float], steps: int) -> None:
        self.sums, self.steps, self.seconds = dict(sums), steps, 0.0
        self._waiting: list[dict[str, Tensor]] = []

    def add(self, values: dict[str, Tensor]) -> None:
        """Scalars of one step, on any device; ``loss`` is among them."""
        self._waiting.append({name: value.detach() for name, value in values.items()})

    def flush(self, last_step: int) -> None:
        """Adds the values that wait on the device; ``last_step`` is the run's number of the newest step.

        Raises :class:`DivergedError` where a loss is NaN or infinite, naming its step.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        rows = torch.stack([torch.stack(list(values.values())) for values in waiting]).tolist()
        for number, row in enumerate(rows):
            values = dict(zip(waiting[0], row))
            if not torch.isfinite(torch.tensor(values["loss"])):
                step = last_step - len(rows) + 1 + number
                raise DivergedError(
                    f"the loss became {values['loss']} at step {step}; the checkpoints in the run's folder are those "
                    "of the last whole epoch: start anew in another --out with a lower learning rate."
                )
            for name, value in values.items():
                self.sums[name] = self.sums.get(name, 0.0) + value
        self.steps += len(rows)

    @property
    def means(self) -> dict[str, float]:
        return {name: value / self.steps for name, value in self.sums.items()}

    def __str__(self) -> str:
        return f"loss {self.means['loss']:.3f} acc {self.means['accuracy']:.1%}"


class RunLog:
    """Appends to ``folder``/log.jsonl and ``folder``/tensorboard; use in ``with``.

    Starts by removing what lies beyond ``epoch`` and ``step``: epochs that a killed run logged and that a resumed one
    trains again, and a line that was cut short.
    """

    def __init__(self, folder: Path, epoch: int, step: int) -> None:
        self.path, self.purge_step = folder / "log.jsonl", step + 1 if step else None
        self.writer: SummaryWriter | None = None  # opened by the first line, since it makes a file at once
        _remove_after(self.path, epoch)
        if self.path.exists():
            self.path.touch()  # the Scoreboard counts a run as stopped whose log has not changed for long

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            with suppress(OSError):  # a full disk has raised ResourceError already
                self.writer.close()

    def write(self, line: Mapping[str, object]) -> None:
        """One epoch; raises :class:`ResourceError` where the disk is full."""
        try:
            with open(self.path, "a") as file:
                file.write(json.dumps(line, default=str) + "\n")
            if self.writer is None:
                from torch.utils.tensorboard import SummaryWriter  # slow to import, and only training needs it

                self.writer = SummaryWriter(str(self.path.parent / "tensorboard"), purge_step=self.purge_step)
            for name, value in _scalars(line).items():
                self.writer.add_scalar(name, value, global_step=line["step"])
            self.writer.flush()
        except OSError as error:
            raise ResourceError(
                f"cannot write {self.path} ({error.strerror}); free space and go on with the same command and "
                "--resume, the checkpoint of the epoch before is untouched."
            ) from error


def read_log(path: Path) -> list[dict[str, object]]:
    """The epochs in a log.jsonl, as written; a last line that is being written, or was cut short, is left out.

    Raises :class:`DataError` for a line before that which is no epoch, and OSError as opening a file does.
    """
    lines = read_bytes(path).decode(errors="replace").split("\n")
    epochs = []
    for number, text in enumerate(lines):
        if not text.strip():
            continue
        try:
            line = parse_json(text)
            if isinstance(line["epoch"], bool) or not 0 <= line["epoch"] < 2**53:  # a text that reads so is no number
                raise ValueError(line["epoch"])
        except (ValueError, TypeError, KeyError):
            if any(later.strip() for later in lines[number + 1 :]):
                raise DataError(
                    f"{path}, line {number + 1} is no epoch of a training run; remove that line, or give another run."
                ) from None
            break
        epochs.append(line)
    return epochs


def _remove_after(path: Path, epoch: int) -> None:
    if not path.exists():
        return
    lines = [line for line in read_log(path) if line["epoch"] <= epoch]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    if text != path.read_text():
        write_atomically(path, lambda temporary: temporary.write_text(text))


def _scalars(line: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """Every number of ``line``, those of an inner mapping under "its name/"; epoch and step are the axis."""
    scalars: dict[str, float] = {}
    for name, value in line.items():
        if isinstance(value, Mapping):
            scalars |= _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name not in ("epoch", "step"):
            scalars[prefix + name] = value
    return scalars
