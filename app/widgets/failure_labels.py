"""Labels that contradict the features, and duplicate images."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.widgets.components.image_rows import Figure, ImageRow
from app.widgets.evaluations import ensure_features
from app.widgets.export import table
from app.widgets.progress import run_with_progress
from app.widgets.query_panel import rows_of_queries
from app.workbench import Workbench
from app.workbench.failures import Failures, Suspicions, cached_copies, cached_suspicions, copies, suspicions
from app.workbench.images import image_label, thumbnail
from ssrnet.analysis.csv_rows import Row
from ssrnet.analysis.duplicates import NearDuplicate
from ssrnet.data.records import VehicleImage

MOST_SHOWN = 24
REQUESTED = "failures_looking"


def labels_and_copies(bench: Workbench, pair: Failures) -> None:
    """A button, then three lists with pictures; a cached result is shown at once."""
    done = cached_suspicions(bench, pair)
    if done is None and st.session_state.get(REQUESTED) == pair.key:
        done = run_with_progress("Looking through the test images", "failures_labels", partial(suspicions, bench, pair))
        st.session_state.pop(REQUESTED)
    if done is None:
        images = len(bench.dataset.test)
        st.markdown(
            f"Both models' features of the {images:,} test images are compared pair by pair, and all their files are "
            "read. The result lists labels that contradict the features, pairs of labels that may be one "
            "vehicle, and duplicate photographs; *Causes* then counts them too."
        )
        st.button("Look for them", type="primary", on_click=_look, args=(pair.key,), icon=":material/search:")
        return
    queries = set(pair.positions)
    sections = (
        ("Images that may have a wrong label", "suspected labels", _labels(done, queries), done.labels),
        ("Pairs of labels that may be one vehicle", "suspected pairs", _pairs(done, queries), done.pairs),
        ("Duplicate photographs", "near duplicates", _copies(done, queries), done.copies),
    )
    for title, name, rows, all_of_kind in sections:
        st.subheader(title, anchor=False)
        if not rows:
            st.caption(f"None among {len(done.hashes):,} test images.")
            continue
        if len(all_of_kind) > len(rows):
            st.caption(f"The {len(rows)} most suspected of {len(all_of_kind):,}; the table has all.")
        rows_of_queries(rows, f"failures_{name.replace(' ', '_')}")
        with st.expander(f"Table of all {len(all_of_kind):,}"):
            table([one.row() for one in all_of_kind], name)
    st.caption(
        "Training images are not looked at here. A blue frame is a query of this protocol: a click opens it in "
        "Retrieval."
    )


def copies_alone(bench: Workbench) -> None:
    """Duplicate photographs where nobody has labelled the images, after a click where there are many."""
    ensure_features([bench.ssrnet])
    st.subheader("Duplicate photographs", anchor=False)
    done, key = cached_copies(bench), bench.ssrnet.content_key
    if done is None and st.session_state.get(REQUESTED) == key:
        done = run_with_progress("Looking through the images", "failures_labels", partial(copies, bench))
        st.session_state.pop(REQUESTED)
    if done is None:
        st.markdown(
            f"{bench.ssrnet.title}'s features name the nearest pairs; then all {len(bench.dataset.test):,} files are read."
        )
        st.button("Look for them", type="primary", on_click=_look, args=(key,), icon=":material/search:")
    elif not done:
        st.caption(f"None among {len(bench.dataset.test):,} images.")
    else:
        queries = {image.name for image in bench.split.query}
        rows_of_queries([_copy(one, queries) for one in done[:MOST_SHOWN]], "failures_near_duplicates")
        with st.expander(f"Table of all {len(done):,}"):
            table([one.row() for one in done], "near duplicates")


def _look(key: tuple) -> None:
    st.session_state[REQUESTED] = key
    st.session_state.pop("failures_labels_cancelled", None)


def _labels(done: Suspicions, queries: set[str]) -> list[ImageRow]:
    return [
        ImageRow(
            f"{one.image.name}, labelled {one.image.vehicle_id}",
            f"looks like {one.like.vehicle_id}{_sibling(one.row())}; score {one.score:.1f}"
            + ("" if one.agreed else "; the models see different vehicles in it"),
            (
                _picture(one.image, "this image", queries),
                _picture(one.like, "nearest other", queries),
                _picture(one.nearest_same, "nearest of its label", queries),
            ),
        )
        for one in done.labels[:MOST_SHOWN]
    ]


def _pairs(done: Suspicions, queries: set[str]) -> list[ImageRow]:
    return [
        ImageRow(
            f"{one.a.vehicle_id} and {one.b.vehicle_id}",
            f"nearer than {one.nearer_than:.0%} of all pairs of one vehicle{_sibling(one.row())}; "
            f"score {one.score:.1f}",
            (_picture(one.a, "", queries), _picture(one.b, "", queries)),
        )
        for one in done.pairs[:MOST_SHOWN]
    ]


def _copies(done: Suspicions, queries: set[str]) -> list[ImageRow]:
    return [_copy(one, queries) for one in done.copies[:MOST_SHOWN]]


def _copy(one: NearDuplicate, queries: set[str]) -> ImageRow:
    labels = {None: "", True: "; same label", False: "; different labels"}[one.row()["same_vehicle"]]
    role_a, role_b = (one.split_a, one.split_b) if labels else ("", "")
    return ImageRow(
        f"{one.a.name} and {one.b.name}",
        f"{one.different:.1%} of their hash bits differ{labels}",
        (_picture(one.a, role_a, queries), _picture(one.b, role_b, queries)),
    )


def _sibling(row: Row) -> str:
    return ", a sibling" if row["sibling"] else ""


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
