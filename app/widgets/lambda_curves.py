"""Curves over the crop ratio lambda (paper Fig. 4), with the lambda of the moment marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.widgets.export import COLOURS, chart
from app.widgets.symbols import layer_in_chart

HERE, SSRNET = COLOURS[7], COLOURS[1]
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "cross")


def cosine_curves(ratios: Sequence[float], means: np.ndarray, here: float, name: str) -> None:
    """Mean cosine between one image's regions, ``means`` (S, l + 1): a line a layer of the graph."""
    lines = [
        {
            "x": ratios,
            "y": values,
            "name": layer_in_chart(layer),
            "hovertemplate": "%{y:.3f}",
            "line": {"color": COLOURS[layer], "dash": DASHES[layer]},
            "marker": {"symbol": SYMBOLS[layer]},
        }
        for layer, values in enumerate(means.T)
    ]
    figure = _figure(lines, here, "Mean cosine between regions, this image", {"range": [0, 1.02]})
    chart(figure, "region-cosines-over-lambda", f"Mean cosine between the regions of {name} over λ, by layer.")


def score_curves(
    series: Mapping[str, tuple[Sequence[float], Mapping[str, Sequence[float]]]], here: float, name: str, title: str
) -> None:
    """Rank-1 and mAP, shares by metric, over each label's lambdas: a colour a label, a dash a metric."""
    lines = [
        {
            "x": x,
            "y": values,
            "name": f"{label}: {metric}" if len(series) > 1 else metric,
            "line": {"color": colour, "dash": dash},
            "marker": {"symbol": "circle" if dash == "solid" else "square"},
            "hovertemplate": "%{y:.2%}",
        }
        for colour, (label, (x, curves)) in zip((SSRNET, *COLOURS[2:]), series.items())
        for dash, (metric, values) in zip(("solid", "dash"), curves.items())
    ]
    chart(_figure(lines, here, title, {"tickformat": ".0%"}), name, f"Rank-1 and mAP over λ: {title}.")


def _figure(lines: Sequence[Mapping[str, Any]], here: float, title: str, yaxis: Mapping[str, Any]) -> go.Figure:
    """The lines over λ, and the λ of the moment as a dotted one.

    From one dictionary, since Plotly takes six times as long to add each part to a figure.
    """
    place = {"x": here, "y": 1, "xref": "x", "yref": "y domain"}
    vertical = {"x0": here, "x1": here, "y0": 0, "y1": 1, "xref": "x", "yref": "y domain"}
    words = {"text": f"λ = {here:.3g}", "showarrow": False, "xanchor": "center", "yanchor": "bottom"}
    layout = {
        "height": 330,
        "margin": {"l": 0, "r": 8, "t": 64, "b": 0},
        "title": {"text": title, "x": 0, "font": {"size": 15}},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": -0.32, "yanchor": "top"},
        "xaxis": {"title": {"text": "Crop ratio λ"}, "range": [0.1, 1.03]},
        "yaxis": yaxis,
        "shapes": [{"type": "line", "line": {"color": HERE, "dash": "dot", "width": 2}} | vertical],
        "annotations": [words | place],
    }
    return go.Figure([{"type": "scatter", "mode": "lines+markers"} | dict(line) for line in lines], layout)
