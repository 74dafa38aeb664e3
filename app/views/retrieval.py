"""Retrieval: one query, what each model ranks first, row under row (paper Figs. 5 and 6), and why."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import streamlit as st

from app.widgets.components.image_picker import image_picker
from app.widgets.controls import one_of, toggle_parameter
from app.widgets.evaluations import evaluations, metrics_table
from app.widgets.index_search import index_search
from app.widgets.match import why_this_match
from app.widgets.page import explain
from app.widgets.paper_figures import paper_figures
from app.widgets.problems import fragment
from app.widgets.rank_list import RankRow, legend, rank_list, ranks_export, standing
from app.widgets.ranking_options import ranking_options, say
from app.workbench import RankingOptions, Workbench
from ssrnet.analysis.comparison import Comparison, Outcome
from ssrnet.data.images import read_image
from ssrnet.explain.shares import BranchFeatures
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.expansion import expand_queries
from ssrnet.retrieval.ranking import rank
from ssrnet.retrieval.reranking import k_reciprocal_distances

TOP_K = (5, 10, 20)
OUTCOMES: dict[Outcome, str] = {
    "all": "All",
    "fixed": "SSR-Net fixes",
    "broken": "SSR-Net breaks",
    "both wrong": "Both wrong",
}
MATCH = "match"
"""The URL's name for the gallery image that *Why this match?* is open on."""

EQUATIONS = (
    r"d(q, g) = 1 - \cos(x_q, x_g), \qquad x = [f_G,\; f_{Attn},\; f_{token}]",
    r"\cos(x_q, x_g) = \sum_{b} \frac{x_q^b \cdot x_g^b}{\|x_q\|\,\|x_g\|}",
    r"q' \propto q + \sum_{i \le n} (q \cdot x_i)^{\alpha}\, x_i",
)
LOOK_FOR = """
Each row ranks the gallery by the cosine distance to the query (paper, Sec. 4.7, Figs. 5 and 6). An embedding is its
branches side by side, so a cosine is the sum of its **branch shares**. A branch *pulls an image up* by the ranks that it
would lose without that branch. Click an image for its maps: does the same part of the vehicle light up in both
images? A wrong image that only the global branch favours often shares a type and a colour with the query, and no mark.

**Query expansion** ranks again with the nearest images averaged into the query; **re-ranking** trusts images that are among
each other's nearest. Both help where the first ranks are right, and hurt where they are not. Neither looks at labels, so junk may be
among the neighbours.
"""


def render(bench: Workbench) -> None:
    """Metrics of the models, a query gallery, a row of ranked images a model, and why one of them stands there."""
    top = st.container()
    left, middle, right = st.columns([5, 2, 2], vertical_alignment="bottom")
    with right:
        options = ranking_options(model.settings for model in bench.networks.values())
    with top:
        scored = evaluations(bench.models.values(), options)
        metrics_table(scored)
        if options.touched:
            st.caption(f":material/tune: Ranked with {say(options)}; the protocol record names it.")
        if bench.third and (options.flip_test or options.branches or options.unit_length):
            st.caption(f"{bench.third.title} has no network and no branches: these options leave it as it is.")
    baseline, ssrnet, *_ = scored.values()
    with left:
        group = _choose_group(Comparison(baseline, ssrnet))
    top_k = one_of("Images listed", TOP_K, "top_k", place=middle)
    query = _choose_query(baseline, group)
    if query is None:
        st.info("No query in this group: choose another.")
    else:
        _forget_match_of_another(baseline.split.query[query].name)
        fragment(_ranks)(bench, scored, options, query, top_k)
    st.subheader("Sheets of six queries", anchor=False)
    fragment(paper_figures)(bench, options)
    if query is not None:
        image = baseline.split.query[query]
        with st.expander("Search a gallery index of any size", icon=":material/manage_search:"):
            fragment(index_search)(bench, "retrieval", lambda: read_image(image.path), image.camera_id)
    explain(EQUATIONS, LOOK_FOR, (rank, expand_queries, k_reciprocal_distances, BranchFeatures.branch_ranks))


def _ranks(bench: Workbench, scored: Mapping[str, Evaluation], options: RankingOptions, query: int, top_k: int) -> None:
    """The rows, and the panel of the image that was clicked; a fragment, so that a click draws these alone."""
    split = bench.split
    if top_k > len(split.gallery):
        st.caption(f"The gallery has only {len(split.gallery):,} images, so fewer than {top_k} are listed.")
    rows = [
        RankRow(title, evaluation.ranking.top(query, top_k), standing(evaluation.ranking, query))
        for title, evaluation in scored.items()
    ]
    clicked = st.query_params.get(MATCH)
    rank_list(split.query[query], rows, split.gallery, chosen=clicked, on_pick=partial(toggle_parameter, MATCH))
    legend()
    ranks_export(f"ranks_{split.query[query].name}", split.query[query], rows, split.gallery)
    match = next((at for at, image in enumerate(split.gallery) if image.name == clicked), None)
    if match is None:
        st.caption("Click an image, or reach it with Tab, the arrows and Enter, to see why it stands where it does.")
    else:
        why_this_match(bench, options, query, match, _close_match)


def _close_match() -> None:
    st.query_params.pop(MATCH, None)


def _forget_match_of_another(query: str) -> None:
    if st.session_state.get("match_query") not in (None, query):
        _close_match()
    st.session_state["match_query"] = query


def _choose_group(comparison: Comparison) -> list[int]:
    """Positions of the queries to choose among, by what the two models list first."""
    groups = {outcome: comparison.select(outcome) for outcome in OUTCOMES}
    titles = {outcome: f"{OUTCOMES[outcome]} ({len(queries):,})" for outcome, queries in groups.items()}
    return groups[one_of("Queries", titles, "outcome")].tolist()


def _choose_query(evaluation: Evaluation, group: list[int]) -> int | None:
    """The position of the chosen query among the split's queries; None where the group is empty."""
    images = [evaluation.split.query[i] for i in group]
    image = image_picker("query", images)
    return None if image is None else group[images.index(image)]
