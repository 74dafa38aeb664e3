"""Figures of ranked queries for the figure builder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from app.workbench import OpenedModel, Progress, RankingOptions, Workbench
from app.workbench.cache import cached
from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.figure_captions import caption
from ssrnet.analysis.figure_layout import FigureSettings, short
from ssrnet.analysis.figure_queries import BY_HAND, RuleName, choose_queries, named_queries, rule_text
from ssrnet.analysis.latex_figure import latex_archive
from ssrnet.analysis.paper_figures import DrawnFigure, draw_figure
from ssrnet.retrieval.evaluation import Evaluation

PREVIEW_DPI = 192
"""Two dots for each of CSS's 96 pixels an inch."""


@dataclass(frozen=True)
class FigureRequest:
    """Which queries and rows: ``names`` of queries, or ``count`` by a ``rule``; ``rows`` by the models' titles.

    like: the title of the paper's figure that it follows, or "".
    """

    settings: FigureSettings
    rows: tuple[str, ...]
    rule: RuleName = "sample"
    names: tuple[str, ...] = ()
    seed: int = 0
    count: int = 6
    like: str = ""


class PreviewedFigure(NamedTuple):
    """A figure, and a PNG of it for the screen."""

    figure: DrawnFigure
    preview: bytes


def paper_figure(
    bench: Workbench, options: RankingOptions, request: FigureRequest, progress_callback: Progress | None = None
) -> PreviewedFigure:
    """The figure under the bench's protocol; some 10 MB. Errors as those of choosing the queries and of drawing."""

    def draw() -> PreviewedFigure:
        figure = _draw(bench, options, request, progress_callback)
        return PreviewedFigure(figure, figure.export("png", PREVIEW_DPI))

    return cached("paper figures", (_rows(bench, request), options, request), draw, 4)


def latex_figure(bench: Workbench, options: RankingOptions, request: FigureRequest, name: str) -> bytes:
    """The figure as a ZIP for LaTeX, which sets the caption itself."""
    settings = replace(request.settings, captioned=False)
    drawn = _draw(bench, options, replace(request, settings=settings))
    return latex_archive(name, drawn, settings.width_mm, _evaluations(bench, options, request))


def _rows(bench: Workbench, request: FigureRequest) -> dict[str, OpenedModel]:
    return {title: model for title, model in bench.with_raw.items() if title in request.rows}


def _evaluations(bench: Workbench, options: RankingOptions, request: FigureRequest) -> dict[str, Evaluation]:
    return {title: model.evaluation(options) for title, model in _rows(bench, request).items()}


def _draw(
    bench: Workbench, options: RankingOptions, request: FigureRequest, progress_callback: Progress | None = None
) -> DrawnFigure:
    rows = _evaluations(bench, options, request)
    if request.names:
        queries, chosen = named_queries(bench.split, request.names), BY_HAND
    else:
        comparison = Comparison(bench.baseline.evaluation(options), bench.ssrnet.evaluation(options))
        queries = choose_queries(comparison, request.rule, request.seed, request.count)
        titles = short(bench.baseline.title), short(bench.ssrnet.title)
        chosen = rule_text(comparison, request.rule, request.seed, titles)
    text = caption(rows, request.settings, len(queries), chosen, request.like)
    return draw_figure(rows, queries.tolist(), request.settings, text, progress_callback)
