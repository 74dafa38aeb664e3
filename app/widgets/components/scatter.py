"""Points in one or several panels side by side: hover shows the picture, a lasso, a box or a click selects.

Zoomed in so far that few points are in view, their pictures stand for them, which the browser asks for then.

The points of a panel with a :class:`Motion` move, in the browser alone, from an earlier place to their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from app.widgets.components import component
from app.widgets.export import COLOURS
from app.widgets.symbols import as_html
from ssrnet.explain.projection import Projection

HIT, RANKED = "#16a34a", "#3b82f6"
STAR = "#facc15"
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x")
"""Seven beside eight colours: 56 kinds of points before one comes again."""
LONGEST_LEGEND = 24
"""Kinds of points that the legend still names."""
MOST_PICTURES = 60
"""Points in view that their pictures may stand for, and pictures that travel at once."""
KINDS_A_LINE = 6
"""Of the printed legend, about."""


_component = component("scatter")


@dataclass(frozen=True)
class Motion:
    """Where a panel's points come from, (N, 2), and the names of the first place and of the last."""

    start: np.ndarray
    ends: tuple[str, str]


@dataclass(frozen=True)
class Panel:
    """points: (N, 2); the same N things in every panel. note: beside the title; foot: below the points.

    A panel that has no place for a thing has NaN. ``listed``, ``unlisted`` and ``ranked`` are positions of points that
    lines lead to from the marked one, green, dashed and blue. Where one panel has a motion, all share one frame, so that
    places can be compared across them.
    """

    title: str
    points: np.ndarray
    note: str = ""
    foot: str = ""
    motion: Motion | None = None
    listed: Sequence[int] = ()
    unlisted: Sequence[int] = ()
    ranked: Sequence[int] = ()

    @property
    def lines(self) -> list[tuple[Sequence[int], dict[str, str]]]:
        """Where lines lead to, and their look."""
        lines = [(self.listed, {"color": HIT}), (self.unlisted, {"color": "grey", "dash": "dot"})]
        return [*lines, (self.ranked, {"color": RANKED})] if self.ranked else lines


@dataclass(frozen=True)
class Things:
    """What the points are: a label each, which stands beside its picture; the kind that gives colour and shape.

    pictures: URIs; picture: which of them each point shows, and crop: what of it, (left, top, right, bottom) in
    [0, 1]. marked: points with a ring, named ``mark`` where it is one.
    """

    labels: Sequence[str]
    kinds: Sequence[str]
    pictures: Sequence[str] = ()
    picture: Sequence[int] = ()
    crop: Sequence[tuple[float, float, float, float]] = ()
    marked: Sequence[int] = ()
    selected: Sequence[int] = ()
    mark: str = "query"
    order: Sequence[str] = ()
    """Kinds in the legend's order; by name where it is empty."""
    colours: Sequence[str] = COLOURS
    """One colour per kind, in the order of the kinds."""

    starred: str = ""
    """A kind that is drawn apart from all others, as stars; the legend names it last and in any case."""

    @property
    def kind_names(self) -> list[str]:
        return list(self.order) or sorted(set(self.kinds) - {self.starred})

    @property
    def looks(self) -> list[dict[str, Any]]:
        """Each kind as the legend has it: label, colour, shape, and whether it is named there."""
        names = self.kind_names
        looks = [
            {
                "label": name,
                "colour": self.colours[i % len(self.colours)],
                "shape": SHAPES[i % len(SHAPES)],
                "named": len(names) <= LONGEST_LEGEND,
            }
            for i, name in enumerate(names)
        ]
        star = {"label": self.starred, "colour": STAR, "shape": "star", "named": True}
        return [*looks, star] if self.starred else looks


def projection_panel(title: str, projection: Projection) -> Panel:
    """A projection's points; the note says how much of the variance PCA's axes have."""
    shares = projection.variance
    return Panel(title, projection.points, "{:.0%} + {:.0%} of the variance".format(*shares) if shares else "")


def scatter(
    key: str,
    panels: Sequence[Panel],
    things: Things,
    alt: str,
    on_select: Callable[[list[int]], None] | None = None,
    height: int = 400,
    picture_of: Callable[[int], str] | None = None,
) -> None:
    """Draws the panels; ``on_select`` is called with the chosen points before the page runs again.

    picture_of: the URI of a point's picture, for those that the browser asks for.
    """
    looks = things.looks
    place = {look["label"]: i for i, look in enumerate(looks)}
    data = {
        "panels": [
            {
                "title": panel.title,
                "heading": as_html(panel.title),
                "note": panel.note,
                "foot": panel.foot,
                **_places(panel.points),
            }
            | {name: list(getattr(panel, name)) for name in ("listed", "unlisted", "ranked")}
            | ({"start": _places(panel.motion.start), "ends": list(panel.motion.ends)} if panel.motion else {})
            for panel in panels
        ],
        "labels": list(things.labels),
        "kind": [place[kind] for kind in things.kinds],
        "kinds": looks,
    }
    crops = [list(box) for box in things.crop] or None
    data |= {"pictures": list(things.pictures) or None, "picture": list(things.picture), "crop": crops}
    data |= {"marked": list(things.marked), "mark": things.mark}
    data |= {"selected": list(things.selected), "selectable": on_select is not None, "height": height, "alt": alt}

    asked = [i for i in st.session_state.get(f"{key}_asked", ()) if i < len(things.labels)] if picture_of else []
    data |= {"most_pictures": MOST_PICTURES if picture_of else 0, "asked": {i: picture_of(i) for i in asked}}

    def ask() -> None:
        wanted = st.session_state[key].wanted or ()
        st.session_state[f"{key}_asked"] = [int(i) for i in wanted[:MOST_PICTURES] if i >= 0]

    def changed() -> None:
        chosen = st.session_state[key].selected
        if on_select is not None and chosen is not None:
            on_select([int(i) for i in chosen])

    _component(key=key, data=data, on_selected_change=changed, on_wanted_change=ask)
    if not looks[0]["named"]:
        st.caption(
            f"{len(things.kind_names):,} kinds of points; hover one to see its name, and rings on all others of its kind."
        )


def figure(panels: Sequence[Panel], things: Things) -> go.Figure:
    """The same for print, as :func:`app.widgets.export.print_figure` takes it."""
    looks = things.looks
    sheet = make_subplots(1, len(panels), subplot_titles=[as_html(panel.title) for panel in panels])
    kinds = np.array(things.kinds)
    for column, panel in enumerate(panels, start=1):
        for targets, line in panel.lines:
            ends = [[panel.points[i], panel.points[j], (None, None)] for i in things.marked[:1] for j in targets]
            x, y = zip(*(end for three in ends for end in three)) if ends else ((), ())
            sheet.add_scatter(x=x, y=y, mode="lines", line=line, showlegend=False, row=1, col=column)
        for look in looks:
            name = look["label"]
            x, y = panel.points[kinds == name].T
            legend = {"name": name, "legendgroup": name, "showlegend": column == 1 and look["named"]}
            marker = {"color": look["colour"], "symbol": look["shape"], "size": 5}
            if name == things.starred:
                marker |= {"size": 12, "line": {"color": "black", "width": 1}}
            sheet.add_scatter(x=x, y=y, mode="markers", marker=marker, row=1, col=column, **legend)
        for i in things.marked:
            sheet.add_scatter(
                x=[panel.points[i, 0]],
                y=[panel.points[i, 1]],
                mode="markers+text",
                showlegend=False,
                row=1,
                col=column,
                text=[things.mark if len(things.marked) == 1 else ""],
                textposition="middle right",
                marker={"symbol": "circle-open", "size": 14, "color": "black", "line": {"width": 2}},
            )
    sheet.update_xaxes(showticklabels=False, zeroline=False).update_yaxes(showticklabels=False, zeroline=False)
    if any(panel.motion for panel in panels):
        sheet.update_xaxes(matches="x").update_yaxes(matches="y")
    lines = -(-sum(look["named"] for look in looks) // KINDS_A_LINE)
    sheet.update_layout(width=900, height=360 + 32 * lines, margin={"l": 10, "r": 10, "t": 30, "b": 10})
    sheet.update_layout(legend={"orientation": "h", "yanchor": "top", "y": -0.02})
    return sheet


def _places(points: np.ndarray) -> dict[str, list[float | None]]:
    return {"x": _short(points[:, 0]), "y": _short(points[:, 1])}


def _short(values: np.ndarray) -> list[float | None]:
    """Five digits are enough for any screen, and a third of the bytes; None for NaN, which JSON lacks."""
    return [None if value != value else float(f"{value:.5g}") for value in values.tolist()]
