"""Links from one page to another that keep data, models and protocol."""

from __future__ import annotations

import streamlit as st

SOURCE = ("data", "baseline", "ssrnet", "third", "protocol", "seed", "n")
"""The sidebar's keys in the URL."""


def linked(**parameters: str) -> dict[str, str]:
    """The URL's parameters for ``st.page_link``: the sidebar's as they stand, and ``parameters``.

    ``st.switch_page`` takes ``parameters`` alone: it refuses those that widgets are bound to, and keeps them.
    """
    return {key: st.query_params[key] for key in SOURCE if key in st.query_params} | parameters
