"""Curves of training runs: a small chart for each quantity, and one legend for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
import streamlit as st

from app.widgets import export
from app.widgets.components import stylesheet
from app.widgets.export import COLOURS, DASHES
from ssrnet.training.runs import Axis, Panel, TrainingRun

MOST_RUNS = len(COLOURS)
HEIGHT = 250
AXES: dict[Axis, str] = {"epoch": "Epoch", "step": "Step", "minutes": "Minutes"}

STYLE = stylesheet("curves")


def legend(runs: Sequence[TrainingRun], labels: Sequence[str], notes: Sequence[str]) -> None:
    """Each run's colour, name, and a note on how far it is."""
    items = [
        f'<div class="run" title="{escape(str(run.folder), quote=True)}"><i style="color: {colour}"></i>'
        f"<b>{escape(label)}</b><span>{escape(note)}</span></div>"
        for run, label, note, colour in zip(runs, labels, notes, COLOURS)
    ]
    st.html(f'{STYLE}<div class="runs">{"".join(items)}</div>')


def chart(panel: Panel, runs: Sequence[TrainingRun], labels: Sequence[str], axis: Axis) -> None:
    """One panel with all runs; runs differ by colour, branches by dash."""
    figure = go.Figure()
    several = len(panel.curves) > 1
    for run, label, colour in zip(runs, labels, COLOURS):
        for (name, branch), dash in zip(panel.curves.items(), DASHES * len(panel.curves)):
            x, y = run.series(name, axis)
            if not x:
                continue
            # A line of one point, as after the first epoch, would be invisible.
            mode = "lines+markers" if panel.sparse or len(x) == 1 else "lines"
            figure.add_scatter(
                x=x,
                y=y,
                mode=mode,
                name=f"{label}, {branch}" if branch else label,
                showlegend=False,
                line={"color": colour, "dash": dash, "width": 2},
                marker={"size": 7},
                hovertemplate="%{y:.2%}" if panel.share else "%{y:.4g}",
            )
    if several:
        _branch_legend(figure, list(panel.curves.values()))
    figure.update_layout(
        title={"text": panel.title, "x": 0, "font": {"size": 15}},
        height=HEIGHT,
        margin={"l": 0, "r": 8, "t": 36, "b": 0},
        hovermode="x unified",
        hoverlabel={"namelength": -1},
        # Inside: loss terms fall, so their upper right corner is free.
        legend={"x": 1, "xanchor": "right", "y": 1, "yanchor": "top", "bgcolor": "rgba(0,0,0,0)"},
        # Without it a chart that is redrawn loses the reader's zoom.
        uirevision=f"{panel.title} {axis}",
    )
    figure.update_xaxes(title=AXES[axis], rangemode="tozero")
    # Held-back metrics differ by little between runs, so their axis need not start at 0.
    figure.update_yaxes(
        rangemode="normal" if panel.sparse else "tozero",
        tickformat=".3~p" if panel.share else ".2~e" if panel.tiny else None,
    )
    export.chart(figure, f"runs_{panel.title}", _describe(panel, labels), key=f"panel {panel.title}")


def _branch_legend(figure: go.Figure, branches: Sequence[str]) -> None:
    """Which dash is which branch, in grey, since colours belong to runs."""
    for branch, dash in zip(branches, DASHES * len(branches)):
        figure.add_scatter(
            x=[None], y=[None], mode="lines", name=branch, line={"color": "#94a3b8", "dash": dash, "width": 2}
        )


def _describe(panel: Panel, labels: Sequence[str]) -> str:
    return f"{panel.title} of {', '.join(labels)}"
