"""A progress bar with the time left and a way to cancel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app.services import Report


@contextmanager
def progress(label: str, key: str) -> Iterator[Report]:
    """``with progress("Embedding the test images", "embed") as report: work(report)``; ``report(done, total)``.

    *Cancel* ends the work at its next report, since Streamlit gives up a page's run once something is clicked; what
    was done is lost unless the work itself keeps it. The page then says so and offers to start again, and what stands
    below is not drawn. The bar's place is kept whether work is left or not, so that nothing below moves.
    """
    place = st.empty()
    if st.session_state.get(f"{key}_cancelled"):
        with place.container(horizontal=True, vertical_alignment="center"):
            st.warning(f"{label}: cancelled.", icon=":material/cancel:")
            st.button("Start again", key=f"{key}_again", on_click=_set_cancelled, args=(key, False))
        st.stop()
    began, bar = time.monotonic(), None

    def report(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            row = place.container(horizontal=True, vertical_alignment="center")
            bar = row.empty()
            row.button("Cancel", key=f"{key}_cancel", on_click=_set_cancelled, args=(key, True))
        left = (time.monotonic() - began) / max(done, 1) * (total - done)
        bar.progress(done / total, f"{label}: about {left:.0f} s left")

    yield report
    place.empty()


def _set_cancelled(key: str, cancelled: bool) -> None:
    st.session_state[f"{key}_cancelled"] = cancelled
