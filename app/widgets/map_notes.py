"""The Gallery map's selection, tags and views, and the file that keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.widgets.image_picker import choose
from app.widgets.source import Selection
from app.workbench import maps as ask
from app.workbench.maps import METHODS, WHOLE
from ssrnet.errors import DataError
from ssrnet.explain.gallery_notes import GalleryNotes, View, read_notes
from ssrnet.retrieval.feature_files import in_letters


def tags(selection: Selection, notes: GalleryNotes, chosen: Sequence[str]) -> None:
    """A field for a tag on what is selected, and the tags that there are."""
    st.subheader("Tags", anchor=False)
    with (
        st.form("map_tag_form", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("Tag for the selection", key="map_tag", placeholder="for example: odd label", max_chars=60)
        st.form_submit_button("Tag", on_click=_tag, args=(selection,), disabled=not chosen, icon=":material/new_label:")
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
            on_click=lambda: select(selection, notes.tags[tag]),
        )
        st.button(
            "Remove the tag", disabled=tag is None, key="map_tag_remove", on_click=_remove_tag, args=(selection, tag)
        )


def file(selection: Selection, notes: GalleryNotes, view: View) -> None:
    """Views by name, and all notes as a file."""
    st.subheader("Views", anchor=False)
    with (
        st.form("map_view_form", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("Name for what is shown now", key="map_view", placeholder="a view's name", max_chars=60)
        st.form_submit_button("Keep", on_click=_keep_view, args=(selection, view), icon=":material/bookmark_add:")
    if notes.views:
        name = st.selectbox("Views of this data set", list(notes.views), key="map_views")
        # A full run: the controls above the maps belong to the view.
        if st.button("Open the view", key="map_view_open", on_click=_open, args=(selection, notes.views[name])):
            st.rerun()
    st.subheader("File", anchor=False)
    st.download_button(
        "Save tags and views",
        notes.json(),
        f"{in_letters(selection.opened.dataset.name)}-map.json",
        "application/json",
        key="map_save",
        icon=":material/download:",
        on_click="ignore",
        disabled=not (notes.tags or notes.views),
    )
    st.file_uploader(
        "Load tags and views", "json", key="map_upload", on_change=_load, args=(selection,), max_upload_size=20
    )
    message = st.session_state.get("map_message")  # stands until another file is chosen, or none
    if message:
        kind, text = message
        (st.success if kind == "loaded" else st.error)(text)


def current_notes(selection: Selection) -> GalleryNotes:
    """The session's tags and views of the opened data set."""
    opened = selection.opened
    kept = st.session_state.get("map_notes")
    if kept is None or kept.dataset_hash != opened.hash:
        kept = GalleryNotes(opened.dataset.name, opened.hash)
    return kept


def _keep(selection: Selection, notes: GalleryNotes) -> None:
    st.session_state["map_notes"] = notes


def selected(selection: Selection) -> list[str]:
    """Names of the selected images; none where they are another data set's."""
    owner, names = st.session_state.get("map_selected", ("", []))
    return list(names) if owner == selection.opened.hash else []


def select(selection: Selection, names: Sequence[str]) -> None:
    """Selects the images of these names."""
    st.session_state["map_selected"] = (selection.opened.hash, list(names))


def _tag(selection: Selection) -> None:
    tag, chosen = st.session_state["map_tag"].strip(), selected(selection)
    if tag and chosen:
        _keep(selection, current_notes(selection).with_tag(tag, chosen))


def _remove_tag(selection: Selection, tag: str) -> None:
    st.session_state["map_tags"] = None
    _keep(selection, current_notes(selection).without_tag(tag))


def _keep_view(selection: Selection, view: View) -> None:
    name = st.session_state["map_view"].strip()
    if name:
        _keep(selection, current_notes(selection).with_view(name, view))


def _open(selection: Selection, view: View) -> None:
    """Sets the controls; what this data set or these models do not have is left as it is."""
    images = selection.opened.dataset.test
    if view.method in METHODS:
        st.session_state["map_method"] = view.method
    st.session_state["map_branch"] = view.branch or WHOLE
    if view.colouring in (*ask.colourings(images), ask.TAG):
        st.session_state["map_colour"] = view.colouring
    choose("query", view.query)
    select(selection, view.selected)


def _load(selection: Selection) -> None:
    """Takes up an uploaded file's notes, or says why not."""
    uploaded = st.session_state["map_upload"]
    if uploaded is None:
        st.session_state.pop("map_message", None)
        return
    opened = selection.opened
    try:
        found = read_notes(
            uploaded.getvalue(), uploaded.name, opened.dataset.name, opened.hash, {i.name for i in opened.dataset.test}
        )
    except DataError as error:
        st.session_state["map_message"] = ("refused", str(error))
        return
    _keep(selection, current_notes(selection).joined(found))
    st.session_state["map_message"] = (
        "loaded",
        f"{uploaded.name} is loaded. Tags: {len(found.tags):,}, views: {len(found.views):,}.",
    )
