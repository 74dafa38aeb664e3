"""The Gallery map's selection, tags and views, and the file that keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.widgets.export import download
from app.widgets.query_picker import choose_query
from app.widgets.selection import select, selected
from app.workbench import OpenedDataset
from app.workbench.maps import METHODS, TAG, WHOLE, colourings
from ssrnet.errors import DataError
from ssrnet.explain.gallery_notes import GalleryNotes, View, read_notes
from ssrnet.retrieval.feature_files import slug


def tags(data: OpenedDataset, notes: GalleryNotes, chosen: Sequence[str]) -> None:
    """A field for a tag on what is selected, and the tags that there are."""
    st.subheader("Tags", anchor=False)
    with (
        st.form("map_tag_form", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("Tag for the selection", key="map_tag", placeholder="a tag's name", max_chars=60)
        st.form_submit_button("Tag", on_click=_tag, args=(data,), disabled=not chosen, icon=":material/new_label:")
    if not notes.tags:
        st.caption("No tags yet.")
        return
    tag = st.pills(
        "Tags of this data set",
        list(notes.tags),
        key="map_tags",
        format_func=lambda tag: f"{tag} ({len(notes.tags.get(tag, ())):,})",
    )
    tag = tag if tag in notes.tags else None
    with st.container(horizontal=True):
        st.button(
            "Select its images",
            disabled=tag is None,
            key="map_tag_select",
            on_click=lambda: select(data, notes.tags[tag]),
        )
        st.button("Remove the tag", disabled=tag is None, key="map_tag_remove", on_click=_remove_tag, args=(data, tag))


def notes_file(data: OpenedDataset, notes: GalleryNotes, view: View) -> None:
    """Views by name, and all notes as a file."""
    st.subheader("Views", anchor=False)
    with (
        st.form("map_view_form", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("Name for what is shown now", key="map_view", placeholder="a view's name", max_chars=60)
        st.form_submit_button("Keep", on_click=_keep_view, args=(data, view), icon=":material/bookmark_add:")
    if notes.views:
        name = st.selectbox("Views of this data set", list(notes.views), key="map_views")
        # A full run: the controls above the maps belong to the view.
        if st.button("Open the view", key="map_view_open", on_click=_open, args=(data, notes.views[name])):
            st.rerun()
    st.subheader("File", anchor=False)
    file, empty = f"{slug(data.dataset.name)}-map.json", not (notes.tags or notes.views)
    download("Save tags and views", notes.json(), file, "map_save", icon=":material/download:", disabled=empty)
    st.file_uploader("Load tags and views", "json", key="map_upload", on_change=_load, args=(data,), max_upload_size=20)
    message = st.session_state.get("map_message")  # stands until another file is chosen, or none
    if message:
        kind, text = message
        (st.success if kind == "loaded" else st.error)(text)


def current_notes(data: OpenedDataset) -> GalleryNotes:
    """The session's tags and views of the opened data set."""
    notes = st.session_state.get("map_notes")
    return notes if notes and notes.dataset_hash == data.hash else GalleryNotes(data.dataset.name, data.hash)


def _keep(notes: GalleryNotes) -> None:
    st.session_state["map_notes"] = notes


def _tag(data: OpenedDataset) -> None:
    tag, chosen = st.session_state["map_tag"].strip(), selected(data)
    if tag and chosen:
        _keep(current_notes(data).with_tag(tag, chosen))


def _remove_tag(data: OpenedDataset, tag: str) -> None:
    st.session_state["map_tags"] = None
    _keep(current_notes(data).without_tag(tag))


def _keep_view(data: OpenedDataset, view: View) -> None:
    name = st.session_state["map_view"].strip()
    if name:
        _keep(current_notes(data).with_view(name, view))


def _open(data: OpenedDataset, view: View) -> None:
    """Sets the controls; what this data set or these models do not have is left as it is."""
    if view.method in METHODS:
        st.session_state["map_method"] = view.method
    st.session_state["map_branch"] = view.branch or WHOLE
    if view.colouring in (*colourings(data.dataset.test), TAG):
        st.session_state["map_colour"] = view.colouring
    choose_query(view.query)
    select(data, view.selected)


def _load(data: OpenedDataset) -> None:
    """Adds an uploaded file's notes, or says why it cannot."""
    uploaded = st.session_state["map_upload"]
    if uploaded is None:
        st.session_state.pop("map_message", None)
        return
    names = {image.name for image in data.dataset.test}
    try:
        loaded = read_notes(uploaded.getvalue(), uploaded.name, data.dataset.name, data.hash, names)
    except DataError as error:
        st.session_state["map_message"] = ("refused", str(error))
        return
    _keep(current_notes(data).joined(loaded))
    st.session_state["map_message"] = (
        "loaded",
        f"{uploaded.name} is loaded. Tags: {len(loaded.tags):,}, views: {len(loaded.views):,}.",
    )
