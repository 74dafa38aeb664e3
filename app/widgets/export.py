"""Charts and tables with their exports: PNG, SVG and PDF at print size, CSV; the colours of all charts."""

from __future__ import annotations

import io
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas  # noqa: F401  Plotly takes it from the loaded modules, and fails on one that a thread is still loading
import streamlit as st
from PIL import Image

from app.widgets.lecture import SMALLEST_TEXT, presenting
from app.widgets.problems import fragment
from ssrnet.analysis.csv_rows import Row, csv_text
from ssrnet.errors import ResourceError
from ssrnet.retrieval.feature_files import slug

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLOURS = ("#3b82f6", "#f97316", "#10b981", "#ec4899", "#a16207", "#8b5cf6", "#06b6d4", "#94a3b8")
"""One a model, or one a run, in the order chosen; readable on white and on black."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""One a branch."""
PRINT_WIDTH_MM = 180
"""A text block's width in a two-column journal."""
DPI = 300
PIXELS_PER_MM = 96 / 25.4
"""CSS pixels, in which Plotly measures a figure."""
FORMATS = ("png", "svg", "pdf")


def chart(
    figure: go.Figure,
    name: str,
    alt: str,
    key: str | None = None,
    on_point: Callable[[Any], None] | None = None,
    **options: Any,
) -> None:
    """Draws a Plotly figure with its export beside it.

    name: of the exported files. alt: what a reader who cannot see the chart misses. on_point: called with a point
    that is clicked, which needs a ``key``. options: of ``st.plotly_chart``.
    """

    def clicked() -> None:
        points = st.session_state[key].selection.points
        if points:
            on_point(points[0])

    if on_point:
        options |= {"on_select": clicked, "selection_mode": "points"}
    st.plotly_chart(
        _for_a_lecture(figure) if presenting() else figure, key=key, alt=alt, config={"displaylogo": False}, **options
    )
    export_buttons(name, lambda format: print_figure(figure, format), key=key or name)


def _for_a_lecture(figure: go.Figure) -> go.Figure:
    """The figure with all its text at :data:`SMALLEST_TEXT` or more, and higher by what that takes."""
    import plotly.graph_objects as go

    size = {"size": SMALLEST_TEXT}
    slide = go.Figure(figure)
    slide.update_xaxes(tickfont=size, title_font=size, automargin=True)
    slide.update_yaxes(tickfont=size, title_font=size, automargin=True)
    slide.update_annotations(font=size)
    slide.update_traces(textfont=size, selector=lambda trace: "textfont" in trace)
    slide.update_traces(constraintext="none", selector={"type": "bar", "textposition": "outside"})
    slide.update_layout(uniformtext={"minsize": SMALLEST_TEXT, "mode": "hide"})  # what does not fit into its bar
    slide.update_traces(header_font=size, cells_font=size, cells_height=30, selector={"type": "table"})
    slide.update_coloraxes(colorbar={"tickfont": size, "title": {"font": size}})
    return slide.update_layout(
        font=size, legend={"font": size, "title": {"font": size}}, title_font=size, hoverlabel_font=size
    )


def lay_out(figure: go.Figure, height: int, top: int = 8, title: str = "", **layout: Any) -> go.Figure:
    """Sets what most charts share; ``top`` is the margin in pixels, ``layout`` goes to ``update_layout``."""
    heading = {"title": {"text": title, "x": 0, "font": {"size": 15}}} if title else {}
    return figure.update_layout(height=height, margin={"l": 0, "r": 8, "t": top, "b": 0}, **heading, **layout)


def export_buttons(name: str, make: Callable[[str], bytes], key: str, formats: Sequence[str] = FORMATS) -> None:
    """One download a format behind one small button; ``make(format)`` runs only when a format is clicked.

    The downloads are drawn once the button is opened, and then nothing else is drawn again.
    """
    with st.container(width="content"):  # else a row's other buttons would be pushed to its end
        fragment(_exports)(name, make, key, formats)


def _exports(name: str, make: Callable[[str], bytes], key: str, formats: Sequence[str]) -> None:
    menu = st.popover("Export", icon=":material/download:", type="tertiary", key=f"{key}_export", on_change="rerun")
    if menu.open:
        with menu:
            for format in formats:
                file = f"{slug(name)}.{format}"
                download(
                    format.upper(), lambda format=format: make(format), file, key=f"{key}_{format}", width="stretch"
                )


def table(
    rows: Sequence[Row],
    name: str,
    column_config: Mapping[str, Any] | None = None,
    key: str | None = None,
    on_row: Callable[[int], None] | None = None,
    **options: Any,
) -> None:
    """Draws rows as a sortable table, whose cells of None are empty, with its CSV beneath.

    on_row: called with the position of a row that is chosen, which needs a ``key``. options: of ``st.dataframe``.
    """

    def chosen() -> None:
        positions = st.session_state[key].selection.rows
        if positions and positions[0] < len(rows):
            on_row(positions[0])

    if on_row:
        options |= {"on_select": chosen, "selection_mode": "single-row"}
    st.dataframe(list(rows), hide_index=True, column_config=column_config, key=key, placeholder="", **options)
    csv_button(lambda: rows, name)


def csv_button(rows: Callable[[], Sequence[Row]], name: str) -> None:
    """One download of the rows; ``name`` is that of the file, and tells the page's buttons apart."""
    file = f"{slug(name)}.csv"
    download("CSV", lambda: csv_text(rows()), file, f"{name}_csv", icon=":material/download:", type="tertiary")


def download(
    label: str, data: bytes | str | Callable[[], bytes | str], file_name: str, key: str, **options: Any
) -> None:
    """A download, which leaves the page as it is; a function in place of the data runs when it is clicked."""
    kind, _ = mimetypes.guess_type(file_name)
    st.download_button(label, data, file_name, kind, key=key, on_click="ignore", **options)


def print_figure(figure: go.Figure, format: str) -> bytes:
    """The figure on white, 180 mm wide, as PNG (300 dpi), SVG or PDF.

    Raises :class:`ResourceError` where Kaleido finds no Chrome or Chromium to draw with.
    """
    import plotly.graph_objects as go  # with the first figure, since some pages have none

    sheet = go.Figure(figure)
    sheet.update_layout(template="plotly_white", paper_bgcolor="white", font={"family": "Arial", "size": 11})
    width = PRINT_WIDTH_MM * PIXELS_PER_MM
    height = width * (figure.layout.height or 450) / (figure.layout.width or 900)
    scale = DPI / 96 if format == "png" else 1
    try:
        data = sheet.to_image(format=format, width=round(width), height=round(height), scale=scale)
    except Exception as error:  # Kaleido and choreographer raise of many kinds
        raise ResourceError(
            f"the figure could not be drawn as {format.upper()}: that needs Chrome or Chromium on the machine that "
            f"serves this page (Debian: apt-get install chromium). The camera sign in a chart saves what is on the "
            f"screen without it. ({error})"
        ) from error
    return with_dpi(data) if format == "png" else data


def with_dpi(data: bytes) -> bytes:
    """A PNG that says that it has 300 dots an inch, so that it is placed at print size."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, "PNG", dpi=(DPI, DPI))
    return buffer.getvalue()
