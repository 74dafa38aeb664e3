"""Which of the shown test vehicles and cameras the models saw in training."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from app.workbench import OpenedModel


def show_seen_in_training(models: Iterable[OpenedModel]) -> None:
    """A warning where test vehicles were trained on, and a caption for what else is known.

    Models of which the same is true share a sentence. Nothing is drawn where the checkpoints do not say.
    """
    warnings: dict[str, list[str]] = {}
    notes: dict[str, list[str]] = {}
    for model in models:
        seen = model.seen_in_training
        if seen and seen.warning:
            warnings.setdefault(seen.warning, []).append(model.title)
        if seen and seen.note:
            notes.setdefault(seen.note, []).append(model.title)
    for text, titles in warnings.items():
        st.warning(f"**{' and '.join(titles)}**: {text}", icon=":material/warning:")
    for text, titles in notes.items():
        st.caption(f"**{' and '.join(titles)}**: {text}")
