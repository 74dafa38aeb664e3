"""Labels that the features do not believe, and images that are there twice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from app.widgets.components.image_picker import choose
from app.widgets.components.image_rows import Figure, ImageRow, image_rows
from app.widgets.export import table
from app.widgets.labels import image_label
from app.widgets.page import as_page
from app.widgets.progress import run_with_progress
from app.workbench import Workbench
from app.workbench.failures import Failures, Suspicions, cached_suspicions, suspicions
from app.workbench.images import thumbnail
from ssrnet.analysis.csv_rows import Row
from ssrnet.data.records import VehicleImage

MOST_SHOWN = 24
ASKED = "failures_looking"


def labels_and_copies(bench: Workbench, pair: Failures) -> None:
    """A button, then three lists with pictures; a cached result is shown at once."""
    done = cached_suspicions(pair)
    if done is None and st.session_state.get(ASKED) == pair.key:
        done = run_with_progress("Looking through the test images", "failures_labels", partial(suspicions, bench, pair))
        st.session_state.pop(ASKED)
    if done is None:
        images = len(bench.dataset.test)
        st.markdown(
            f"Both models' features of the {images:,} test images are compared pair by pair, and the nearest pairs' "
            "files are read. The result is a list of labels that both models find hard to believe, of vehicles that may be "
            "one under two labels, and of photographs that are there twice."
        )
        st.button("Look for them", type="primary", on_click=_look, args=(pair.key,), icon=":material/search:")
        return
    queries = set(pair.positions)
    _section(
        done,
        "Images that may bear a wrong label",
        "suspected labels",
        _labels(done, queries),
        [one.row() for one in done.labels],
    )
    _section(
        done,
        "Vehicles that may be one under two labels",
        "suspected pairs",
        _pairs(done, queries),
        [one.row() for one in done.pairs],
    )
    _section(
        done,
        "Photographs that are there twice",
        "near duplicates",
        _copies(done, queries),
        [one.row() for one in done.copies],
    )
    st.caption(
        "Training images are not looked at here. A blue frame is a query of this protocol: a click opens it in "
        "Retrieval."
    )


def _look(key: tuple) -> None:
    st.session_state[ASKED] = key
    st.session_state.pop("failures_labels_cancelled", None)


def _section(done: Suspicions, title: str, name: str, rows: Sequence[ImageRow], cells: Sequence[Row]) -> None:
    """The pictures of the most suspected, and the table of all; a click on a query opens it in Retrieval."""
    st.subheader(title, anchor=False)
    if not rows:
        st.caption(f"None among {done.images:,} test images.")
        return
    if len(cells) > len(rows):
        st.caption(f"The {len(rows)} most suspected of {len(cells):,}; the table has all.")
    opened = image_rows(rows, "cards", f"failures_{name.replace(' ', '_')}", tooltip="Open this query in Retrieval")
    with st.expander(f"Table of all {len(cells):,}"):
        table(cells, name)
    if opened:
        choose("query", opened)
        st.switch_page(as_page("retrieval"), query_params={"query": opened})


def _labels(done: Suspicions, queries: set[str]) -> list[ImageRow]:
    return [
        ImageRow(
            f"{one.image.name}, labelled {one.image.vehicle_id}",
            f"looks like {one.like.vehicle_id}{_sibling(one.row()['sibling'])}; score {one.score:.1f}"
            + ("" if one.agreed else "; the models see different vehicles in it"),
            (
                _picture(one.image, "this image", queries),
                _picture(one.like, "nearest other", queries),
                _picture(one.nearest_same, "nearest own", queries),
            ),
        )
        for one in done.labels[:MOST_SHOWN]
    ]


def _pairs(done: Suspicions, queries: set[str]) -> list[ImageRow]:
    return [
        ImageRow(
            f"{one.a.vehicle_id} and {one.b.vehicle_id}",
            f"nearer than {one.nearer_than:.0%} of all pairs of one vehicle{_sibling(one.row()['sibling'])}; "
            f"score {one.score:.1f}",
            (_picture(one.a, "", queries), _picture(one.b, "", queries)),
        )
        for one in done.pairs[:MOST_SHOWN]
    ]


def _copies(done: Suspicions, queries: set[str]) -> list[ImageRow]:
    return [
        ImageRow(
            f"{one.a.name} and {one.b.name}",
            f"{one.different:.1%} of their hash bits differ; "
            + ("same label" if one.a.vehicle_id == one.b.vehicle_id else "different labels"),
            (_picture(one.a, one.split_a, queries), _picture(one.b, one.split_b, queries)),
        )
        for one in done.copies[:MOST_SHOWN]
    ]


def _sibling(sibling: object) -> str:
    return ", a sibling" if sibling else ""


def _picture(image: VehicleImage, role: str, queries: set[str]) -> Figure:
    is_query = image.name in queries
    caption = " · ".join(filter(None, (role, image_label(image))))
    return Figure(
        thumbnail(image),
        f"{role or 'image'} {image.name}",
        caption,
        "query" if is_query else "plain",
        image.name if is_query else "",
    )
