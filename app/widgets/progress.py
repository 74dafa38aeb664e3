"""A progress bar with the time left and a way to cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState

from app.workbench import Progress
from app.workbench.background import in_background

REDRAWN = 0.1
"""Seconds between two changes of a bar, however often the work reports."""
T = TypeVar("T")


def run_with_progress(label: str, key: str, work: Callable[[Progress], T]) -> T:
    """``work(progress_callback)`` in the background, behind a :func:`progress` bar that *Cancel* leaves within half a second.

    The bar appears once the work has taken :data:`app.workbench.background.TICK` seconds.
    """
    with progress(label, key) as progress_callback:
        return in_background(work, progress_callback)


@contextmanager
def progress(label: str, key: str) -> Iterator[Progress]:
    """``with progress("Drawing the map", "map") as progress_callback: work(progress_callback)``.

    *Cancel* ends the work at its next call of ``progress_callback(done, total)``, at least one a second; work that calls less often
    belongs in :func:`run_with_progress`. What was done is lost unless the work itself keeps it. The page then says
    so and offers to start again, and what stands below is not drawn. The bar's place is kept whether work is left or
    not, so that nothing below moves. An error in the work removes the bar and the button.
    """
    place = st.empty()
    if st.session_state.get(f"{key}_cancelled"):
        with place.container(horizontal=True, vertical_alignment="center"):
            st.warning(f"{label}: cancelled.", icon=":material/cancel:")
            _whole_page_button(st, "Start again", f"{key}_again", key, False)
        st.stop()
    began, bar, drawn = time.monotonic(), None, 0.0

    def progress_callback(done: int, total: int) -> None:
        nonlocal bar, drawn
        now = time.monotonic()
        if bar is None:
            row = place.container(horizontal=True, vertical_alignment="center")
            bar = row.empty()
            _whole_page_button(row, "Cancel", f"{key}_cancel", key, True)
        elif now - drawn < REDRAWN:
            return
        drawn = now
        left = f": about {(now - began) / done * (total - done):.0f} s left" if done else ""
        bar.progress(done / total, label + left)

    try:
        yield progress_callback
    except Exception:  # Streamlit's own, which end a run, are none: the next run redraws the place
        place.empty()
        raise
    place.empty()


def _whole_page_button(place: object, label: str, button: str, key: str, cancelled: bool) -> None:
    """A button that reruns the whole page, even from within a fragment.

    Streamlit lets a run that is under way finish before it runs a fragment for a click, so a fragment's own button
    could not end it; a click that asks for the whole page ends it at once.
    """
    with ThreadState.scoped(fragment_id=None):
        place.button(label, key=button, on_click=_set_cancelled, args=(key, cancelled))


def _set_cancelled(key: str, cancelled: bool) -> None:
    st.session_state[f"{key}_cancelled"] = cancelled
