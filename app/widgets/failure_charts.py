"""The charts of the Failures page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.widgets.export import COLOURS, lay_out
from app.workbench.failures import Failures
from ssrnet.analysis.causes import CauseCount
from ssrnet.analysis.query_slices import Slice
from ssrnet.analysis.verdict import short_titles

NEUTRAL = "#94a3b8"
"""Of what is neither model's. A model's colour is that of its place in the sidebar, on every page."""
MARKS = {
    "both right": (NEUTRAL, "circle"),
    "fixed": ("second", "triangle-up"),
    "broken": ("first", "triangle-down"),
    "both wrong": (COLOURS[3], "x"),
}
"""Of each outcome its colour, or whose it is, and its sign."""
MOST_SLICES_DRAWN = 40
MANY = 3000
"""Points from which WebGL draws them."""
ABOVE = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
"""A legend above the plot."""
METRICS = {"mAP": "mAP", "rank-1": "Rank-1", "rank-5": "Rank-5", "mINP": "mINP"}


def scatter(pair: Failures, marked: str | None) -> go.Figure:
    """AP of the second model over the first's, a point a query; the query of name ``marked`` is drawn large.

    ``customdata`` of each point is (name, vehicle).
    """
    figure, diagonal = go.Figure(), {"color": NEUTRAL, "dash": "dot", "width": 1}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=diagonal, hoverinfo="skip", showlegend=False)
    comparison, titles = pair.comparison, pair.titles
    a, b = comparison.a.ranking.average_precision, comparison.b.ranking.average_precision
    draw = go.Scattergl if len(a) > MANY else go.Scatter
    colour_of = dict(zip(("first", "second"), _colours(pair)))
    for outcome, (colour, symbol) in MARKS.items():
        queries = np.flatnonzero(comparison.outcomes == outcome)
        images = [comparison.split.query[q] for q in queries]
        chosen = [i for i, image in enumerate(images) if image.name == marked]
        figure.add_trace(
            draw(
                x=a[queries],
                y=b[queries],
                mode="markers",
                name=f"{outcome} ({len(queries):,})",
                customdata=[[image.name, image.vehicle_id] for image in images],
                marker={"color": colour_of.get(colour, colour), "symbol": symbol, "size": 9, "opacity": 0.6},
                selected={"marker": {"opacity": 1, "size": 19}},
                unselected={"marker": {"opacity": 0.6}},
                selectedpoints=chosen if marked else None,
                hovertemplate="%{customdata[0]}<br>vehicle %{customdata[1]}<br>AP %{x:.3f} → %{y:.3f}<extra></extra>",
            )
        )
    reach = [-0.04, 1.04]
    figure.update_xaxes(title=f"AP, {titles[0]}", range=reach, constrain="domain", zeroline=False)
    figure.update_yaxes(title=f"AP, {titles[1]}", range=reach, zeroline=False)
    # The chart's buttons lie above its corner; a legend there would be covered by them.
    legend = {"orientation": "h", "y": -0.16, "yanchor": "top", "x": 0}
    return lay_out(figure, 530, top=38, dragmode="pan", legend=legend)


def histogram(pair: Failures) -> go.Figure:
    """Queries by ΔAP; bars left of the middle one are the first model's, right of it the second's."""
    figure, spread, titles = go.Figure(), pair.histogram, pair.titles
    first, second = _colours(pair)
    sides = (
        (spread.centres < -spread.width / 2, first, f"{titles[0]} better"),
        (np.abs(spread.centres) <= spread.width / 2, NEUTRAL, f"within ±{spread.width / 2:.3g}"),
        (spread.centres > spread.width / 2, second, f"{titles[1]} better"),
    )
    for among, colour, name in sides:
        figure.add_bar(
            x=spread.centres[among],
            y=spread.queries[among],
            width=0.9 * spread.width,
            marker_color=colour,
            name=name,
            hovertemplate="ΔAP about %{x:.2f}: %{y} queries<extra></extra>",
        )
    if pair.gain is not None:
        mean, line = pair.gain.value, {"dash": "dash", "width": 1.5, "color": NEUTRAL}
        figure.add_vline(x=mean, line=line, annotation_text=f"mean {mean:+.3f}")
    figure.update_xaxes(title="ΔAP", range=[-1.04, 1.04])
    figure.update_yaxes(title="Queries")
    return lay_out(figure, 290, barmode="overlay", legend=ABOVE)


def forest(pair: Failures, slices: Sequence[Slice], metric: str) -> go.Figure:
    """Both models' ``metric`` on each slice with its interval, and the difference beside them; the first slice on top.

    A slice with few vehicles has hollow marks. At most :data:`MOST_SLICES_DRAWN` slices, those with the most queries.
    """
    shown, titles = largest_slices(slices), pair.titles
    names = [f"{one.title} ({one.queries:,})" for one in shown]
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        column_widths=[0.58, 0.42],
        horizontal_spacing=0.03,
        subplot_titles=(METRICS[metric], "difference: {1} minus {0}".format(*short_titles(*titles))),
    )
    at = np.arange(len(shown))[::-1]
    first, second = _colours(pair)
    columns = (
        (1, titles[0], first, "circle", 0.14, "a"),
        (1, titles[1], second, "diamond", -0.14, "b"),
        (2, "difference", NEUTRAL, "square", 0.0, "difference"),
    )
    for column, name, colour, symbol, shift, side in columns:
        estimates = [getattr(one, side)[metric] for one in shown]
        value, low, high = (np.array([getattr(each, part) for each in estimates]) for part in ("value", "low", "high"))
        symbols = [symbol + ("-open" if one.few else "") for one in shown]
        figure.add_scatter(
            x=value,
            y=at + shift,
            mode="markers",
            name=name,
            row=1,
            col=column,
            showlegend=column == 1,
            error_x={"array": high - value, "arrayminus": value - low, "color": colour, "thickness": 1.5},
            marker={"color": colour, "size": 9, "symbol": symbols, "line": {"width": 1.5, "color": colour}},
            customdata=[[title, *bounds] for title, *bounds in zip(names, low, high, strict=True)],
            hovertemplate="%{customdata[0]}<br>%{x:.1%} (%{customdata[1]:.1%} to %{customdata[2]:.1%})",
        )
    figure.add_vline(x=0, line={"dash": "dot", "width": 1.5, "color": NEUTRAL}, row=1, col=2)
    figure.update_yaxes(tickvals=at, ticktext=names, range=[-0.7, len(shown) - 0.3], showgrid=False, zeroline=False)
    figure.update_xaxes(tickformat=".0%", zeroline=False)
    figure.update_annotations(font_size=14)
    legend = {"orientation": "h", "y": 1, "yanchor": "top", "yref": "container", "x": 0}
    return lay_out(figure, 130 + 34 * len(shown), top=64, legend=legend)


def largest_slices(slices: Sequence[Slice]) -> list[Slice]:
    """The slices with the most queries, as many as a chart has room for, in their order."""
    drawn = sorted(slices, key=lambda one: -one.queries)[:MOST_SLICES_DRAWN]
    return [one for one in slices if one in drawn]


def causes_chart(pair: Failures, counts: Sequence[Sequence[CauseCount]]) -> go.Figure:
    """The share of wrong first images that show each cause, for each model, against chance."""
    figure = go.Figure()
    names = [count.name for count in counts[0]]
    at = np.arange(len(names))[::-1]
    first, second = _colours(pair)
    looks = ((first, "circle", 0.13), (second, "diamond", -0.13))
    for of_model, title, (colour, symbol, shift) in zip(counts, pair.titles, looks, strict=True):
        known = np.array([count.queries or np.nan for count in of_model])
        share, chance, low, high = (
            np.array([getattr(count, part) for count in of_model]) / known
            for part in ("count", "expected", "low", "high")
        )
        reach = {"array": high - chance, "arrayminus": chance - low, "thickness": 1.5, "width": 0}
        upright = {"symbol": "line-ns-open", "size": 14, "line": {"width": 2.5}}
        marks = (
            (chance, f"{title}: by chance", upright, {"error_x": reach}),
            (share, title, {"symbol": symbol, "size": 11}, {}),
        )
        for x, name, marker, range_of_draws in marks:
            figure.add_scatter(
                x=x,
                y=at + shift,
                mode="markers",
                name=name,
                marker={"color": colour, **marker},
                customdata=[f"{count.count} of {count.queries}; by chance {count.expected:.1f}" for count in of_model],
                hovertemplate="%{x:.1%} (%{customdata})",
                **range_of_draws,
            )
    figure.update_yaxes(tickvals=at, ticktext=names, range=[-0.6, len(names) - 0.4], zeroline=False)
    figure.update_xaxes(tickformat=".0%", range=[-0.02, 1.02], title="Wrong first images that show it")
    return lay_out(figure, 130 + 38 * len(names), legend=ABOVE)


def _colours(pair: Failures) -> tuple[str, str]:
    """Of the two models; raw features are lighter than the same model's aligned ones."""
    first, second = (COLOURS[place] for place in pair.places)
    return (_lighter(first) if first == second else first), second


def _lighter(colour: str) -> str:
    """Half way to white."""
    return "#" + bytes((channel + 255) // 2 for channel in bytes.fromhex(colour[1:])).hex()
