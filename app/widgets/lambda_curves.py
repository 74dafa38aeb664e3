"""Curves over the crop ratio lambda (paper Fig. 4), with the lambda of the moment marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from app.widgets.export import COLOURS, chart, lay_out
from app.widgets.symbols import layer_in_chart

HERE, SSRNET = COLOURS[7], COLOURS[1]
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "cross")


def cosine_curves(ratios: Sequence[float], means: np.ndarray, here: float, name: str) -> None:
    """Mean cosine between one image's regions, ``means`` (S, l + 1): a line a layer of the graph."""
    figure = go.Figure()
    for layer, values in enumerate(means.T):
        figure.add_scatter(
            x=ratios,
            y=values,
            name=layer_in_chart(layer),
            mode="lines+markers",
            hovertemplate="%{y:.3f}",
            line={"color": COLOURS[layer], "dash": DASHES[layer]},
            marker_symbol=SYMBOLS[layer],
        )
    _style(figure, here, "Mean cosine between regions, this image")
    figure.update_yaxes(range=[0, 1.02])
    chart(figure, "region-cosines-over-lambda", f"Mean cosine between the regions of {name} over λ, by layer.")


def score_curves(
    series: Mapping[str, tuple[Sequence[float], Mapping[str, Sequence[float]]]], here: float, name: str, title: str
) -> None:
    """Rank-1 and mAP, shares by metric, over each label's lambdas: a colour a label, a dash a metric."""
    figure = go.Figure()
    for colour, (label, (x, curves)) in zip((SSRNET, *COLOURS[2:]), series.items()):
        for dash, (metric, values) in zip(("solid", "dash"), curves.items()):
            figure.add_scatter(
                x=x,
                y=values,
                name=f"{label}: {metric}" if len(series) > 1 else metric,
                mode="lines+markers",
                line={"color": colour, "dash": dash},
                marker_symbol="circle" if dash == "solid" else "square",
                hovertemplate="%{y:.2%}",
            )
    _style(figure, here, title)
    figure.update_yaxes(tickformat=".0%")
    chart(figure, name, f"Rank-1 and mAP over λ: {title}.")


def _style(figure: go.Figure, here: float, title: str) -> None:
    line = {"color": HERE, "dash": "dot", "width": 2}
    figure.add_vline(x=here, line=line, annotation_text=f"λ = {here:.3g}", annotation_position="top")
    legend = {"orientation": "h", "y": -0.32, "yanchor": "top"}
    lay_out(figure, 330, 64, title, hovermode="x unified", legend=legend)
    figure.update_xaxes(title="Crop ratio λ", range=[0.1, 1.03])
