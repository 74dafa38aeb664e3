"""Labels that the features do not believe, and images that are there twice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from app.widgets.export import table
from app.widgets.image_picker import choose
from app.widgets.page import as_page
from app.widgets.picture_rows import Picture, PictureRow, picture_rows
from app.widgets.progress import run_with_progress
from app.widgets.source import Selection
from app.workbench import Services
from app.workbench.failures import Failures, Suspicions, kept_suspicions, suspicions
from ssrnet.analysis.csv_rows import Row
from ssrnet.data.records import VehicleImage

MOST_SHOWN = 24
ASKED = "failures_looking"


def labels_and_copies(services: Services, selection: Selection, found: Failures) -> None:
    """A button, then three lists with pictures; what was found once is there at once."""
    done = kept_suspicions(found)
    if done is None and st.session_state.get(ASKED) == found.key:
        done = run_with_progress(
            "Looking through the test images", "failures_labels", partial(suspicions, services, selection, found)
        )
        st.session_state.pop(ASKED)
    if done is None:
        images = len(selection.opened.dataset.test)
        st.markdown(
            f"Both models' features of the {images:,} test images are compared pair by pair, and the nearest pairs' "
            "files are read. The result is a list of labels that both models find hard to believe, of vehicles that may be "
            "one under two labels, and of photographs that are there twice."
        )
        st.button("Look for them", type="primary", on_click=_look, args=(found.key,), icon=":material/search:")
        return
    askable = set(found.positions)
    _section(
        done,
        "Images that may bear a wrong label",
        "suspected labels",
        _labels(services, done, askable),
        [one.row() for one in done.labels],
    )
    _section(
        done,
        "Vehicles that may be one under two labels",
        "suspected pairs",
        _pairs(services, done, askable),
        [one.row() for one in done.pairs],
    )
    _section(
        done,
        "Photographs that are there twice",
        "near duplicates",
        _copies(services, done, askable),
        [one.row() for one in done.copies],
    )
    st.caption(
        "Training images are not looked at here. A blue frame is a query of this protocol: a click opens it in "
        "Retrieval."
    )


def _look(key: tuple) -> None:
    st.session_state[ASKED] = key
    st.session_state.pop("failures_labels_cancelled", None)


def _section(done: Suspicions, title: str, name: str, rows: Sequence[PictureRow], cells: Sequence[Row]) -> None:
    """The pictures of the most suspected, and the table of all; a click on a query opens it in Retrieval."""
    st.subheader(title, anchor=False)
    if not rows:
        st.caption(f"None among {done.images:,} test images.")
        return
    if len(cells) > len(rows):
        st.caption(f"The {len(rows)} most suspected of {len(cells):,}; the table has all.")
    opened = picture_rows(rows, f"failures_{name.replace(' ', '_')}", "Open this query in Retrieval")
    with st.expander(f"Table of all {len(cells):,}"):
        table(cells, name)
    if opened:
        choose("query", opened)
        st.switch_page(as_page("retrieval"), query_params={"query": opened})


def _labels(services: Services, done: Suspicions, askable: set[str]) -> list[PictureRow]:
    return [
        PictureRow(
            f"{one.image.name}, labelled {one.image.vehicle_id}",
            f"looks like {one.like.vehicle_id}{_sibling(one.row()['sibling'])}; score {one.score:.1f}"
            + ("" if one.agreed else "; the models see different vehicles in it"),
            (
                _picture(services, one.image, "this image", askable),
                _picture(services, one.like, "nearest other", askable),
                _picture(services, one.nearest_same, "nearest own", askable),
            ),
        )
        for one in done.labels[:MOST_SHOWN]
    ]


def _pairs(services: Services, done: Suspicions, askable: set[str]) -> list[PictureRow]:
    return [
        PictureRow(
            f"{one.a.vehicle_id} and {one.b.vehicle_id}",
            f"nearer than {one.nearer_than:.0%} of all pairs of one vehicle{_sibling(one.row()['sibling'])}; "
            f"score {one.score:.1f}",
            (_picture(services, one.a, "", askable), _picture(services, one.b, "", askable)),
        )
        for one in done.pairs[:MOST_SHOWN]
    ]


def _copies(services: Services, done: Suspicions, askable: set[str]) -> list[PictureRow]:
    return [
        PictureRow(
            f"{one.a.name} and {one.b.name}",
            f"{one.different:.1%} of their hash bits differ; "
            + ("same label" if one.a.vehicle_id == one.b.vehicle_id else "different labels"),
            (_picture(services, one.a, one.split_a, askable), _picture(services, one.b, one.split_b, askable)),
        )
        for one in done.copies[:MOST_SHOWN]
    ]


def _sibling(sibling: object) -> str:
    return ", a sibling" if sibling else ""


def _picture(services: Services, image: VehicleImage, role: str, askable: set[str]) -> Picture:
    asks = image.name in askable
    said = " · ".join(filter(None, (role, image.vehicle_id, image.camera_id)))
    return Picture(
        services.thumbnail(image),
        f"{role or 'image'} {image.name}",
        said,
        "query" if asks else "plain",
        image.name if asks else "",
    )
