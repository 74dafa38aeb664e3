"""Lecture mode: the page as a slide, without its sidebar, in large text, and led through by the arrow keys."""

from __future__ import annotations

import streamlit as st

from app.widgets.components import component, stylesheet

PRESENT = "present"
"""The mode in the URL, where it is on: ``present=1``."""
SWITCH = "lecture_switch"
PREVIOUS, NEXT, LEAVE = "lecture_previous", "lecture_next", "lecture_leave"
"""Containers of what the left arrow, the right arrow and Esc click."""
HELP = (
    "For a projector: no sidebar, large text; the left and right arrow keys go back and on, through a guided tour (see "
    "Start) or else through the pages. Esc leaves."
)

LECTURE_STYLE = stylesheet("lecture")
_keys = component("lecture_keys")


def presenting() -> bool:
    return st.query_params.get(PRESENT) == "1"


def lecture_switch() -> None:
    """The switch in the sidebar."""
    st.session_state[SWITCH] = presenting()  # the URL decides, from any page
    st.toggle("Lecture mode", key=SWITCH, on_change=_present, help=HELP)


def show_only(part: str) -> None:
    """Leaves of the page only what holds ``part`` (CSS), and alerts; the whole page where nothing does."""
    kept = f".st-key-page_top, .stAlert, .stSpinner, {part}"
    block = ".stMainBlockContainer"
    # While the page is being drawn the part may be still to come.
    there = f":is({block}:has({part}), [data-test-script-state=running] {block})"
    st.html(f"<style>{there} > .stVerticalBlock > :not(:has({kept}), {kept}) {{ display: none; }}</style>")


def lecture_keys(number: int, of: int) -> None:
    """The thin line of progress, and the keys, which click what stands in the bar."""
    _keys(data={"number": number, "of": of}, key="lecture_keys")


def leave_button() -> None:
    """Ends the mode, on the page as it is."""
    st.button("Leave", icon=":material/close:", key=LEAVE, type="tertiary", help="Esc", on_click=_leave)


def _present() -> None:
    if st.session_state[SWITCH]:
        st.query_params[PRESENT] = "1"
    else:
        _leave()


def _leave() -> None:
    st.query_params.pop(PRESENT, None)
