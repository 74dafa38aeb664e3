"""Brings a panel into view when it opens, below what it belongs to, and closes it when Escape is pressed."""

from __future__ import annotations

from app.widgets.components import component

_component = component("open_panel")


def open_panel(panel: str, close: str, opened: str) -> None:
    """``panel`` and ``close`` are the keys of its container and of its button; it comes into view once for each ``opened``."""
    _component(data={"panel": panel, "close": close, "opened": opened}, key=f"{panel}_opened")
