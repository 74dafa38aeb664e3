"""Evaluations of the models: computed behind a progress bar, shown with the protocol record behind each number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial

import streamlit as st

from app.widgets.export import csv_button
from app.widgets.progress import run_with_progress
from app.workbench import OpenedModel, RankingOptions
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.extraction import FeatureSet

SHARES = {
    "Rank-1": "Share of queries whose first image that is not junk shows their vehicle.",
    "Rank-5": "Share of queries with their vehicle among the first five images that are not junk.",
    "mAP": "Mean over the queries of the average precision, which counts where all images of the vehicle stand.",
    "mINP": "Mean inverse negative penalty: of each query, its matches over the rank of the last one; 100 % where all "
    "matches stand before any other image.",
}
EXCLUDED = (
    "Queries without a match in the gallery once junk is left out. They count in no number. Junk is the query's vehicle "
    "seen by the query's camera."
)
"""Tooltips of :func:`metrics_table`'s columns."""


def evaluations(models: Iterable[OpenedModel], options: RankingOptions = RankingOptions()) -> dict[str, Evaluation]:
    """Each model's evaluation under the chosen protocol, by row title."""
    models = list(models)
    ensure_features(models, options)
    return {
        each.title: run_with_progress(
            f"Re-ranking with {each.title}", f"re_rank_{at}", partial(each.evaluation, options)
        )
        for at, each in enumerate(models)
    }


def ensure_features(models: Iterable[OpenedModel], options: RankingOptions = RankingOptions()) -> dict[str, FeatureSet]:
    """Each model's embeddings of the data set's test images, by row title."""
    mirrored = " and their mirror images" if options.flip_test else ""
    return {
        model.title: run_with_progress(
            f"Embedding the test images{mirrored} with {model.title}",
            f"{'flip' if options.flip_test else 'embed'}_{at}",
            partial(model.features, settings=options.extraction),
        )
        for at, model in enumerate(models)
    }


def metrics_table(evaluations: Mapping[str, Evaluation]) -> None:
    """Rank-1, rank-5, mAP and mINP of each model, with the record that each number carries."""
    rows = [
        {
            "Model": title,
            "Rank-1": 100 * evaluation.metrics.rank(1),
            "Rank-5": 100 * evaluation.metrics.rank(5),
            "mAP": 100 * evaluation.metrics.mAP,
            "mINP": 100 * evaluation.metrics.mINP,
            "Queries": evaluation.metrics.queries,
            "Excluded": evaluation.metrics.excluded,
        }
        for title, evaluation in evaluations.items()
    ]
    table, record = st.columns([4, 1], vertical_alignment="center")
    columns = {name: st.column_config.NumberColumn(format="%.2f %%", help=help) for name, help in SHARES.items()}
    columns["Queries"] = st.column_config.NumberColumn(help="Queries that the numbers are means over.")
    columns["Excluded"] = st.column_config.NumberColumn(help=EXCLUDED)
    table.dataframe(rows, hide_index=True, column_config=columns)
    with record.container(horizontal=True):
        record_popover(evaluations)
        csv_button(lambda: rows, "metrics")


def record_popover(evaluations: Mapping[str, Evaluation]) -> None:
    """A button that opens the record of each model's numbers."""
    with st.popover("Protocol record", icon=":material/receipt_long:"):
        for title, evaluation in evaluations.items():
            st.markdown(f"**{title}**")
            st.json(asdict(evaluation.record))
