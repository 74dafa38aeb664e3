"""Puts the keyboard's focus on a button once it is drawn, so that Enter presses it; Tab goes on from there."""

from __future__ import annotations

from app.widgets.components import component

_component = component("focus_button")


def focus_button(button: str, turn: str) -> None:
    """Focuses the button of the key ``button`` once for each ``turn``; Enter presses it also while nothing has the focus."""
    _component(data={"button": button, "turn": turn}, key=f"{button}_focus")
