"""The *Explain* panel at the foot of a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st


def explain(equations: Sequence[str], look_for: str, functions: Sequence[Callable | type]) -> None:
    """What the page shows: its equations (LaTeX), what to look for (Markdown), and which functions compute it."""
    with st.expander("Explain", icon=":material/help:"):
        for equation in equations:
            st.latex(equation)
        st.markdown(look_for)
        names = ", ".join(f"`{function.__module__}.{function.__qualname__}`" for function in functions)
        st.caption(f"Computed by {names}.")
