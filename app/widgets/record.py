"""The protocol record behind a number, one click away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import streamlit as st

from app.widgets.export import csv_button
from ssrnet.retrieval.evaluation import Evaluation


def metrics_table(evaluations: Mapping[str, Evaluation]) -> None:
    """Rank-1, rank-5, mAP and mINP of each model, with the record that each number carries."""
    rows = {
        title: {
            "Rank-1": 100 * evaluation.metrics.rank(1),
            "Rank-5": 100 * evaluation.metrics.rank(5),
            "mAP": 100 * evaluation.metrics.mAP,
            "mINP": 100 * evaluation.metrics.mINP,
            "Queries": evaluation.metrics.queries,
            "Excluded": evaluation.metrics.excluded,
        }
        for title, evaluation in evaluations.items()
    }
    table, record = st.columns([4, 1], vertical_alignment="center")
    share = st.column_config.NumberColumn(format="%.2f %%")
    table.dataframe(
        [{"Model": title, **row} for title, row in rows.items()],
        hide_index=True,
        column_config=dict.fromkeys(("Rank-1", "Rank-5", "mAP", "mINP"), share),
    )
    with record.container(horizontal=True):
        record_popover(evaluations)
        csv_button([{"Model": title, **row} for title, row in rows.items()], "metrics")


def record_popover(evaluations: Mapping[str, Evaluation]) -> None:
    """A button that opens the record of each model's numbers."""
    with st.popover("Protocol record", icon=":material/receipt_long:"):
        for title, evaluation in evaluations.items():
            st.markdown(f"**{title}**")
            st.json(asdict(evaluation.record))
