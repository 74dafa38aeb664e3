"""The Gallery map's selection: in the session, in the URL where it is short enough, and as a filter on other pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import streamlit as st

from app.workbench import OpenedDataset
from app.workbench.selections import as_rows, as_text

SELECTED = "selected"
"""The URL's parameter, and the session state's key."""


@dataclass(frozen=True)
class Selection:
    """Names of images of one data set; ``text`` is what the URL has, "" for none, None where that would be too long."""

    dataset_hash: str
    names: tuple[str, ...] = ()
    text: str | None = ""


def selected(data: OpenedDataset) -> list[str]:
    """Names of the selected images: the session's, else the link's; none where they are another data set's."""
    selection = current_selection()
    if selection.dataset_hash != data.hash:
        images = data.dataset.test
        rows = as_rows(st.query_params.get(SELECTED, ""), len(images), data.hash) or []
        select(data, [images[row].name for row in rows])
    return list(current_selection().names)


def select(data: OpenedDataset, names: Iterable[str]) -> None:
    """Selects the images of these names."""
    names, images = tuple(names), data.dataset.test
    among = set(names)
    rows = [row for row, image in enumerate(images) if image.name in among]
    text = as_text(rows, len(images), data.hash) if rows else ""
    st.session_state[SELECTED] = Selection(data.hash, names, text)


def current_selection() -> Selection:
    """The selection in the opened data set; empty where nothing is selected."""
    return st.session_state.get(SELECTED, Selection(""))


def link_selection() -> bool:
    """Puts the selection into the URL, from which a menu's link drops it; False where it is too long for one."""
    text = current_selection().text
    if text:
        if st.query_params.get(SELECTED) != text:
            st.query_params[SELECTED] = text
    elif SELECTED in st.query_params:
        del st.query_params[SELECTED]
    return text is not None


def positions_in_selection(names: Sequence[str]) -> list[int]:
    """Positions of the selected ones among these names."""
    among = set(current_selection().names)
    return [at for at, name in enumerate(names) if name in among]
