"""Who took the first place of whom, and what the two have in common."""

from __future__ import annotations

import streamlit as st

from app.widgets.export import chart, table
from app.widgets.failure_charts import shares
from app.widgets.image_picker import choose
from app.widgets.page import as_page
from app.widgets.picture_rows import Picture, PictureRow, picture_rows
from app.workbench import Services
from app.workbench.failures import Failures, figure
from ssrnet.analysis.attributes import SIBLING
from ssrnet.analysis.confusions import Captures, Confusion
from ssrnet.analysis.slicing_choices import in_words

TABLE = "failures_confusions"
MOST_CAPTURES = 12


def first_places(services: Services, found: Failures) -> None:
    """Agreement with the capturing image against chance, then one model's confusions with their pictures."""
    if not any(len(own.query) for own in found.captures):
        st.success("Both models list a right vehicle first for every query that has a match.")
        return
    left, right = st.columns([1, 1], gap="medium")
    with left:
        for title, own in zip(found.titles, found.captures, strict=True):
            st.markdown(f"**{title}**: {_summary(own, found)}")
        if found.captures[0].same:
            alt = "Share of captures in which query and first image agree on an attribute, against chance, by model"
            chart(
                figure(found, shares, found.captures, found.titles, found.places),
                "captures",
                alt,
                key="failures_shares",
            )
            st.caption("Upright lines: how often a wrong image drawn at random would agree.")
        else:
            st.info("This data set names nothing that query and first image could agree on.")
    with right:
        title = st.segmented_control(
            "Confusions of",
            found.titles,
            default=found.titles[-1],
            required=True,
            key="failures_model",
            bind="query-params",
        )
        own = found.captures[found.titles.index(title)]
        confusions = own.confusions()
        if not confusions:
            st.success("This model lists a right vehicle first for every query that has a match.")
            return
        st.session_state["failures_pairs"] = [_name(one) for one in confusions]
        table(
            [one._asdict() for one in confusions],
            f"confusions {title}",
            {
                "captured_by": "taken for",
                "queries": "of its queries",
                "sibling": "siblings" if SIBLING in own.same else None,
            },
            key=TABLE,
            height=330,
            on_select=_row_clicked,
            selection_mode="single-row",
        )
        st.caption("A click at the left end of a row shows its images below.")
    _pictures(services, own, _chosen(confusions))


def _summary(own: Captures, found: Failures) -> str:
    asked = int((found.comparison.a.ranking.first_hit > 0).sum())
    said = f"of {asked:,} queries with a match, a wrong vehicle takes the first place of {len(own.query):,}"
    share = next((each for each in own.shares() if each.attribute == SIBLING and each.captures), None)
    if share is None:
        return f"{said}."
    siblings = round(share.share * share.captures)
    return f"{said}, a sibling of {siblings:,} of these ({share.share:.0%}; by chance {share.chance:.1%})."


def _row_clicked() -> None:
    rows = st.session_state[TABLE].selection.rows
    listed = st.session_state.get("failures_pairs", [])
    if rows and rows[0] < len(listed):
        st.query_params["failures_pair"] = listed[rows[0]]


def _name(one: Confusion) -> str:
    return f"{one.vehicle}>{one.captured_by}"


def _chosen(confusions: tuple[Confusion, ...]) -> Confusion:
    """The one that the URL names, else the most frequent."""
    linked_to = st.query_params.get("failures_pair")
    return next((one for one in confusions if _name(one) == linked_to), confusions[0])


def _pictures(services: Services, own: Captures, one: Confusion) -> None:
    """Each query that the confusion cost, beside the image that took its first place."""
    rows = []
    for i, (q, g, before, pair) in enumerate(zip(own.query, own.image, own.before, own.vehicles(), strict=True)):
        if pair != (one.vehicle, one.captured_by) or len(rows) == MOST_CAPTURES:
            continue
        query, image = own.split.query[q], own.split.gallery[g]
        agree = [name for name, same in own.same.items() if same[i] == 1]
        rows.append(
            PictureRow(
                query.name,
                f"{before} image{'s' if before > 1 else ''} of {one.captured_by} before the first match"
                + (f"; same {', '.join(in_words(name) for name in agree)}" if agree else ""),
                (
                    Picture(services.thumbnail(query), f"query {query.name}", _caption(query), "query", query.name),
                    Picture(services.thumbnail(image), f"first image {image.name}", f"1 ✗ {_caption(image)}", "error"),
                ),
            )
        )
    sibling = {True: ", its sibling", False: ", no sibling", None: ""}[one.sibling]
    shown = f"the first {len(rows)} of {one.queries}" if one.queries > len(rows) else f"{one.queries}"
    st.markdown(f"**Vehicle {one.vehicle} taken for {one.captured_by}{sibling}** ({shown})")
    opened = picture_rows(rows, "failures_captures", "Open this query in Retrieval")
    if opened:
        choose("query", opened)
        st.switch_page(as_page("retrieval"), query_params={"query": opened})


def _caption(image) -> str:
    return f"{image.vehicle_id} · {image.camera_id}" if image.camera_id else image.vehicle_id
