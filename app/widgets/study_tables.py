"""The paper's tables as measured by ``ssrnet study``, beside the paper's numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import streamlit as st

from app.widgets.export import chart
from ssrnet.studies.html_report import curve_figure, table_figure
from ssrnet.studies.report import CAUTION
from ssrnet.studies.tables import measured_tables, protocol_records


def study_tables(out: Path) -> None:
    """Every table of which the folder holds measured rows, with its notes and protocol records.

    Raises :class:`DataError` for a file in ``out`` that is not what a study writes.
    """
    title, explanation = CAUTION
    st.caption(f"**{title}** {explanation}")
    for table in measured_tables(out):
        heading, record = st.columns([4, 1], vertical_alignment="bottom")
        heading.markdown(f"**{table.title}**")
        with record.popover("Protocol records", icon=":material/receipt_long:"):
            for row in table.rows:
                for values in protocol_records(out, row):
                    st.markdown(f"**{row.label}**")
                    st.json(values, expanded=False)
        # The report's page links a row to its file, which a browser cannot open from here.
        plain = replace(table, rows=tuple(replace(row, record=None) for row in table.rows))
        chart(table_figure(plain), f"study_{table.name}", table.title, width="content")
        if table.curve:
            chart(curve_figure(table), f"study_{table.name}_curve", f"{table.title} as curves", width="content")
        st.caption("  \n".join(table.notes))
