"""A comparison as Markdown that a stranger to it can read: for the shell, and for model cards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from ssrnet.analysis.scorecard.scorecard import ComparedModel, ModelComparison, ProtocolResult, Row, Slice
from ssrnet.retrieval.metric_intervals import METRICS, Estimate

BRANCHES = {"G": "global", "attn": "attention", "token": "token"}
SLICE_METRICS = ("rank-1", "mAP")
SLICES_ABREAST = 3
MINUS = "−"

Column = tuple[str, Slice, str]
"""Heading, the slice that the numbers are of, and the metric."""


def render(comparison: ModelComparison) -> str:
    """A table a protocol, tables of its slices below it, then how to read them and which models these are.

    Values are percent with the 95 % interval in brackets; differences are percentage points.
    """
    parts = []
    for result in comparison.protocols:
        whole, *slices = result.slices
        cut = "" if comparison.images == "all" else f" ({comparison.images})"
        parts += [f"### {comparison.dataset}{cut}, {result.protocol}", _sentence(result, whole)]
        parts.append(_table([(metric, whole, metric) for metric in METRICS]))
        for asked_as, group in groupby(slices, key=lambda one: one.asked_as):
            group = list(group)
            counts = "; ".join(f"{_short(one)}: {_counts(one)}" for one in group)
            parts.append(f"The same gallery, queries by `{asked_as}` ({counts}).")
            for start in range(0, len(group), SLICES_ABREAST):
                abreast = group[start : start + SLICES_ABREAST]
                parts.append(_table([(f"{_short(one)}: {m}", one, m) for one in abreast for m in SLICE_METRICS]))
    parts += [_reading(comparison), "\n".join(map(_model_line, comparison.models))]
    if comparison.left_out:
        lines = (
            f"- Not measured: {left.protocol}{'' if left.queries == 'all' else f', queries {left.queries}'} "
            f"({left.reason})."
            for left in comparison.left_out
        )
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _sentence(result: ProtocolResult, whole: Slice) -> str:
    record = whole.rows[0].record
    said = f"{_counts(whole)} search a gallery of {record['gallery']:,} images"
    if result.seeds:
        images = "image" if record["shots"] == 1 else "images"
        said += f", {record['shots']} {images} a vehicle drawn at random"
        if len(result.seeds) > 1:
            said += f"; mean ± standard deviation over {len(result.seeds)} such galleries"
    said += "." if record["junk_rule"] == "none" else f"; not counted: {record['junk_rule']}."
    if record["excluded_vehicles"]:
        said += f" {record['excluded_vehicles']:,} vehicles with too few images are left out."
    return said


def _counts(one: Slice) -> str:
    """As "559 queries of 74 vehicles"; the numbers of queries differ where seeds draw them."""
    low, high = min(one.queries), max(one.queries)
    said = f"{low:,} to " if low < high else ""
    said += f"{high:,} {'query' if high == 1 else 'queries'} of "
    said += f"{one.vehicles:,} {'vehicle' if one.vehicles == 1 else 'vehicles'}"
    left = max(one.excluded)
    return said + (f" (and {left:,} without a match, which do not count)" if left else "")


def _short(one: Slice) -> str:
    """The title without the attribute, which stands above the table: "with", "without" or the values."""
    attribute = one.asked_as.partition("=")[0]
    return one.title.removeprefix(f"{attribute} ").removesuffix(f" {attribute}")


def _table(columns: Sequence[Column]) -> str:
    """Models with their branches below each, then the difference; columns padded, to be read unrendered too."""
    slices = [one for _, one, _ in columns]
    lines = [["%", *(heading for heading, _, _ in columns)]]
    for number, row in enumerate(slices[0].rows):
        lines.append([_label(row), *(_percent(one.rows[number].metrics[m]) for _, one, m in columns)])
    lines.append(["difference", *(_points(one.difference[m]) for _, one, m in columns)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in [lines[0], rule, *lines[1:]])


def _line(cells: Iterable[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
    return f"| {' | '.join(padded)} |"


def _label(row: Row) -> str:
    if not row.branches:
        return row.model
    return f"↳ {' and '.join(BRANCHES.get(branch, branch) for branch in row.branches)} branch alone"


def _percent(estimate: Estimate) -> str:
    spread = "" if estimate.deviation is None else f" ± {100 * estimate.deviation:.1f}"
    return f"{100 * estimate.value:.1f}{spread} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _points(estimate: Estimate) -> str:
    def signed(value: float) -> str:
        said = f"{100 * value:+.1f}"
        return "0.0" if float(said) == 0 else said.replace("-", MINUS)

    spread = "" if estimate.deviation is None else f" ± {100 * estimate.deviation:.1f}"
    return f"{signed(estimate.value)}{spread} [{signed(estimate.low)}, {signed(estimate.high)}]"


def _reading(comparison: ModelComparison) -> str:
    first, second = comparison.difference
    return (
        f"In brackets: {comparison.confidence:.0%} intervals, from {comparison.replicates:,} draws of the vehicles "
        "that ask, with replacement, the gallery unchanged. They say how much rests on which vehicles were asked "
        "for, not on the random start of a training run; with fewer than about 20 vehicles they are too narrow, and "
        "have no width where all queries score the same. "
        f"The difference is {second} {MINUS} {first} in percentage points, from the same draws for both; "
        "where its interval leaves out 0, it is more than the choice of vehicles explains, though one in twenty such "
        "intervals leaves out 0 by chance."
    )


def _model_line(model: ComparedModel) -> str:
    features = model.features
    file = f"`{features['checkpoint']}`, SHA-256 {features['checkpoint_hash']}…; " if "checkpoint" in features else ""
    made = str(features["model"])
    name = made if made.casefold().startswith(model.title.casefold()) else model.title
    return (
        f"- {name[0].upper()}{name[1:]}: {file}{features['image_size']} px, "
        f"flip test {'on' if features['flip_test'] else 'off'}, features {features['neck']} the neck."
    )
