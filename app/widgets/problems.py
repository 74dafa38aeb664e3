"""Errors meant for the user, as pages and their fragments show them, and the folders that a viewer opens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitDuplicateElementKey

from app.workbench import places
from app.workbench.opening import UnreadableError
from app.workbench.roots import OutsideError, may_open, open_root
from ssrnet.data.datasets import Ways
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import SSRNetError

READ_AS = {"Folders": "Read as one folder a vehicle", "unlabelled": "Read as images without labels"}
"""Buttons by the layout that they name."""
GO_TO = "go_to"
"""The session state's key for a page that a button leads to, since what it sets stands in the sidebar."""


def show_problem(error: SSRNetError) -> None:
    """The sentence; below one on a folder that is not open yet, or is no data set as it is, buttons for what can be done."""
    st.error(str(error), icon=":material/error:")
    if isinstance(error, UnreadableError):
        with suppress(StreamlitDuplicateElementKey):
            _other_ways(error.ways)
    if isinstance(error, OutsideError) and may_open():
        with suppress(StreamlitDuplicateElementKey):  # another part of the page offers the same
            st.button(
                "Open this folder",
                key=f"open_root_{error.folder}",
                icon=":material/folder_open:",
                on_click=open_root,
                args=(error.folder,),
                help=str(error.folder).replace("`", "'").join("``"),
            )


def show_reading(dataset: ReIDDataset) -> None:
    """What a folder was taken for that no name tells, and both ways to read it, of which one is then named in *Read as*."""
    if dataset.reading is None:
        return
    st.info(f"{dataset.reading.taken_for} {dataset.reading.otherwise}.", icon=":material/folder_open:")
    with st.container(horizontal=True):
        for layout, label in (
            (dataset.reading.layout, READ_AS[dataset.reading.layout]),
            (dataset.layout, "That is right"),
        ):
            choose = {"on_click": st.session_state.update, "args": ({"layout": layout},)}
            st.button(label, key=f"read_as_{layout}", **choose)


def _other_ways(ways: Ways) -> None:
    """A button for each way in which the path can be read, and the page that takes pictures without one."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if ways.inner:
            choose = {"on_click": st.session_state.update, "args": ({"data": str(ways.inner), "layout": None},)}
            st.button(f"Open {ways.inner.name}", key="open_inner", icon=":material/folder_open:", **choose)
        for layout in ways.layouts:
            choose = {"on_click": st.session_state.update, "args": ({"layout": layout},)}
            st.button(READ_AS[layout], key=f"read_as_{layout}", icon=":material/photo_library:", **choose)
        demo = places.demo().get("data")  # that page needs a data set too, beside the pictures
        if demo:
            choose = {"on_click": st.session_state.update, "args": ({"data": demo, "layout": None, GO_TO: "images"},)}
            st.button("Upload pictures on Your images", key="upload_instead", icon=":material/upload:", **choose)


def fragment(draw: Callable[..., object], run_every: float | None = None) -> Callable[..., object]:
    """``st.fragment`` in which an error meant for the user takes the part's place, as it does a page's."""

    @wraps(draw)
    def guarded(*arguments: object, **named: object) -> object:
        try:
            return draw(*arguments, **named)
        except SSRNetError as error:
            return show_problem(error)

    return st.fragment(guarded, run_every=run_every)


def open_typed(key: str) -> None:
    """For a field's ``on_change``, which a link does not call: who types a path at this computer means that folder."""
    value = st.session_state[key]
    for path in value if isinstance(value, list) else [value]:
        if path:
            open_root(path)


def choose_path(
    label: str, offered: Sequence[str], key: str, default: str | None = None, place: Any = st
) -> str | None:
    """One of the offered paths, the URL's, or one that is typed in."""
    linked = st.query_params.get(key)
    options = list(dict.fromkeys([*offered, *([] if linked is None else [linked])]))
    return place.selectbox(
        label,
        options,
        index=options.index(default) if default in options else None,
        key=key,
        bind="query-params",
        accept_new_options=True,
        placeholder="choose one, or type a path",
        on_change=open_typed,
        args=(key,),
    )
