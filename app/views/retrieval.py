"""Retrieval: one query, what each model ranks first, row under row (paper Figs. 5 and 6)."""

from __future__ import annotations

import streamlit as st

from app.services import Services
from app.widgets.features import evaluations
from app.widgets.image_picker import image_picker
from app.widgets.rank_list import RankRow, legend, rank_list
from app.widgets.record import metrics_table
from app.widgets.source import Selection
from ssrnet.retrieval.compare import Comparison, Outcome, compare
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.ranking import Hit, Ranking

TOP_K = (5, 10, 20)
OUTCOMES: dict[Outcome, str] = {
    "all": "All",
    "fixed": "SSR-Net fixes",
    "broken": "SSR-Net breaks",
    "both wrong": "Both wrong",
}


def render(services: Services, selection: Selection) -> None:
    """Metrics of both models, a query picker, and two rows of ranked images."""
    scored = evaluations(services, selection)
    metrics_table(scored)
    baseline, ssrnet = scored.values()
    left, right = st.columns([3, 1])
    with left:
        group = _choose_group(compare(baseline, ssrnet))
    top_k = right.segmented_control(
        "Images listed", TOP_K, default=TOP_K[0], required=True, key="top_k", bind="query-params"
    )
    query = _choose_query(services, baseline, group)
    if query is None:
        st.info("No query in this group: choose another.")
        return

    split = baseline.split
    if top_k > len(split.gallery):
        st.caption(f"The gallery has only {len(split.gallery):,} images, so fewer than {top_k} are listed.")
    rows = [
        RankRow(title, _first(evaluation.ranking.hits(query), top_k), _note(evaluation.ranking, query))
        for title, evaluation in scored.items()
    ]
    shown = {split.query[query], *(split.gallery[hit.index] for row in rows for hit in row.hits)}
    rank_list(split.query[query], rows, split.gallery, {image.name: services.thumbnail(image) for image in shown})
    legend()


def _choose_group(comparison: Comparison) -> list[int]:
    """Positions of the queries to choose among, by what the two models list first."""
    groups = {outcome: comparison.select(outcome) for outcome in OUTCOMES}
    outcome = st.segmented_control(
        "Queries",
        list(groups),
        default="all",
        required=True,
        key="outcome",
        bind="query-params",
        format_func=lambda name: f"{OUTCOMES[name]} ({len(groups[name]):,})",
    )
    return groups[outcome].tolist()


def _choose_query(services: Services, evaluation: Evaluation, group: list[int]) -> int | None:
    """The position of the chosen query among the split's queries; None where the group is empty."""
    images = [evaluation.split.query[i] for i in group]
    image = image_picker("query", images, services.thumbnail)
    return None if image is None else group[images.index(image)]


def _first(hits: list[Hit], top_k: int) -> list[Hit]:
    """Hits up to rank ``top_k``, with the junk that stands among them."""
    last = max((i for i, hit in enumerate(hits) if hit.rank is not None and hit.rank <= top_k), default=-1)
    return hits[: last + 1]


def _note(ranking: Ranking, query: int) -> str:
    """First hit and average precision of one query, in words."""
    first = int(ranking.first_hit[query])
    if first == 0:
        return "the gallery has no image that counts as a match"
    return f"first hit at rank {first}, AP {ranking.average_precision[query]:.3f}"
