"""The figure builder: which queries, what is shown of them and how large, with a preview and its files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from app.widgets.controls import one_of, toggle_parameter
from app.widgets.progress import run_with_progress
from app.workbench import RankingOptions, Workbench
from app.workbench.paper_figures import FigureRequest, PreviewedFigure, latex_figure, paper_figure
from ssrnet.analysis.figure_layout import COLUMN_MM, WIDTH_MM, FigureSettings
from ssrnet.analysis.paper_figures import PaperFigure, fig5, fig6
from ssrnet.errors import DataError, SettingsError
from ssrnet.retrieval.feature_files import slug

SHEET = "sheet"
"""The URL's name for the figure that is shown."""
PAGE = "page"
"""Its value for a figure under the page's own protocol."""
FIGURES = {"fig5": fig5, "fig6": fig6}
CONDITIONS = {"fig5": "single-gallery-shot, top-5", "fig6": "multi-gallery-shot with n = 6, top-10"}
RULES = {
    "sample": "At random",
    "differ": "Where the models differ most",
    "fixed": "Where only SSR-Net is right",
    "broken": "Where only the baseline is right",
    "worst": "The worst: SSR-Net's lowest AP",
}
BY_HAND = "Chosen by hand"
LABELS = {"rank": "Rank", "vehicle": "Vehicle", "camera": "Camera", "distance": "Distance"}
WIDTHS = {WIDTH_MM: "180 mm", COLUMN_MM: "85 mm"}
MOST_QUERIES, MOST_LISTED = 12, 20


def figure_builder(bench: Workbench, options: RankingOptions, query: str | None) -> None:
    """Which figure, its controls, its preview and files; a fragment of the page. ``query``: the page's, by name."""
    like = {name: make(_seed()) for name, make in FIGURES.items()}
    reasons = {name: figure.protocol.unavailable(bench.dataset) for name, figure in like.items()}
    shown = st.query_params.get(SHEET)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _button(PAGE, "Figure of this ranking", "Under this page's protocol", shown, False)
        for name, figure in like.items():
            _button(name, figure.title, f"As the paper's: {CONDITIONS[name]}", shown, reasons[name] is not None)
    for name, reason in reasons.items():
        if reason:
            st.caption(f"{like[name].title} ({CONDITIONS[name]}) cannot be made: {reason}.")
    if shown != PAGE and reasons.get(shown, "closed"):
        return
    if shown in like:
        bench = bench.under(like[shown].protocol)
    request = _request(bench, shown, like.get(shown), query)
    try:
        draw = partial(paper_figure, bench, options, request)
        drawn = run_with_progress("Drawing the figure", "sheet_drawing", draw)
    except (DataError, SettingsError) as error:
        st.info(str(error))
        return
    _show(bench, options, request, drawn, f"{shown}_{'chosen' if request.names else request.rule}_seed{request.seed}")


def _seed() -> int:
    return int(st.session_state.get("sheet_seed", 0))


def _button(name: str, label: str, help: str, shown: str | None, disabled: bool) -> None:
    st.button(
        label,
        key=f"sheet_{name}",
        icon=":material/grid_on:",
        disabled=disabled,
        type="primary" if shown == name else "secondary",
        on_click=toggle_parameter,
        args=(SHEET, name),
        help=help,
    )


def _request(bench: Workbench, shown: str, like: PaperFigure | None, query: str | None) -> FigureRequest:
    """The controls; what they ask for."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choices = [*RULES.values(), BY_HAND]
        words = st.selectbox("Queries", choices, key="sheet_rule", bind="query-params", width=280)
        rule = next((rule for rule, title in RULES.items() if title == words), None)
        seed = 0
        if like or rule in ("sample", "fixed", "broken"):
            help = "Of the random gallery, and of the queries where they are drawn at random."
            seed = st.number_input("Seed", 0, 10_000, 0, key="sheet_seed", bind="query-params", width=120, help=help)
        names: Sequence[str] = ()
        if rule is None:
            names = _by_hand(bench, query)
            count = len(names)
        else:
            key = "sheet_n"
            count = st.number_input("How many", 1, MOST_QUERIES, 6, key=key, bind="query-params", width=120)
    rows = _rows(bench)
    settings = _settings(shown, like)
    title = like.title if like else ""
    return FigureRequest(settings, rows, rule or "sample", tuple(names), int(seed), int(count), title)


def _by_hand(bench: Workbench, query: str | None) -> list[str]:
    """The chosen queries, by name; the page's own where none is."""
    there = [image.name for image in bench.split.query]
    names = st.multiselect(
        "Which",
        there,
        key="sheet_queries",
        bind="query-params",
        max_selections=MOST_QUERIES,
        placeholder="the query above",
        width=420,
    )
    if query in there:

        def add() -> None:
            st.session_state["sheet_queries"] = [*names, query]

        done = query in names or len(names) >= MOST_QUERIES
        st.button("Add the query above", icon=":material/add:", key="sheet_add", on_click=add, disabled=done)
    return names or ([query] if query else [])


def _rows(bench: Workbench) -> tuple[str, ...]:
    """The models that have a row: the two networks, or those chosen of more."""
    titles = list(bench.with_raw)
    if len(titles) == len(bench.networks):
        return tuple(titles)
    chosen = st.pills(
        "Rows", titles, selection_mode="multi", default=list(bench.networks), key="sheet_rows", bind="query-params"
    )
    return tuple(title for title in titles if title in chosen) or tuple(bench.networks)


def _settings(shown: str, like: PaperFigure | None) -> FigureSettings:
    """How the figure looks; at the start as the paper's."""
    top_k, columns = (like.top_k, like.columns) if like else (5, 2)
    bound = {"bind": "query-params"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        width = one_of("Width", WIDTHS, "sheet_width")
        key = f"sheet_k_{shown}"
        top_k = st.number_input("Images listed", 1, MOST_LISTED, top_k, key=key, width=120, **bound)
        wide = width == WIDTH_MM
        key = f"sheet_columns_{shown}" if wide else "sheet_columns_narrow"
        columns = st.number_input("Panels side by side", 1, 3, columns if wide else 1, key=key, width=150, **bound)
        key = "sheet_font"
        font = st.number_input("Font size (pt)", 4.0, 12.0, 6.0, 0.5, key=key, width=130, format="%.1f", **bound)
        labels = st.pills(
            "Below each picture",
            list(LABELS),
            selection_mode="multi",
            default=["rank"],
            format_func=LABELS.__getitem__,
            key="sheet_words",
            **bound,
        )
        captioned = st.toggle("Caption in the figure", True, key="sheet_caption", **bound)
    chosen = tuple(name for name in LABELS if name in labels)
    return FigureSettings(int(top_k), int(columns), width, float(font), chosen, captioned)


def _show(bench: Workbench, options: RankingOptions, request: FigureRequest, drawn: PreviewedFigure, name: str) -> None:
    from app.widgets.export import download, export_buttons  # here: Plotly comes with it

    figure, settings = drawn.figure, request.settings
    st.image(drawn.preview, width="content", alt=figure.caption)
    size = f"{settings.width_mm:.0f} × {figure.height_mm:.0f} mm"
    notes = [f"Printed size {size}; shown at twice that, or as wide as the page."]
    if 0 < figure.label_pt < settings.font_pt - 1.05:
        notes.append(f"Labels are set in {figure.label_pt:.1f} pt, the largest size that fits below the pictures.")
    if not settings.captioned:
        notes.append(figure.caption)
    st.caption(" ".join(notes))
    with st.container(horizontal=True):
        export_buttons(name, figure.export, key="export_sheet")
        file = slug(name)
        make = partial(latex_figure, bench, options, request, file)
        help = "A ZIP: the PDF without caption, the figure environment with caption and protocol, and their records."
        icon = ":material/functions:"
        download("LaTeX", make, f"{file}.zip", "export_sheet_latex", icon=icon, type="tertiary", help=help)
