"""The viewer's uploads as a data set: the button that opens them, and what stands in the sidebar while they are open."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.widgets.problems import GO_TO
from app.workbench import places
from app.workbench.uploaded_data import close_uploads, is_uploaded, open_uploads, opened_uploads, uploads_now
from ssrnet.data.uploaded_set import NAME

BEFORE = "data_before_uploads"
"""The session state's key for what the sidebar named before, as ``data`` and ``layout``."""
FEWEST = 2
"""Pictures of which one can be ranked for the other."""


def offer_uploads(key: str, leads_to: str | None = None) -> None:
    """A button that opens this session's uploads as a data set, where there are others than are open.

    leads_to: the page that it opens them on; by default the present one.
    """
    opened, named = opened_uploads(), is_uploaded(st.session_state.get("data"))
    uploads = uploads_now()
    if (
        uploads is None
        or len(uploads.dataset.gallery) < FEWEST
        or (named and (not opened or opened.hash == uploads.hash))
    ):
        return
    st.button(
        f"Open your {len(uploads.dataset.gallery):,} pictures as a data set",
        key=key,
        icon=":material/photo_library:",
        on_click=_open,
        args=(leads_to,),
        help="All that you have uploaded, in this session's memory alone: every page then shows them, without labels.",
    )


def uploads_caption() -> None:
    """What is open, for how long, and the way back."""
    if opened_uploads() or uploads_now():
        st.caption(
            "Pictures that you have uploaded, in this session's memory alone: nobody else sees them, and they are gone once this tab "
            "is closed or reloaded."
        )
    before = st.session_state.get(BEFORE) or {"data": places.demo().get("data"), "layout": None}
    if before["data"]:
        name, back = Path(before["data"]).name, {"on_click": st.session_state.update, "args": (before,)}
        st.button(f"Back to {name}", key="close_uploads", icon=":material/arrow_back:", **back)


def _open(leads_to: str | None) -> None:
    close_uploads()
    open_uploads()
    if not is_uploaded(st.session_state.get("data")):
        st.session_state[BEFORE] = {key: st.session_state.get(key) for key in ("data", "layout")}
    st.session_state.update({"data": NAME, "layout": None} | ({GO_TO: leads_to} if leads_to else {}))
