"""Parts of a page that rerun by themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import streamlit as st

from app.widgets.problems import show_problem
from ssrnet.errors import SSRNetError


def fragment(draw: Callable[..., object], run_every: float | None = None) -> Callable[..., object]:
    """``st.fragment`` in which an error meant for the user takes the part's place, as it does a page's."""

    @wraps(draw)
    def guarded(*arguments: object, **named: object) -> object:
        try:
            return draw(*arguments, **named)
        except SSRNetError as error:
            return show_problem(error)

    return st.fragment(guarded, run_every=run_every)
