"""Confusions: which vehicle took the first place instead, and what the two have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from app.widgets.components.image_rows import Figure, ImageRow
from app.widgets.controls import one_of
from app.widgets.export import chart, table
from app.widgets.failure_charts import shares
from app.widgets.query_panel import rows_of_queries
from app.workbench import OpenedModel
from app.workbench.failures import Failures, figure, model_confusions
from app.workbench.images import image_label, thumbnail
from ssrnet.analysis.attributes import CAMERA, SIBLING, in_words
from ssrnet.analysis.confusions import ConfusedPair, Confusions

MOST_ROWS = 12
OWN_CAMERA_HELP = (
    "By chance: each wrong first image drawn at random among the gallery images of other vehicles; in brackets the range "
    "of 95 % of such draws. Images by unknown cameras are left out."
)


def own_camera(models: Sequence[OpenedModel]) -> None:
    """How many wrong first images come from the query's own camera, against chance; a line a model.

    Nothing is drawn where no gallery image of another vehicle is known to be by a query's own camera.
    """
    by_title = {model.title: model_confusions(model) for model in models}
    if any(np.any(confusions.chance.get(CAMERA, 0) > 0) for confusions in by_title.values()):
        lines = [f"**{title}**: {_by_own_camera(confusions)}" for title, confusions in by_title.items()]
        st.markdown("  \n".join(lines), help=OWN_CAMERA_HELP)


def first_places(pair: Failures) -> None:
    """Agreement with the first image against chance, then one model's confusions with their pictures."""
    if not any(len(confusions.query) for confusions in pair.confusions):
        st.success("Both models list a right vehicle first for every query that has a match.")
        return
    left, right = st.columns([1, 1], gap="medium")
    with left:
        for title, confusions in zip(pair.titles, pair.confusions, strict=True):
            st.markdown(f"**{title}**: {_summary(confusions, pair)}")
        if pair.confusions[0].same:
            alt = "Share of confusions in which query and first image agree on an attribute, against chance, by model"
            chart(figure(pair, shares), "confusions", alt, key="failures_shares")
            st.caption(
                "Upright lines: how often a wrong image drawn at random would agree, with the range of 95 % of draws."
            )
        else:
            st.info("This data set names nothing that query and first image could agree on.")
    with right:
        title = one_of("Confusions of", pair.titles, "failures_model", default=pair.titles[-1])
        confusions = pair.confusions[pair.titles.index(title)]
        pairs = confusions.pairs()
        if not pairs:
            st.success("This model lists a right vehicle first for every query that has a match.")
            return
        columns = {"confused_with": "taken for", "queries": "of its queries"}
        columns["sibling"] = "siblings" if SIBLING in confusions.same else None
        table(
            [one._asdict() for one in pairs],
            f"confusions {title}",
            columns,
            key="failures_confusions",
            height=330,
            on_row=lambda row: st.query_params.update(failures_pair=_name(pairs[row])),
        )
        st.caption("A click at the left end of a row shows its images below.")
    _pictures(confusions, _chosen(pairs))


def _summary(confusions: Confusions, pair: Failures) -> str:
    queries = int((pair.comparison.a.ranking.first_hit > 0).sum())
    summary = f"of {queries:,} queries with a match, a wrong vehicle takes the first place of {len(confusions.query):,}"
    share = next((each for each in confusions.agreements() if each.attribute == SIBLING and each.queries), None)
    if share is None:
        return f"{summary}."
    siblings = round(share.share * share.queries)
    return f"{summary}, a sibling of {siblings:,} of these ({share.share:.0%}; by chance {share.chance:.1%})."


def _by_own_camera(confusions: Confusions) -> str:
    one = confusions.agreement(CAMERA)
    if not one.queries:
        return "no wrong first image" + (" by a known camera." if len(confusions.query) else ".")
    chance, low, high = (one.queries * share for share in (one.chance, one.chance_low, one.chance_high))
    return (
        f"{one.queries * one.share:,.0f} of {one.queries:,} wrong first images ({one.share:.0%}) come from the query's "
        f"own camera; by chance it would be {chance:,.1f} ({low:,.0f} to {high:,.0f})."
    )


def _name(one: ConfusedPair) -> str:
    return f"{one.vehicle}>{one.confused_with}"


def _chosen(pairs: tuple[ConfusedPair, ...]) -> ConfusedPair:
    """The one that the URL names, else the most frequent."""
    linked_to = st.query_params.get("failures_pair")
    return next((one for one in pairs if _name(one) == linked_to), pairs[0])


def _pictures(confusions: Confusions, one: ConfusedPair) -> None:
    """Each query that the confusion cost, beside the image that took its first place."""
    rows = []
    for i, (q, g, before, pair) in enumerate(
        zip(confusions.query, confusions.first_image, confusions.images_before, confusions.vehicles(), strict=True)
    ):
        if pair != (one.vehicle, one.confused_with) or len(rows) == MOST_ROWS:
            continue
        query, image = confusions.split.query[q], confusions.split.gallery[g]
        agree = [name for name, same in confusions.same.items() if same[i] == 1]
        note = f"{before} image{'s' if before > 1 else ''} of {one.confused_with} before the first match"
        note += f"; same {', '.join(in_words(name) for name in agree)}" if agree else ""
        alt, caption = f"first image {image.name}", f" {image_label(image)}"
        cost = Figure(thumbnail(query), f"query {query.name}", image_label(query), "query", query.name)
        wrong = Figure(thumbnail(image), alt, caption, "error", mark="1 ✗")
        rows.append(ImageRow(query.name, note, (cost, wrong)))
    sibling = {True: ", its sibling", False: ", no sibling", None: ""}[one.sibling]
    shown = f"the first {len(rows)} of {one.queries}" if one.queries > len(rows) else f"{one.queries}"
    st.markdown(f"**Vehicle {one.vehicle} taken for {one.confused_with}{sibling}** ({shown})")
    rows_of_queries(rows, "failures_confused_images")
