"""What stands in place of a part that needs to know which images show the same vehicle, where nobody has said so."""

from __future__ import annotations

import streamlit as st

from app.widgets.page import VIEWS, page_link

LABEL = "label"
"""The page on which the viewer marks them."""


def needs_labels(what: str) -> None:
    """One sentence, and the way to the labels; ``what`` begins it: "A score"."""
    st.info(
        f"{what} needs to know which images show the same vehicle, and nobody has said so of this data set.",
        icon=":material/label_off:",
    )
    if LABEL in VIEWS:
        page_link(LABEL, "Label these images")
