"""Which curves of training runs are drawn, and which of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ssrnet.training.runs import HEALTH, HELD_BACK, TrainingRun


@dataclass(frozen=True)
class Panel:
    """Curves that share their axes. ``curves`` maps a name in the log to its label, "" where there is but one."""

    title: str
    curves: Mapping[str, str]
    share: bool = False
    """Values lie in [0, 1]."""
    sparse: bool = False
    """Not every epoch has a value, so that points need markers."""
    tiny: bool = False
    """Values are far below 1 and want powers of ten."""


_COMMON = (
    Panel("Loss", {"loss": ""}),
    Panel("Held-back mAP", {f"{HELD_BACK}/mAP": ""}, share=True, sparse=True),
    Panel("Held-back rank-1", {f"{HELD_BACK}/rank-1": ""}, share=True, sparse=True),
    Panel("Training accuracy", {"accuracy": ""}, share=True),
    Panel("Learning rate", {"learning_rate": ""}, tiny=True),
    Panel("Images per second", {"images_per_second": ""}),
)


def panels(runs: Sequence[TrainingRun]) -> list[Panel]:
    """The curves of these runs: common ones in a fixed order, then loss terms, then all others."""
    names = dict.fromkeys(name for run in runs for line in run.epochs for name in line)
    drawn = [panel for panel in _COMMON if any(name in names for name in panel.curves)]
    terms: dict[str, dict[str, str]] = {}
    for name in names:
        term, slash, branch = name.partition("/")
        if slash and term not in (HELD_BACK, HEALTH):
            terms.setdefault(term, {})[name] = branch
    drawn += [Panel(f"Loss: {term.replace('_', ' ')}", curves) for term, curves in terms.items()]
    health = {name: name.partition("/")[2] for name in names if name.startswith(f"{HEALTH}/")}
    health.pop(f"{HEALTH}/images", None)  # how many images the others were measured on
    drawn += [Panel("Attention health", health, sparse=True)] if health else []
    known = {name for panel in _COMMON for name in panel.curves} | {"epoch", "step", "seconds", "minutes", "image_size"}
    others = [name for name in names if "/" not in name and name not in known]
    return drawn + [Panel(name.replace("_", " ").capitalize(), {name: ""}) for name in others]
