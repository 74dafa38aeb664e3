"""Lecture mode: the page as a slide, without its sidebar, in large text, and led through by the arrow keys."""

from __future__ import annotations

import streamlit as st

from app.widgets.components import component, stylesheet

PRESENT = "present"
"""The mode in the URL, where it is on: ``present=1``."""
TOUR, STEP = "tour", "step"
"""In the URL, the guided tour that is open and its step, from 1."""
SWITCH = "lecture_switch"
SMALLEST_TEXT = 18
"""Pixels, as in ``lecture.css``."""
PREVIOUS, NEXT, LEAVE = "lecture_previous", "lecture_next", "lecture_leave"
"""Containers of what the left arrow, the right arrow and Esc click."""
HELP = (
    "For a projector: no sidebar, large text; the left and right arrow keys go back and on, from Start through the guided "
    "tours, or else through the pages. Esc leaves."
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
    """Leaves of the page only ``part`` (CSS) and alerts; the whole page where it has no such part."""
    kept = f".st-key-page_top, .stAlert, .stSpinner, {part}"
    block = ".stMainBlockContainer"
    # While the page is being drawn the part may be still to come.
    there = f":is({block} .stVerticalBlock:has({part}), [data-test-script-state=running] {block} > .stVerticalBlock)"
    st.html(f"<style>{there} > :not(:has({kept}), {kept}) {{ display: none; }}</style>")


def lecture_keys(view: str) -> None:
    """Lets the arrow keys click the bar's links in lecture mode and in tours, also before the bar is drawn."""
    tour = st.query_params.get(TOUR)
    if tour or presenting():
        _keys(data={"slide": f"{view} {tour} {st.query_params.get(STEP)}"}, key="lecture_keys")


def progress_line(slide: str, number: int, of: int) -> None:
    """The thin line of progress; ``slide`` tells the keys which bar this is, so it is drawn after the bar's links."""
    bounds = f'aria-valuemin="0" aria-valuenow="{number}" aria-valuemax="{of}"'
    st.html(
        f'{stylesheet("lecture_line")}<div class="lecture-line" role="progressbar" aria-label="Progress of the lecture" '
        f'{bounds} data-slide="{slide}"><div style="width: {100 * number / of:g}%"></div></div>'
    )


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
