"""Errors meant for the user, as pages and their fragments show them, and the folders that a viewer opens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitDuplicateElementKey

from app.workbench.roots import OutsideError, may_open, open_root
from ssrnet.errors import SSRNetError


def show_problem(error: SSRNetError) -> None:
    """The sentence; below one on a folder that is not open yet, a button that opens it."""
    st.error(str(error), icon=":material/error:")
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
