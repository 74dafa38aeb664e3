"""Figures of six queries as the paper's Figs. 5 and 6, of the two networks."""

from __future__ import annotations

from typing import NamedTuple

from app.workbench import Progress, RankingOptions, Workbench
from app.workbench.cache import cached
from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.paper_figures import DrawnFigure, FigureLayout, RuleName, caption, choose_queries, draw_figure

PREVIEW_DPI = 130


class PreviewedFigure(NamedTuple):
    """A figure, and a PNG of it for the screen."""

    figure: DrawnFigure
    preview: bytes


def paper_figure(
    bench: Workbench,
    layout: FigureLayout,
    options: RankingOptions,
    rule: RuleName,
    progress_callback: Progress | None = None,
) -> PreviewedFigure:
    """The two networks' figure; some 10 MB. Errors as ``choose_queries`` and ``draw_figure``."""
    networks, seed = bench.under(layout.protocol).networks, layout.protocol.seed

    def draw() -> PreviewedFigure:
        comparison = Comparison(*(model.evaluation(options) for model in networks.values()))
        queries, (a, b) = choose_queries(comparison, rule, seed), networks
        text = caption(comparison, (a, b), layout, rule, seed, len(queries))
        figure = draw_figure(comparison, (a, b), layout, queries.tolist(), text, progress_callback)
        return PreviewedFigure(figure, figure.export("png", PREVIEW_DPI))

    return cached("paper figures", (networks, layout, options, rule), draw, 4)
