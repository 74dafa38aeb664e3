"""Retrieval: one query, what each model ranks first, row under row (paper Figs. 5 and 6), and why."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import streamlit as st

from app.widgets.alignment_note import alignment_note, show_cautions
from app.widgets.controls import one_of, toggle_parameter
from app.widgets.evaluations import ensure_features, evaluations, metrics_table
from app.widgets.figure_builder import figure_builder
from app.widgets.index_search import index_search
from app.widgets.match import why_this_match
from app.widgets.needs_labels import needs_labels
from app.widgets.page import explain
from app.widgets.problems import fragment
from app.widgets.query_picker import query_picker
from app.widgets.rank_list import RAW_AND_ALIGNED, RankRow, legend, rank_list, ranks_export, standing
from app.widgets.ranking_options import ranking_options, say
from app.workbench import RankingOptions, Workbench
from app.workbench.queries import Query, query_image, query_ranking
from app.workbench.verdicts import pairs_of
from ssrnet.analysis.comparison import Comparison, Outcome
from ssrnet.analysis.paper_figures import short
from ssrnet.data.protocols import Split
from ssrnet.data.uploads import UploadedImage
from ssrnet.explain.shares import BranchFeatures
from ssrnet.retrieval.alignment import AlignmentSettings, CameraStatistics
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.expansion import expand_queries
from ssrnet.retrieval.ranking import rank
from ssrnet.retrieval.reranking import k_reciprocal_distances

TOP_K = (5, 10, 20)
MOST_ROWS = 6
"""Of the table above the rank lists; a longer one is folded."""
OUTCOMES: dict[Outcome, str] = {
    "all": "All",
    "fixed": "SSR-Net fixes",
    "broken": "SSR-Net breaks",
    "both wrong": "Both wrong",
}
BY_ALIGNMENT: dict[Outcome, str] = {"fixed": "Alignment fixes SSR-Net", "broken": "Alignment breaks SSR-Net"}
"""Outcomes of SSR-Net's raw features against its aligned ones."""
MATCH = "match"
"""The URL's name for the gallery image that *Why this match?* is open on."""

INTRO = r"""
The gallery in the order of its distance to one query, a row for each model:
${d(q, g) = 1 - \cos(x_q, x_g)}$ with ${x = [f_G,\; f_{\mathrm{attn}},\; f_{\mathrm{token}}]}$.
"""
EQUATIONS = (
    r"d(q, g) = 1 - \cos(x_q, x_g), \qquad x = [f_G,\; f_{\mathrm{attn}},\; f_{\mathrm{token}}]",
    r"\cos(x_q, x_g) = \sum_{b} \frac{x_q^b \cdot x_g^b}{\|x_q\|\,\|x_g\|}",
    r"q' \propto q + \sum_{i \le n} (q \cdot x_i)^{\alpha}\, x_i",
    r"\hat{x} = \frac{x - \mu_c}{\sigma_c}, \qquad \mu_c = \frac{n_c\, m_c + k\, m}{n_c + k}, \qquad "
    r"\sigma_c^2 = \frac{n_c\, v_c + k\, v}{n_c + k}",
)
LOOK_FOR = f"""
Each row ranks the gallery by the cosine distance to the query (paper, Sec. 4.7, Figs. 5 and 6). An embedding is its
branches side by side, so a cosine is the sum of its **branch shares**. A branch *pulls an image up* by the ranks that it
would lose without that branch. Click an image for its maps: does the same part of the vehicle light up in both
images? What does a wrong image that one branch alone favours share with the query: type, colour, a mark?

**Query expansion** ranks again with the nearest images averaged into the query; **re-ranking** trusts images that are among
each other's nearest. Both help where the first ranks are right, and hurt where they are not. Neither looks at labels, so junk may be
among the neighbours.

**Camera alignment** (*Align cameras* in the sidebar; the last equation) subtracts from each embedding $x$ the mean of its camera
$c$ and divides by that camera's deviation. $m_c$ and $v_c$ are mean and variance over the camera's $n_c$ test images; $m$ and $v$, over all
test images, count as $k = {AlignmentSettings.prior:g}$ images more. An unknown camera, or one with fewer than {AlignmentSettings.min_images}
images, takes $m$ and $v$ alone.

Images by one camera share its exposure, viewpoint and background, so they lie closer together than two images of one vehicle by two
cameras; alignment removes what they share. It helps most with cameras that the models were never trained on. It harms where a camera has
few images, or images of few vehicles: then it removes what tells these vehicles apart. It needs the cameras' names, and neither vehicle
labels nor training. It is *transductive*: the statistics are those of the test images, so its numbers do not compare with
published ones that go without. The idea is the test stage of camera-based batch normalization (Zhuang et al., ECCV 2020), here applied to
the embedding alone.
"""


def render(bench: Workbench) -> None:
    """Metrics of the models, a query gallery, a row of ranked images a model, and why one of them stands there."""
    top = st.container()
    if bench.is_aligned:  # with two groups of queries more, which need the page's width
        left, (middle, right) = st.container(), st.columns([7, 2], vertical_alignment="bottom")
    else:
        left, middle, right = st.columns([5, 2, 2], vertical_alignment="bottom")
    with right:
        options = ranking_options(model.settings for model in bench.networks.values())
    split, group = bench.split, list(range(len(bench.split.query)))
    with top:
        if split.is_labelled:
            scored = _scores(bench, options)
        else:
            _without_scores(bench, options)
    if split.is_labelled:
        with left:
            group = _choose_group(bench, scored)
    top_k = one_of("Images listed", TOP_K, "top_k", place=middle)
    query = _choose_query(split, group)
    if query is None:
        st.info("No query in this group: choose another.")
    else:
        _forget_match_of_another(query_image(split, query).name)
        fragment(_ranks)(bench, options, query, top_k)
    st.subheader("Figure builder", anchor=False)
    if not split.is_labelled:
        needs_labels("A figure with right and wrong ranks")
    elif isinstance(query, UploadedImage):
        st.caption(
            "A figure marks right and wrong ranks, and nothing says which vehicle your image shows. Its rows above have an "
            "export of their own."
        )
    else:
        fragment(figure_builder)(bench, options, None if query is None else split.query[query].name)
    if query is not None:
        image = query_image(split, query)
        with st.expander("Search a gallery index of any size", icon=":material/manage_search:"):
            if bench.is_aligned:
                st.caption("An index holds features as they are; they are not aligned here.")
            fragment(index_search)(bench, "retrieval", image.read, image.camera_id)
    explain(
        EQUATIONS,
        LOOK_FOR,
        (rank, expand_queries, k_reciprocal_distances, BranchFeatures.branch_ranks, CameraStatistics.of),
    )


def _scores(bench: Workbench, options: RankingOptions) -> Mapping[str, Evaluation]:
    """The table of metrics, and what its numbers depend on."""
    scored = evaluations(bench.with_raw.values(), options)
    metrics_table(scored, pairs_of(bench), options, most_rows=MOST_ROWS)
    statistics = bench.ssrnet.statistics(options)
    if statistics is not None:
        st.caption(f":material/videocam: {alignment_note(bench, scored, statistics)}")
    show_cautions(bench)
    if options.touched:
        st.caption(f":material/tune: Ranked with {say(options)}; the protocol record names it.")
    _third_stays(bench, options)
    return scored


def _without_scores(bench: Workbench, options: RankingOptions) -> None:
    """What is ranked, where nobody has said what is right; the features are there afterwards."""
    ensure_features(bench.models.values(), options)
    needs_labels("A score")
    how = f", with {say(options)}" if options.touched else ""
    st.caption(f"Ranked: each of the {len(bench.split.gallery):,} images for all the others, by cosine distance{how}.")
    _third_stays(bench, options)


def _third_stays(bench: Workbench, options: RankingOptions) -> None:
    if bench.third and (options.flip_test or options.branches or options.unit_length):
        st.caption(f"{bench.third.raw.title} has no network and no branches: these options leave it as it is.")


def _ranks(bench: Workbench, options: RankingOptions, query: Query, top_k: int) -> None:
    """The rows, and the panel of the image that was clicked; a fragment, so that a click draws these alone."""
    split, first_hit, of_split = bench.split, False, isinstance(query, int)
    listed = len(split.gallery) - (of_split and not split.is_labelled)
    if top_k > listed:
        st.caption(f"The gallery has only {listed:,} images, so fewer than {top_k} are listed.")
    if of_split and split.is_labelled:
        help = "A row whose first hit stands farther down ends with it. The focus goes there: Enter says why it stands there."
        first_hit = st.toggle("Jump to the first hit", key="first_hit", bind="query-params", on_change=_jump, help=help)
    rows = []
    for model in bench.with_raw.values():
        if not (of_split or model.has_network):
            continue
        ranking = query_ranking(model, query, options)
        note = standing(ranking, 0, query_ranking(model.raw, query, options) if model.is_aligned else None)
        first = ranking.first(0) if first_hit else None
        rows.append(RankRow(model.title, ranking.top(0, top_k), note, joined=model.is_aligned, first=first))
    if bench.third and not of_split:
        st.caption(f"{bench.third.raw.title} has no network, so it cannot rank for your image.")
    image = query_image(split, query)
    clicked = st.query_params.get(MATCH)
    toggle = partial(toggle_parameter, MATCH)
    jump = st.session_state.get("jumps", 0)
    rank_list(image, rows, split.gallery, chosen=clicked, on_pick=toggle, jump=jump)
    legend(RAW_AND_ALIGNED * bench.is_aligned, split.is_labelled, image)
    ranks_export(f"ranks_{image.name}", image, rows, split.gallery)
    match = next((at for at, image in enumerate(split.gallery) if image.name == clicked), None)
    if match is None:
        st.caption("Click an image, or reach it with Tab, the arrows and Enter, to see why it stands where it does.")
    else:
        why_this_match(bench, options, query, match, _close_match)


def _jump() -> None:
    st.session_state["jumps"] = st.session_state.get("jumps", 0) + st.session_state["first_hit"]


def _close_match() -> None:
    st.query_params.pop(MATCH, None)


def _forget_match_of_another(query: str) -> None:
    if st.session_state.get("match_query") not in (None, query):
        _close_match()
    st.session_state["match_query"] = query


def _choose_group(bench: Workbench, scored: Mapping[str, Evaluation]) -> list[int]:
    """Positions of the queries to choose among, by what the two models, or SSR-Net raw and aligned, list first."""
    ssrnet = scored[bench.ssrnet.title]
    between_models = Comparison(scored[bench.baseline.title], ssrnet)
    groups = {title: between_models.select(outcome) for outcome, title in OUTCOMES.items()}
    help = None
    if bench.is_aligned:
        help = "The first groups compare the aligned baseline with the aligned SSR-Net; the last two, SSR-Net raw and aligned."
        raw_and_aligned = Comparison(scored[bench.ssrnet.raw.title], ssrnet)
        groups |= {title: raw_and_aligned.select(outcome) for outcome, title in BY_ALIGNMENT.items()}
    name = short(bench.ssrnet.raw.title)  # another one where no SSR-Net stands in its place
    titles = {title: f"{title.replace('SSR-Net', name)} ({len(queries):,})" for title, queries in groups.items()}
    return groups[one_of("Queries", titles, "outcome", help=help)].tolist()


def _choose_query(split: Split, group: list[int]) -> Query | None:
    """The chosen query, one of the group or an upload; None where the group is empty."""
    images = [split.query[i] for i in group]
    image = query_picker(images)
    if image is None or isinstance(image, UploadedImage):
        return image
    return group[images.index(image)]
