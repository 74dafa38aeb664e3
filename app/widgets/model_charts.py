"""The models under a protocol as curves: CMC, cosines of pairs, ROC.

A model has the colour of its place. Curves of features that are aligned by camera are dashed, each after the same
model's raw one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.widgets.export import COLOURS
from ssrnet.retrieval.alignment import ALIGNED
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.verification import Verification

HEIGHT, TWO_ROWS, LINE, CURVES_NAMED = 420, 520, 20, 4
"""Pixels of a chart, of one with raw and aligned features, and of each line that a legend has beyond so many curves."""
PAIR_HEIGHT, PAIR_COLOUR = 230, "#db2777"
INVISIBLE = 0.002
"""The axis of cosines begins where a density first reaches this share of its peak."""


def cmc_figure(scored: Mapping[str, Evaluation]) -> go.Figure:
    """The share of queries with a match among the first k, over k."""
    figure = go.Figure()
    for line, (title, evaluation) in zip(_lines(scored), scored.items(), strict=True):
        shares = evaluation.metrics.cmc
        figure.add_scatter(x=list(range(1, len(shares) + 1)), y=shares, name=title, line=line)
    figure.update_xaxes(title="rank k")
    figure.update_yaxes(title="CMC@k", tickformat=".1~%")
    return _laid_out(figure, scored)


def distribution_figure(pairs: Mapping[str, Verification]) -> go.Figure:
    """The densities of the cosines of pairs of one vehicle and of two; of aligned features in a second row."""
    with_aligned = _with_aligned(pairs)
    figure = (
        make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.12, subplot_titles=("raw", "aligned"))
        if with_aligned
        else make_subplots()
    )
    lowest = 1.0
    for line, (title, verification) in zip(_lines(pairs), pairs.items(), strict=True):
        aligned = title.endswith(ALIGNED)
        same, different = verification.densities
        for one, words, dash in ((same, "one vehicle", "solid"), (different, "two vehicles", "dot")):
            lowest = min(lowest, float(one.at[one.density > INVISIBLE * one.density.max()][0]))
            curve = {"name": f"{title}, {words}", "line": {**line, "dash": dash}, "showlegend": not aligned}
            figure.add_scatter(x=one.at, y=one.density, row=2 if aligned else 1, col=1, **curve)
    figure.update_annotations(font_size=13)
    figure.update_xaxes(range=[lowest - 0.05, 1])
    figure.update_xaxes(title="cosine of a pair", row=2 if with_aligned else 1)
    figure.update_yaxes(title="density")
    return _laid_out(figure, pairs, top=26 if with_aligned else 10)


def pair_figure(verification: Verification, cosine: float, colour: str) -> go.Figure:
    """Both densities of :func:`distribution_figure` for one model, and the ``cosine`` of another pair as a line."""
    figure = go.Figure()
    lowest, highest = cosine, 0.0
    for one, words, dash in zip(verification.densities, ("one vehicle", "two vehicles"), ("solid", "dot")):
        lowest = min(lowest, float(one.at[one.density > INVISIBLE * one.density.max()][0]))
        highest = max(highest, float(one.density.max()))
        figure.add_scatter(x=one.at, y=one.density, name=words, line={"color": colour, "dash": dash}, fill="tozeroy")
    figure.add_scatter(
        x=[cosine, cosine],
        y=[0, 1.05 * highest],
        name=f"your pair, {cosine:.3f}",
        mode="lines",
        line={"color": PAIR_COLOUR, "width": 3},
    )
    figure.update_xaxes(title="cosine of a pair", range=[max(-1, lowest - 0.05), 1])
    figure.update_yaxes(title="density", rangemode="tozero")
    return figure.update_layout(
        height=PAIR_HEIGHT,
        margin={"t": 8, "b": 0, "l": 0, "r": 8},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom"},
    )


def bandwidths(pairs: Mapping[str, Verification]) -> str:
    """A sentence on how the densities are smoothed."""
    kinds = zip(*(each.densities for each in pairs.values()), strict=True)
    ranges = []
    for words, densities in zip(("one vehicle", "two vehicles"), kinds, strict=True):
        low, high = (f"{end([one.bandwidth for one in densities]):.3f}" for end in (min, max))
        ranges.append(f"{low if low == high else f'{low} to {high}'} for pairs of {words}")
    return (
        f"Densities by a Gaussian kernel with the bandwidth of Silverman's rule, which the number and spread of the pairs "
        f"decide: {' and '.join(ranges)}."
    )


def roc_figure(pairs: Mapping[str, Verification]) -> go.Figure:
    """Pairs of one vehicle that are accepted over pairs of two that are, for every threshold."""
    figure = go.Figure()
    for line, (title, verification) in zip(_lines(pairs), pairs.items(), strict=True):
        false_match, true_match = verification.roc()
        seen = false_match > 0
        label = f"{title}, equal error {verification.equal_error().rate:.1%}"
        figure.add_scatter(x=false_match[seen], y=true_match[seen], name=label, line=line)
    figure.update_xaxes(title="false match rate", type="log", tickformat=".1~p")
    figure.update_yaxes(title="true match rate", tickformat=".0%")
    return _laid_out(figure, pairs)


def _lines(titles: Iterable[str]) -> list[dict[str, str]]:
    """Each curve's colour, that of its model, and dash."""
    models = {}
    for title in titles:
        models.setdefault(title.removesuffix(ALIGNED), []).append("dash" if title.endswith(ALIGNED) else "solid")
    return [{"color": colour, "dash": dash} for colour, dashes in zip(COLOURS, models.values()) for dash in dashes]


def _with_aligned(titles: Iterable[str]) -> bool:
    return any(title.endswith(ALIGNED) for title in titles)


def _laid_out(figure: go.Figure, titles: Iterable[str], top: int = 10) -> go.Figure:
    more = max(0, sum(trace.showlegend is not False for trace in figure.data) - CURVES_NAMED)
    height = TWO_ROWS if _with_aligned(titles) else HEIGHT
    return figure.update_layout(
        height=height + LINE * more,  # the legend's lines, for which the plot would shrink
        margin={"t": top, "b": 10, "l": 10, "r": 10},
        legend={"orientation": "h", "y": -96 / height},
    )
