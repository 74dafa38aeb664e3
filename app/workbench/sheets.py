"""Sheets of six queries as in the paper's Figs. 5 and 6, kept once drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import streamlit as st

from app.workbench import OpenedDataset, Report, Services
from app.workbench.matches import RankingOptions, ranked
from app.workbench.recent import Recent
from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.paper_figures import DrawnFigure, FigureLayout, RuleName, caption, choose_queries, draw_figure
from ssrnet.training.checkpoint import StoredCheckpoint

PREVIEW_DPI = 130


class DrawnSheet(NamedTuple):
    """A figure, and a PNG of it for the screen."""

    sheet: DrawnFigure
    preview: bytes


def drawn_sheet(
    services: Services,
    models: Mapping[str, StoredCheckpoint],
    opened: OpenedDataset,
    figure: FigureLayout,
    options: RankingOptions,
    rule: RuleName,
    seed: int,
    report: Report | None = None,
) -> DrawnSheet:
    """The two models' sheet; ``report`` hears of each query drawn. Errors as ``choose_queries`` and ``draw_figure``."""
    hashes = tuple((title, checkpoint.hash) for title, checkpoint in models.items())
    key = (hashes, opened.hash, str(opened.dataset.root), figure, options, rule, seed)
    store = _sheets()
    drawn = store.get(key)
    if drawn is None:
        comparison = Comparison(
            *(ranked(services, checkpoint, opened, figure.protocol, options) for checkpoint in models.values())
        )
        queries, (a, b) = choose_queries(comparison, rule, seed), models
        text = caption(comparison, (a, b), figure, rule, seed, len(queries))
        sheet = draw_figure(comparison, (a, b), figure, queries.tolist(), text, report)
        drawn = DrawnSheet(sheet, sheet.export("png", PREVIEW_DPI))
        store.add(key, drawn)
    return drawn


@st.cache_resource
def _sheets() -> Recent:
    """The last few sheets; some 10 MB each. Not made by a cached function, which could not report to a bar."""
    return Recent(most=4)
