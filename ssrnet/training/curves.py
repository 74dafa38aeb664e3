"""Training curves as a picture for a model card.

Usage::

    python -m ssrnet.training.curves checkpoints/baseline checkpoints/ssrnet --out assets/figures/training.svg
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ssrnet.files import write_atomically
from ssrnet.training.runs import TrainingRun, read_run

PANELS = {
    "loss": "Loss of each branch, mean",
    "accuracy": "Training accuracy, %",
    "held_back/rank-1": "Held-back rank-1, %",
    "held_back/mAP": "Held-back mAP, %",
}
COLOURS = ("#6b7280", "#2563eb", "#16a34a", "#d97706")


@dataclass(frozen=True)
class CurvesSettings:
    """Draw what runs logged, epoch by epoch."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders with a run's log.jsonl and settings.json; one with "-start" after its name is the stage before."""
    out: Path
    """Picture to write (.svg, .pdf or .png)."""


def draw_curves(runs: Sequence[Sequence[TrainingRun]]) -> Figure:
    """A panel for each of :data:`PANELS`; the loss is divided by the branches it sums, so that networks compare.

    Each of ``runs`` is one network's stages, which follow one another along the axis.
    """
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    axes = figure.subplots(1, len(PANELS))
    for axis, (name, title) in zip(axes, PANELS.items(), strict=True):
        for stages, colour in zip(runs, COLOURS):
            at, drawn, before = [], [], 0
            for run in stages:
                epochs, values = run.series(name)
                scale = 1 / branches(run) if name == "loss" else 100
                at += [before + epoch for epoch in epochs]
                drawn += [scale * value for value in values]
                before += run.last.get("epoch", 0)
            marker = "o" if name.startswith("held_back") else None
            axis.plot(at, drawn, color=colour, marker=marker, ms=3, label=stages[-1].title)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("epoch", fontsize=8)
        axis.set_xlim(0, max((sum(run.last.get("epoch", 1) for run in stages) for stages in runs), default=1) + 0.5)
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[1].legend(fontsize=7, frameon=False, loc="lower right")
    return figure


def branches(run: TrainingRun) -> int:
    """How many branches' losses the logged loss is the sum of."""
    return max(1, sum(name.startswith("cross_entropy/") for name in run.last))


def read_stages(folder: Path) -> list[TrainingRun]:
    """The run in ``folder``, after the one it went on from where `ssrnet publish` has put that beside it."""
    start = folder.with_name(f"{folder.name}-start")
    return [read_run(each) for each in (start, folder) if each == folder or each.exists()]


def main(settings: CurvesSettings) -> None:
    figure = draw_curves([read_stages(folder) for folder in settings.runs])
    rcParams["svg.hashsalt"] = "ssrnet"  # with no date, the same curves give the same file
    kind = settings.out.suffix.removeprefix(".")
    metadata = {"Date": None} if kind == "svg" else {}
    write_atomically(settings.out, lambda temporary: figure.savefig(temporary, format=kind, metadata=metadata, dpi=200))


if __name__ == "__main__":
    main(tyro.cli(CurvesSettings, description=__doc__))
