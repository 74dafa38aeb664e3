"""Charts and tables that can be taken away: PNG, SVG and PDF at print size, CSV."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st
from PIL import Image

from ssrnet.analysis.csv_rows import Row, csv_text
from ssrnet.errors import ResourceError
from ssrnet.retrieval.feature_files import in_letters

if TYPE_CHECKING:
    import plotly.graph_objects as go

PRINT_WIDTH_MM = 180
"""A text block's width in a two-column journal."""
DPI = 300
PIXELS_PER_MM = 96 / 25.4
"""CSS pixels, in which Plotly measures a figure."""
FORMATS = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}


def chart(figure: go.Figure, name: str, alt: str, key: str | None = None, **options: Any) -> Any:
    """Draws a Plotly figure with its export beside it; returns what ``st.plotly_chart`` does.

    ``name`` is the exported files' first name, ``alt`` says in words what a reader who cannot see it misses,
    ``options`` go to ``st.plotly_chart``.
    """
    drawn = st.plotly_chart(figure, key=key, alt=alt, config={"displaylogo": False}, **options)
    export_buttons(name, lambda format: print_figure(figure, format), key=key or name)
    return drawn


def export_buttons(name: str, make: Callable[[str], bytes], key: str, formats: Sequence[str] = tuple(FORMATS)) -> None:
    """One download a format behind one small button; ``make(format)`` runs only when a format is clicked."""
    with st.popover("Export", icon=":material/download:", type="tertiary"):
        for format in formats:
            st.download_button(
                format.upper(),
                lambda format=format: make(format),
                f"{in_letters(name)}.{format}",
                FORMATS[format],
                key=f"{key}_{format}",
                on_click="ignore",
                width="stretch",
            )


def table(rows: Sequence[Row], name: str, column_config: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """Draws rows as a sortable table with its CSV beneath; ``options`` go to ``st.dataframe``."""
    drawn = st.dataframe(list(rows), hide_index=True, column_config=column_config, **options)
    csv_button(rows, name)
    return drawn


def csv_button(rows: Sequence[Row], name: str) -> None:
    """One download of the rows; ``name`` is the file's first name, and tells the page's buttons apart."""
    st.download_button(
        "CSV",
        lambda: csv_text(rows),
        f"{in_letters(name)}.csv",
        "text/csv",
        key=f"{name}_csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )


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
