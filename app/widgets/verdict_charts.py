"""Differences of two models with their intervals, as charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

import plotly.graph_objects as go

from app.widgets.export import COLOURS, lay_out
from app.widgets.failure_charts import ABOVE, METRICS, NEUTRAL
from app.workbench.failures import Failures
from ssrnet.analysis.slice_extremes import NamedSlice, SliceExtremes
from ssrnet.analysis.verdict import Verdict
from ssrnet.retrieval.metric_intervals import Estimate

HEIGHT, LABEL = 420, 26
"""Pixels of a chart; characters in a line of a label."""
POINTS = "%{x:+.1f} (%{customdata[0]:.1f} to %{customdata[1]:.1f})"


def differences_figure(verdicts: Sequence[Verdict], places: Sequence[int]) -> go.Figure:
    """Each verdict's difference of each metric; hollow marks stand for too few vehicles.

    A verdict has the colour of its first model, whose place in the sidebar ``places`` has; a single one is grey.
    """
    figure = go.Figure()
    step = 0.6 / len(verdicts)
    for number, (verdict, place) in enumerate(zip(verdicts, places, strict=True)):
        at = [-row - step * (number - (len(verdicts) - 1) / 2) for row in range(len(METRICS))]
        shown = [verdict.differences[metric] for metric in METRICS]
        colour = COLOURS[place] if len(verdicts) > 1 else NEUTRAL
        symbols = ["circle-open" if verdict.few else "circle"] * len(at)
        _add(figure, shown, at, verdict.label, colour, symbols, showlegend=len(verdicts) > 1)
    figure.update_yaxes(tickvals=[-row for row in range(len(METRICS))], ticktext=list(METRICS.values()))
    return _laid_out(figure, len(METRICS), verdicts[0].label if len(verdicts) == 1 else "difference")


def extremes_figure(pair: Failures, ends: SliceExtremes, label: str) -> go.Figure:
    """The difference of mAP on all queries, and on the slices at both ends; ``label`` names the difference."""
    worst = ends.worst[::-1]
    rows = {f"all queries ({len(pair.comparison.split.query):,})": pair.gain, **_by_name(ends.best), **_by_name(worst)}
    colours = [NEUTRAL, *[COLOURS[pair.places[1]]] * (len(rows) - 1)]
    figure = go.Figure()
    for number, ((name, gain), colour) in enumerate(zip(rows.items(), colours, strict=True)):
        _add(figure, [gain], [-number], name, colour, ["square"], showlegend=False)
    names = ["<br>".join(wrap(name, LABEL)) for name in rows]
    figure.update_yaxes(tickvals=[-row for row in range(len(rows))], ticktext=names)
    return _laid_out(figure, len(rows), f"{label}, mAP")


def _by_name(slices: Sequence[NamedSlice]) -> Mapping[str, Estimate]:
    return {f"{one.label} ({one.slice.queries:,})": one.slice.difference["mAP"] for one in slices}


def _add(
    figure: go.Figure,
    estimates: Sequence[Estimate],
    at: Sequence[float],
    name: str,
    colour: str,
    symbols: Sequence[str],
    showlegend: bool = True,
) -> None:
    ends = [[100 * one.low, 100 * one.high] for one in estimates]
    values = [100 * one.value for one in estimates]
    figure.add_scatter(
        x=values,
        y=at,
        mode="markers",
        name=name,
        showlegend=showlegend,
        marker={"color": colour, "size": 12, "symbol": symbols, "line": {"width": 2, "color": colour}},
        error_x={
            "array": [high - value for value, (_, high) in zip(values, ends)],
            "arrayminus": [value - low for value, (low, _) in zip(values, ends)],
            "color": colour,
            "thickness": 2.5,
            "width": 7,
        },
        customdata=ends,
        hovertemplate=f"{POINTS}<extra>{name}</extra>",
    )


def _laid_out(figure: go.Figure, rows: int, label: str) -> go.Figure:
    figure.add_vline(x=0, line={"dash": "dot", "width": 1.5, "color": NEUTRAL})
    title = "<br>".join([*wrap(label, LABEL + 8), "percentage points"])  # a line would be cut on a phone
    figure.update_xaxes(title={"text": title, "font": {"size": 13}}, zeroline=False)
    figure.update_yaxes(range=[-rows + 0.4, 0.6], showgrid=False, zeroline=False, tickfont={"size": 14})
    return lay_out(figure, HEIGHT, top=34, legend=ABOVE)
