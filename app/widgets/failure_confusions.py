"""Confusions: which vehicle took the first place instead."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.widgets.controls import one_of
from app.widgets.export import table
from app.widgets.failure_causes import MOST_ROWS, confused_rows
from app.widgets.query_panel import rows_of_queries
from app.workbench.failures import Failures
from ssrnet.analysis.causes import Causes
from ssrnet.analysis.confusions import ConfusedPair


def first_places(pair: Failures, causes: tuple[Causes, Causes]) -> None:
    """One model's confusions, vehicle by vehicle, with their pictures."""
    if not any(len(each.confusions.query) for each in causes):
        st.success("Both models list a right vehicle first for every query that has a match.")
        return
    title = one_of("Confusions of", pair.titles, "failures_model", default=pair.titles[-1])
    shown = causes[pair.titles.index(title)]
    confusions = shown.confusions
    pairs = confusions.pairs()
    if not pairs:
        st.success("This model lists a right vehicle first for every query that has a match.")
        return
    queries = int((pair.comparison.a.ranking.first_hit > 0).sum())
    st.markdown(
        f"Of {queries:,} queries with a match, a wrong vehicle takes the first place of {len(confusions.query):,}."
    )
    columns = {"confused_with": "taken for", "queries": "of its queries"}
    columns["sibling"] = None if confusions.sibling is None else "siblings"
    table(
        [one._asdict() for one in pairs],
        f"confusions {title}",
        columns,
        key="failures_confusions",
        height=330,
        on_row=lambda row: st.query_params.update(failures_pair=_name(pairs[row])),
    )
    st.caption("A click at the left end of a row shows its images below.")
    _pictures(shown, _chosen(pairs))


def _name(one: ConfusedPair) -> str:
    return f"{one.vehicle}>{one.confused_with}"


def _chosen(pairs: tuple[ConfusedPair, ...]) -> ConfusedPair:
    """The one that the URL names, else the most frequent."""
    linked_to = st.query_params.get("failures_pair")
    return next((one for one in pairs if _name(one) == linked_to), pairs[0])


def _pictures(causes: Causes, one: ConfusedPair) -> None:
    """Each query that the confusion cost, beside the image that took its first place."""
    positions = _positions(causes, one)[:MOST_ROWS]
    sibling = {True: ", its sibling", False: ", no sibling", None: ""}[one.sibling]
    shown = f"the first {len(positions)} of {one.queries}" if one.queries > len(positions) else f"{one.queries}"
    st.markdown(f"**Vehicle {one.vehicle} taken for {one.confused_with}{sibling}** ({shown})")
    rows_of_queries(confused_rows(causes, positions), "failures_confused_images")


def _positions(causes: Causes, one: ConfusedPair) -> Sequence[int]:
    return [i for i, pair in enumerate(causes.confusions.vehicles()) if pair == (one.vehicle, one.confused_with)]
