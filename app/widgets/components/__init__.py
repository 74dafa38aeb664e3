"""Parts of pages that run a script in the browser: a ``.py``, ``.js``, ``.css`` and ``.html`` file each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

FOLDER = Path(__file__).parent


def component(name: str) -> Callable:
    """The Streamlit component of the files ``name.html``, ``name.css`` and ``name.js``, mounted by calling it."""
    html, css, js = ((FOLDER / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return st.components.v2.component(name, html=html, css=css, js=js)


def stylesheet(name: str) -> str:
    """``name.css`` as a style element, for HTML without a script."""
    return f"<style>{(FOLDER / f'{name}.css').read_text(encoding='utf-8')}</style>"
