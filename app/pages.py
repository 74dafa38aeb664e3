"""The page registry, which every run of a page starts with."""

import sys
from pathlib import Path

import streamlit as st

# Streamlit puts this file's folder on the path; the packages `app` and `ssrnet` stand one above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.widgets.page import VIEWS, as_page  # noqa: E402

st.set_page_config(page_title="SSR-Net Explorer", page_icon="🚗", layout="wide")
st.navigation([as_page(view) for view in VIEWS], expanded=True).run()
