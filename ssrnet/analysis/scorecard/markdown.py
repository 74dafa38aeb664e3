"""A scorecard as self-contained Markdown, for the shell and for model cards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from ssrnet.analysis.scorecard.scorecard import ModelScores, ProtocolScores, Scorecard, ScoredModel, SliceScores
from ssrnet.retrieval.metric_intervals import METRICS, Estimate

BRANCHES = {"G": "global", "attn": "attention", "token": "token"}
SLICE_METRICS = ("rank-1", "mAP")
SLICES_PER_TABLE = 3
MINUS = "−"

Column = tuple[str, SliceScores, str]
"""Heading, slice and metric."""


def render(scorecard: Scorecard) -> str:
    """A table per protocol, tables of its slices below, then how to read them, and the models.

    Values are percent with the 95 % interval in brackets; differences are percentage points.
    """
    parts = []
    for scores in scorecard.protocols:
        whole, *slices = scores.slices
        only = "" if scorecard.images == "all" else f" ({scorecard.images})"
        parts += [f"### {scorecard.dataset}{only}, {scores.protocol}", _sentence(scores, whole)]
        parts.append(_table([(metric, whole, metric) for metric in METRICS], scorecard.differences))
        for option, group in groupby(slices, key=lambda one: one.asked_as):
            group = list(group)
            counts = "; ".join(f"{_short(one)}: {_counts(one)}" for one in group)
            parts.append(f"The same gallery, queries by `{option}` ({counts}).")
            for start in range(0, len(group), SLICES_PER_TABLE):
                some = group[start : start + SLICES_PER_TABLE]
                columns = [(f"{_short(one)}: {m}", one, m) for one in some for m in SLICE_METRICS]
                parts.append(_table(columns, scorecard.differences))
    parts += [_how_to_read(scorecard), "\n".join([*map(_model_line, scorecard.models), *_alignments(scorecard)])]
    if scorecard.left_out:
        lines = (
            f"- Not measured: {left.protocol}{'' if left.queries == 'all' else f', queries {left.queries}'} "
            f"({left.reason})."
            for left in scorecard.left_out
        )
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _sentence(scores: ProtocolScores, whole: SliceScores) -> str:
    record = whole.rows[0].record
    text = f"{_counts(whole)} search a gallery of {record['gallery']:,} images"
    if scores.seeds:
        images = "image" if record["shots"] == 1 else "images"
        text += f", {record['shots']} {images} a vehicle drawn at random"
        if len(scores.seeds) > 1:
            text += f"; mean ± standard deviation over {len(scores.seeds)} such galleries"
    text += "." if record["junk_rule"] == "none" else f"; not counted: {record['junk_rule']}."
    if record["excluded_vehicles"]:
        text += f" {record['excluded_vehicles']:,} vehicles with too few images are left out."
    return text


def _counts(one: SliceScores) -> str:
    """As "559 queries of 74 vehicles"; a range where the number of queries differs between seeds."""
    low, high = min(one.queries), max(one.queries)
    text = f"{low:,} to " if low < high else ""
    text += f"{high:,} {'query' if high == 1 else 'queries'} of "
    text += f"{one.vehicles:,} {'vehicle' if one.vehicles == 1 else 'vehicles'}"
    left = max(one.excluded)
    return text + (f" (and {left:,} without a match, which do not count)" if left else "")


def _short(one: SliceScores) -> str:
    """The title without its attribute, which is named above the table: "with", "without" or the values."""
    attribute = one.asked_as.partition("=")[0]
    return one.title.removeprefix(f"{attribute} ").removesuffix(f" {attribute}")


def _table(columns: Sequence[Column], pairs: Sequence[tuple[str, str]]) -> str:
    """Each model with its branches below, then the differences of ``pairs``; columns are padded, to be readable as text."""
    slices = [one for _, one, _ in columns]
    lines = [["%", *(heading for heading, _, _ in columns)]]
    for number, row in enumerate(slices[0].rows):
        lines.append([_label(row), *(_percent(one.rows[number].metrics[m]) for _, one, m in columns)])
    for number, (first, second) in enumerate(pairs):
        label = "difference" if len(pairs) == 1 else f"{second} {MINUS} {first}"
        lines.append([label, *(_points(one.differences[number][m]) for _, one, m in columns)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in [lines[0], rule, *lines[1:]])


def _line(cells: Iterable[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
    return f"| {' | '.join(padded)} |"


def _label(row: ModelScores) -> str:
    if not row.branches:
        return row.model
    return f"↳ {' and '.join(BRANCHES.get(branch, branch) for branch in row.branches)} branch alone"


def _percent(estimate: Estimate) -> str:
    spread = "" if estimate.deviation is None else f" ± {100 * estimate.deviation:.1f}"
    return f"{100 * estimate.value:.1f}{spread} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _points(estimate: Estimate) -> str:
    def signed(value: float) -> str:
        text = f"{100 * value:+.1f}"
        return "0.0" if float(text) == 0 else text.replace("-", MINUS)

    spread = "" if estimate.deviation is None else f" ± {100 * estimate.deviation:.1f}"
    return f"{signed(estimate.value)}{spread} [{signed(estimate.low)}, {signed(estimate.high)}]"


def _how_to_read(scorecard: Scorecard) -> str:
    first, second = scorecard.differences[0]
    differences = (
        f"The difference is {second} {MINUS} {first}" if len(scorecard.differences) == 1 else "A difference is"
    )
    return (
        f"In brackets: {scorecard.confidence:.0%} bootstrap intervals from {scorecard.replicates:,} draws of the query "
        "vehicles, with replacement, the gallery unchanged. They show how much a number depends on the choice of query "
        "vehicles, not on the random start of a training run; with fewer than about 20 vehicles they are too narrow, "
        "and they have no width where all queries score the same. "
        f"{differences} in percentage points, from the same draws for both; "
        "where its interval excludes 0, it is more than the choice of vehicles explains, though one in twenty such "
        "intervals excludes 0 by chance."
    )


def _model_line(model: ScoredModel) -> str:
    features = model.features
    file = f"`{features['checkpoint']}`, SHA-256 {features['checkpoint_hash']}…; " if "checkpoint" in features else ""
    made = str(features["model"])
    name = made if made.casefold().startswith(model.title.casefold()) else model.title
    return (
        f"- {name[0].upper()}{name[1:]}: {file}{features['image_size']} px, "
        f"flip test {'on' if features['flip_test'] else 'off'}, features {features['neck']} the neck."
    )


def _alignments(scorecard: Scorecard) -> list[str]:
    """A line for each way in which features were aligned by camera."""
    rows = (row for scores in scorecard.protocols for one in scores.slices for row in one.rows)
    made = dict.fromkeys(row.record.get("camera_alignment", "none") for row in rows)
    return [f"- Aligned: {text}." for text in made if text != "none"]
