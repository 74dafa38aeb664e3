"""AP, mAP and CMC computed step by step on one query's ranking (Eqs. 8 and 9)."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.widgets.controls import one_of
from app.widgets.evaluations import evaluations
from app.widgets.export import table
from app.widgets.rank_list import RankRow, legend, rank_list, standing
from app.workbench import Workbench
from ssrnet.data.records import VehicleImage
from ssrnet.explain.scoring import QueryScore, score_query
from ssrnet.metrics import Metrics

LISTED = 5
MOST_TERMS = 5
"""Terms of a sum that are written out."""
MOST_ROWS = 9
"""Matches listed without scrolling."""
CMC_RANKS = (1, 2, 3, 5, 10, 20)
FOUR_DIGITS = st.column_config.NumberColumn(format="%.4f")


def score_steps(bench: Workbench, query: int) -> None:
    """One model's first ranks, then its AP and CMC as sums; ``query`` is a position in the split."""
    split = bench.split
    titles = {title: model.raw.title for title, model in bench.models.items()}
    title = one_of("Ranked by", titles, "score_model", default=bench.ssrnet.title)
    evaluation = evaluations([bench.models[title]])[title]
    first = evaluation.ranking.top(query, min(LISTED, len(split.gallery)))
    rank_list(split.query[query], [RankRow(title, first, standing(evaluation.ranking, query))], split.gallery)
    legend()
    score = score_query(bench.models[title].branch_features().rank(query))
    if not score.steps:
        st.caption("No image of the gallery counts as a match, so the query is in no mean.")
        return
    st.latex(ap_sum(score))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _precision(score, title, evaluation.metrics, split.gallery)
    with right:
        _cmc(score, title, evaluation.metrics)


def _precision(score: QueryScore, title: str, metrics: Metrics, gallery: Sequence[VehicleImage]) -> None:
    st.markdown(f"mAP is the mean over all {metrics.queries:,} queries with a match (Eq. 9): **{metrics.mAP:.4f}**.")
    table(
        [
            {"i": step.number, "Rank": step.rank, "i / rank": step.precision, "Match": gallery[step.index].name}
            for step in score.steps
        ],
        f"precision_{title}",
        {"i / rank": FOUR_DIGITS},
        height="content" if len(score.steps) <= MOST_ROWS else 320,
    )


def _cmc(score: QueryScore, title: str, metrics: Metrics) -> None:
    first = score.steps[0].rank
    st.markdown(
        f"The first match has rank {first}: $gt(q, K) = 0$ for $K < {first}$ and 1 from there on. CMC@K is the mean of "
        "$gt$ over the queries (Eq. 8):"
    )
    table(
        [{"K": K, "gt(q, K)": score.gt(K), "CMC@K": metrics.rank(K)} for K in CMC_RANKS if K <= len(metrics.cmc)],
        f"cmc_{title}",
        {"CMC@K": FOUR_DIGITS},
    )


def ap_sum(score: QueryScore) -> str:
    """AP as the mean of precisions, in LaTeX; terms beyond the first few as dots."""
    terms = [rf"\tfrac{{{step.number}}}{{{step.rank}}}" for step in score.steps]
    if len(terms) > MOST_TERMS:
        terms = [*terms[: MOST_TERMS - 1], r"\cdots", terms[-1]]
    return (
        rf"AP(q) = \tfrac{{1}}{{{len(score.steps)}}} \left( {' + '.join(terms)} \right) = {score.average_precision:.4f}"
    )
