"""Buttons that draw six queries as the paper's Figs. 5 and 6."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.widgets.controls import toggle_parameter
from app.widgets.progress import run_with_progress
from app.workbench import RankingOptions, Workbench
from app.workbench.paper_figures import paper_figure
from ssrnet.analysis.paper_figures import FigureLayout, fig5, fig6
from ssrnet.errors import DataError

SHEET = "sheet"
"""The URL's name for the sheet that is shown."""
FIGURES = {"fig5": fig5, "fig6": fig6}
RULES = {"sample": "At random", "differ": "Where the models differ most", "fixed": "Where only SSR-Net is right"}
CONDITIONS = {"fig5": "single-gallery-shot, top-5", "fig6": "multi-gallery-shot with n = 6, top-10"}


def paper_figures(bench: Workbench, options: RankingOptions) -> None:
    """The two buttons, how the queries are chosen, and the figure; a fragment of the page."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        help = "Of the random gallery, and of the queries where they are drawn at random."
        seed = st.number_input("Seed", 0, 10_000, 0, key="sheet_seed", bind="query-params", width=120, help=help)
        rule = st.selectbox(
            "Six queries", list(RULES), format_func=RULES.__getitem__, key="sheet_rule", bind="query-params", width=280
        )
        figures = {name: make(int(seed)) for name, make in FIGURES.items()}
        reasons = {name: figure.protocol.unavailable(bench.dataset) for name, figure in figures.items()}
        shown = st.query_params.get(SHEET)
        for name, figure in figures.items():
            st.button(
                figure.title,
                key=f"sheet_{name}",
                icon=":material/grid_on:",
                disabled=reasons[name] is not None,
                type="primary" if shown == name else "secondary",
                on_click=toggle_parameter,
                args=(SHEET, name),
                help=f"Six queries, {CONDITIONS[name]}",
            )
    for name, reason in reasons.items():
        if reason:
            st.caption(f"{figures[name].title} ({CONDITIONS[name]}) cannot be made: {reason}.")
    if bench.third:
        st.caption("The sheets set the two networks side by side, as the paper does.")
    if bench.is_aligned:
        st.caption("The sheets compare the two networks with their features aligned by camera.")
    if shown in figures and reasons[shown] is None:
        _figure(bench, options, shown, figures[shown], rule)


def _figure(bench: Workbench, options: RankingOptions, name: str, layout: FigureLayout, rule: str) -> None:
    from app.widgets.export import export_buttons  # here: Plotly comes with it

    try:
        draw = partial(paper_figure, bench, layout, options, rule)
        drawn = run_with_progress(f"Drawing {layout.title}", "sheet_drawing", draw)
    except DataError as error:
        st.info(str(error))
        return
    st.image(drawn.preview, width="stretch", alt=drawn.figure.caption)
    export_buttons(f"{name}_{rule}_seed{layout.protocol.seed}", drawn.figure.export, key=f"export_{name}")
