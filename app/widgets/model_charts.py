"""The models under a protocol as curves: CMC, cosines of pairs, ROC."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from app.widgets.export import COLOURS
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.verification import Verification

HEIGHT, LINE, CURVES_NAMED = 320, 20, 4
"""Pixels of a chart, and of each further line in a legend of more curves than it has room for."""


def cmc_figure(scored: Mapping[str, Evaluation]) -> go.Figure:
    """The share of queries with a match among the first k, over k."""
    figure = go.Figure()
    for colour, (title, evaluation) in zip(COLOURS, scored.items()):
        shares = evaluation.metrics.cmc
        figure.add_scatter(x=list(range(1, len(shares) + 1)), y=shares, name=title, line={"color": colour})
    return _laid_out(figure, "rank k", "CMC@k", y={"tickformat": ".0%"})


def distribution_figure(pairs: Mapping[str, Verification]) -> go.Figure:
    """The densities of the cosines of pairs of one vehicle and of two."""
    figure, lowest = go.Figure(), 1.0
    for colour, (title, verification) in zip(COLOURS, pairs.items()):
        centres, same, different = verification.densities()
        for density, words, dash in ((same, "one vehicle", "solid"), (different, "two vehicles", "dot")):
            lowest = min(lowest, float(centres[density > 0][0]))
            line = {"color": colour, "dash": dash}
            figure.add_scatter(x=centres, y=density, name=f"{title}, {words}", line=line)
    return _laid_out(figure, "cosine of a pair", "density", x={"range": [lowest - 0.05, 1]})


def roc_figure(pairs: Mapping[str, Verification]) -> go.Figure:
    """Pairs of one vehicle that are accepted over pairs of two that are, for every threshold."""
    figure = go.Figure()
    for colour, (title, verification) in zip(COLOURS, pairs.items()):
        false_match, true_match = verification.roc()
        seen = false_match > 0
        label = f"{title}, equal error {verification.equal_error().rate:.1%}"
        figure.add_scatter(x=false_match[seen], y=true_match[seen], name=label, line={"color": colour})
    return _laid_out(
        figure, "false match rate", "true match rate", x={"type": "log", "tickformat": ".2~%"}, y={"tickformat": ".0%"}
    )


def _laid_out(figure: go.Figure, x_title: str, y_title: str, x: dict | None = None, y: dict | None = None) -> go.Figure:
    more = max(0, len(figure.data) - CURVES_NAMED)  # lines of the legend, for which the plot would shrink
    return figure.update_layout(
        height=HEIGHT + LINE * more,
        margin={"t": 10, "b": 10, "l": 10, "r": 10},
        legend={"orientation": "h", "y": -0.3},
        xaxis={"title": x_title, **(x or {})},
        yaxis={"title": y_title, **(y or {})},
    )
