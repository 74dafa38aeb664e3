"""The switches of the Retrieval page: what is done to features and distances before images are ranked."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from app.widgets.controls import one_of
from app.workbench import RankingOptions
from ssrnet.model import ModelSettings
from ssrnet.retrieval.expansion import ExpansionSettings

BRANCH_TITLES = {"G": "Global", "attn": "Attention", "token": "Relation"}
ALPHA = 3.0
"""Radenovic et al.'s."""
EXPANSIONS = {"none": "None", "average": "Average (AQE)", "alpha": f"Weighted (αQE, α = {ALPHA:g})"}


def branch_title(branch: str) -> str:
    """A branch in the paper's words; PCB's stripes by their number."""
    return BRANCH_TITLES.get(branch, f"Stripe {branch.removeprefix('part')}")


def ranking_options(models: Iterable[ModelSettings]) -> RankingOptions:
    """Draws the switches behind one button; all of them are in the URL."""
    models = list(models)
    button = st.container()
    with button.popover("Ranking options", icon=":material/tune:", width="stretch"):
        re_rank = st.toggle(
            "k-reciprocal re-ranking",
            key="re_rank",
            bind="query-params",
            help="Zhong et al., CVPR 2017: k1 = 20, k2 = 6, weight 0.3. Distances are then no longer cosines.",
        )
        flip_test = st.toggle(
            "Flip test",
            key="flip",
            bind="query-params",
            help="The features of an image and of its mirror image, averaged. The first time, all test images go "
            "through both networks twice.",
        )
        help = "The query's nearest gallery images are averaged into it."
        expansion = one_of("Query expansion", EXPANSIONS, "expansion", help=help)
        neighbours = ExpansionSettings.neighbours
        if expansion != "none":
            neighbours = st.number_input(
                "Images averaged into the query", 1, 50, neighbours, key="expansion_n", bind="query-params"
            )
        branches = _branches(models)
        unit_length = any(model.attention_branch or model.relation_branch for model in models) and st.toggle(
            "Each branch at unit length",
            key="unit_length",
            bind="query-params",
            help="The paper concatenates its three features as they are, so that the branch with the longest vectors "
            "weighs most in a cosine. Normalised first, each weighs the same. No network runs.",
        )
        st.caption("Camera alignment is a switch in the sidebar: all pages follow it.")
    chosen = None
    if expansion != "none":
        chosen = ExpansionSettings(int(neighbours), ALPHA if expansion == "alpha" else 0.0)
    return RankingOptions(re_rank, flip_test, chosen, branches, unit_length)


def say(options: RankingOptions) -> str:
    """The options that differ from plain ranking, in one sentence; empty where none does."""
    parts = []
    if options.flip_test:
        parts.append("flip test")
    if options.branches:
        parts.append(f"only {' and '.join(branch_title(branch).lower() for branch in options.branches)} branch")
    if options.unit_length:
        parts.append("each branch at unit length")
    if options.expansion is not None:
        parts.append(f"query expansion ({options.expansion})")
    if options.re_rank:
        parts.append("k-reciprocal re-ranking")
    return ", ".join(parts)


def _branches(models: list[ModelSettings]) -> tuple[str, ...]:
    """The chosen branches of those that any of the models has; empty where that is all of them."""
    has = {
        "G": True,
        "attn": any(model.attention_branch for model in models),
        "token": any(model.has_graph for model in models),
    }
    there = [branch for branch in BRANCH_TITLES if has[branch]]
    if len(there) == 1:
        return ()
    chosen = st.pills(
        "Branches that count",
        there,
        selection_mode="multi",
        default=there,
        format_func=branch_title,
        key="branches",
        bind="query-params",
        help="A part of the embedding is left out; no network runs. A model that has none of the chosen branches, "
        "as the baseline without the global one, keeps its own.",
    )
    if not chosen:
        st.caption("None chosen: all count.")
    return () if len(chosen) in (0, len(there)) else tuple(branch for branch in there if branch in chosen)
