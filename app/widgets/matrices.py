"""Small matrices of shares and cosines as tables, since Plotly takes a quarter of a second to draw four of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import streamlit as st

from app.widgets.components import stylesheet
from app.widgets.components.node_graph import NODE_TITLES
from app.widgets.export import export_buttons, print_figure
from app.widgets.symbols import as_html
from ssrnet.model.regions import REGION_NAMES

STYLE = stylesheet("matrices")


class Matrix(NamedTuple):
    """``values`` (N, M), drawn from 0, faint, to 1; ``texts`` in their place, where two decimals are not it."""

    values: np.ndarray
    texts: Sequence[Sequence[str]] | None = None

    def written(self) -> list[list[str]]:
        """What stands in the cells."""
        if self.texts is not None:
            return [list(row) for row in self.texts]
        return [[f"{value:.2f}" for value in row] for row in self.values]


def matrices(
    panels: Mapping[str, Matrix], names: Sequence[str], export: str, alt: str, axes: tuple[str, str] = ("", "")
) -> None:
    """Draws ``panels``, by their titles, side by side with their export; rows and columns are ``names``.

    Rows of regions that ``names`` calls as the paper does (ul) are named in words.
    export: the exported files' name, which tells the page's groups apart. alt: what they show, in words. axes: what
    rows and columns are.
    """
    tables = "".join(_table(title, panel, names, axes) for title, panel in panels.items())
    group = f'<div class="matrices" role="group" aria-label="{escape(alt, quote=True)}">{tables}</div>'
    st.html(f'{STYLE}<div class="matrices-frame">{group}</div>')
    export_buttons(export, lambda format: print_figure(_figure(panels, names, axes), format), key=export)


def _table(title: str, panel: Matrix, names: Sequence[str], axes: tuple[str, str]) -> str:
    corner = escape(" \\ ".join(filter(None, axes)))
    head = "".join(f'<th scope="col" title="{escape(_words(name), quote=True)}">{escape(name)}</th>' for name in names)
    rows = []
    for name, values, texts in zip(names, panel.values.tolist(), panel.written(), strict=True):
        cells = "".join(
            f'<td style="--value: {min(max(value, 0), 1):.3f}">{escape(text)}</td>'
            for value, text in zip(values, texts, strict=True)
        )
        rows.append(f'<tr><th scope="row">{_row_name(name)}</th>{cells}</tr>')
    return f"<table><caption>{as_html(title)}</caption><tr><th>{corner}</th>{head}</tr>{''.join(rows)}</table>"


def _row_name(name: str) -> str:
    """A row's name in words; on a narrow page only the first of several matrices spells it out."""
    words, short = escape(_words(name)), escape(name)
    return words if words == short else f'<span class="words">{words}</span><abbr title="{words}">{short}</abbr>'


def _words(name: str) -> str:
    return NODE_TITLES[name] if name in REGION_NAMES else name


def _figure(panels: Mapping[str, Matrix], names: Sequence[str], axes: tuple[str, str]):
    """The same as Plotly draws it, for paper."""
    from plotly.subplots import make_subplots  # only an export needs it

    sheet = make_subplots(1, len(panels), subplot_titles=list(map(as_html, panels)), horizontal_spacing=0.05)
    for column, panel in enumerate(panels.values(), start=1):
        words = {"text": panel.written(), "texttemplate": "%{text}", "textfont": {"size": 8}}
        scale = {"colorscale": [[0, "#f1f5f9"], [1, "#7ca0f3"]], "zmin": 0, "zmax": 1, "showscale": False}
        axis = list(names)
        sheet.add_heatmap(z=panel.values, x=axis, y=axis, xgap=1, ygap=1, row=1, col=column, **words, **scale)
    sheet.update_yaxes(autorange="reversed", tickfont={"size": 8}, title=axes[0] or None, showgrid=False, ticks="")
    sheet.update_xaxes(tickfont={"size": 8}, title=axes[1] or None, showgrid=False, tickangle=45, ticks="")
    sheet.update_layout(width=320 * len(panels), height=340, margin={"l": 0, "r": 0, "t": 40, "b": 0})
    sheet.update_annotations(font_size=10)
    return sheet
