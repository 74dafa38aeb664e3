"""Our readings of the paper, from ``readings.json``: where it is silent or ambiguous, its words, our choice and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources

from ssrnet.studies.paper import paper_tables


@dataclass(frozen=True)
class Reading:
    """One reading. ``words``: the paper's own, at ``where``; ``symbol``: what it concerns, as LaTeX, may be empty.

    settings: options of ``ssrnet COMMAND`` that change it, each with its default, which is our choice. code: where it is
    in the code, with the defaults there. shown: the pages of the app and the tables of the paper that it concerns.
    Numbers in ``choice`` and ``why`` are names in braces, filled in by :func:`readings_of`.
    """

    title: str
    symbol: str
    where: str
    words: str
    choice: str
    why: str
    shown: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=dict)
    command: str = "train"
    code: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def setting(self) -> str:
        """The options with their defaults, or, for a reading without one, its place in the code, as a sentence."""
        if not self.settings:
            return f"No setting: it is {' and '.join(f'`{name}`' for name in self.code)}."
        options = ", ".join(f"`{option(name)}` ({as_text(value)})" for name, value in self.settings.items())
        return f"Set by {options} of `ssrnet {self.command}`."

    def set_otherwise(self, training: Mapping[str, object]) -> dict[str, object]:
        """This reading's settings, by option, that a run's ``training`` settings have at another value."""
        values = {name: _lookup(training, name) for name in self.settings} if self.command == "train" else {}
        return {option(name): value for name, value in values.items() if value not in (None, self.settings[name])}


def option(setting: str) -> str:
    """A setting as the command line spells it: "model.branch_dim" is "--model.branch-dim"."""
    return "--" + setting.replace("_", "-")


def as_text(value: object) -> str:
    """A setting's value in words."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "both"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@cache
def all_readings() -> tuple[Reading, ...]:
    """All readings as the file has them, with names in place of computed numbers."""
    entries = json.loads(resources.files(__package__).joinpath("readings.json").read_text(encoding="utf-8"))
    return tuple(Reading(**{**entry, "shown": tuple(entry["shown"])}) for entry in entries)


def readings_of(place: str | None = None) -> list[Reading]:
    """The readings that a page of the app ("graph") or a table ("Table 6") shows, or all, with their numbers."""
    chosen = [reading for reading in all_readings() if place is None or place in reading.shown]
    return [
        replace(each, choice=each.choice.format_map(numbers()), why=each.why.format_map(numbers())) for each in chosen
    ]


@cache
def numbers() -> dict[str, float]:
    """What the readings' texts name, counted from the networks and taken from the paper's Table 7."""
    import torch  # here, since `ssrnet --help` counts nothing

    from ssrnet.model import TABLE_1, ModelSettings
    from ssrnet.model.attention import AttentionHead
    from ssrnet.model.graph import TOKEN_DEVIATION
    from ssrnet.studies.complexity import budget
    from ssrnet.training.settings import recipe

    paper, run = paper_tables()["Table 7"], recipe("paper")
    baseline = ModelSettings(**TABLE_1["GB"])
    base, base_adds = budget(baseline, 256)
    whole, adds = budget(ModelSettings(), 256)
    with torch.device("meta"):
        width, length = 2048, ModelSettings().branch_dim
        head = sum(parameter.numel() for parameter in AttentionHead(width, length).parameters())
    wide, narrow = width * width + width * length, width * length + length * length
    return {
        "head_share": 100 * head / (whole - base),
        "added": (whole - base) / 1e6,
        "parameters": whole / 1e6,
        "narrow": (whole - wide + narrow) / 1e6,
        "adds": adds / 1e9,
        "base_adds": base_adds / 1e9,
        "stride_2_adds": budget(replace(baseline, last_stride=2), 256)[1] / 1e9,
        "paper_adds": paper.value("SSR-Net", "", "Multiply-adds") / 1e9,
        "paper_parameters": paper.value("SSR-Net", "", "Parameters") / 1e6,
        "token_deviation": TOKEN_DEVIATION,
        "batch": run.identities_per_batch * run.images_per_identity,
    }


def help_lines(command: str = "train") -> str:
    """The readings with an option of ``command``, a line each, for its ``--help``."""
    lines = [
        f"  {reading.title} ({reading.where}): {', '.join(map(option, reading.settings))}"
        for reading in all_readings()
        if reading.command == command and reading.settings
    ]
    return "\n".join(lines)


def as_note(reading: Reading) -> str:
    """One paragraph for a report: words, choice, reason, setting."""
    return (
        f"{reading.title} ({reading.where}: “{reading.words}”). Here: {reading.choice} {reading.why} {reading.setting}"
    )


def as_table() -> str:
    """All readings as a Markdown table, for a README or a report."""
    lines = ["| | the paper | here, and why | setting, and its default |", "|---|---|---|---|"]
    for reading in readings_of():
        words = f"{reading.where}: “{reading.words}”"
        lines.append(f"| {reading.title} | {words} | {reading.choice} {reading.why} | {reading.setting} |")
    return "\n".join(lines)


def as_card(training: Mapping[str, object]) -> str:
    """The readings that a page shows, as they are in a checkpoint with these ``training`` settings, for its model card."""
    lines = ["| | the paper | here |", "|---|---|---|"]
    for reading in readings_of():
        if all(place in paper_tables() for place in reading.shown):
            continue  # of a table's losses or variants, which concern no one network
        otherwise = ", ".join(f"`{name} {as_text(value)}`" for name, value in reading.set_otherwise(training).items())
        here = f"Not the default: {otherwise}." if otherwise else reading.choice
        lines.append(f"| {reading.title} | {reading.where} | {here} |")
    return "\n".join(lines)


def _lookup(values: object, name: str) -> object:
    for part in name.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values
