"""A study's table beside the paper's numbers: what was measured here green, the paper's grey."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import streamlit as st

from app.widgets.components import stylesheet
from app.widgets.export import export_buttons, print_figure
from ssrnet.studies.html_report import table_figure
from ssrnet.studies.report import best, heading, is_measured
from ssrnet.studies.tables import ReportTable

STYLE = stylesheet("study_table")


def study_table(table: ReportTable) -> None:
    """Draws the table, which scrolls sideways where the page is narrower, with its export."""
    classes = ["here" if is_measured(column) else "paper" for column in table.columns]
    classes = [
        name + " left" * (column.metric == "Source") for name, column in zip(classes, table.columns, strict=True)
    ]
    head = "".join(
        f'<th scope="col" class="{name}"><span>{"</span><br><span>".join(map(escape, heading(column)))}</span></th>'
        for name, column in zip(classes, table.columns, strict=True)
    )
    bold = best(table)
    rows = []
    for r, row in enumerate(table.rows):
        if row.group:
            rows.append(
                f'<tr class="group"><th scope="rowgroup" colspan="{1 + len(classes)}">{escape(row.group)}</th></tr>'
            )
        values = [_value(value, (r, c) in bold) for c, value in enumerate(row.values)]
        cells = "".join(f'<td class="{name}">{value}</td>' for name, value in zip(classes, values, strict=True))
        rows.append(f'<tr><th scope="row">{escape(row.label)}</th>{cells}</tr>')
    title = escape(table.title, quote=True)
    st.html(
        f'{STYLE}<div class="study" tabindex="0" role="region" aria-label="{title}"><table><thead><tr><td></td>{head}'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
    # The report's page links a row to its file, which a browser cannot open from here.
    plain = replace(table, rows=tuple(replace(row, record=None) for row in table.rows))
    name = f"study_{table.name}"
    export_buttons(name, lambda format: print_figure(table_figure(plain), format), key=name)


def _value(text: str, is_best: bool) -> str:
    number, _, interval = map(escape, text.partition("\n"))
    number = f"<b>{number}</b>" if is_best else number
    return f"{number}<small>{interval}</small>" if interval else number
