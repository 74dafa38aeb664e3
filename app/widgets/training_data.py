"""Which of the shown test vehicles and cameras the models saw in training."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.workbench import OpenedDataset, Services
from ssrnet.training.checkpoint import StoredCheckpoint


def show_seen_in_training(services: Services, opened: OpenedDataset, models: Mapping[str, StoredCheckpoint]) -> None:
    """A warning where test vehicles were trained on, and a caption for what else is known; ``models`` by their titles.

    Models of which the same is true share a sentence. Nothing is drawn where the checkpoints do not say.
    """
    warnings: dict[str, list[str]] = {}
    notes: dict[str, list[str]] = {}
    for title, checkpoint in models.items():
        seen = services.seen_in_training(checkpoint, opened)
        if seen and seen.warning:
            warnings.setdefault(seen.warning, []).append(title)
        if seen and seen.note:
            notes.setdefault(seen.note, []).append(title)
    for text, titles in warnings.items():
        st.warning(f"**{' and '.join(titles)}**: {text}", icon=":material/warning:")
    for text, titles in notes.items():
        st.caption(f"**{' and '.join(titles)}**: {text}")
