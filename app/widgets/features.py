"""Features of both models, with a progress bar where they have to be computed first."""

from __future__ import annotations

import time

import streamlit as st

from app.services import Services
from app.widgets.source import Selection
from ssrnet.retrieval.evaluation import Evaluation


def evaluations(services: Services, selection: Selection) -> dict[str, Evaluation]:
    """Each model's evaluation under the chosen protocol, by row title."""
    place = st.empty()  # always, so that what stands below does not change its place once all is there
    for title, checkpoint in selection.models.items():
        if services.stored_features(checkpoint, selection.opened) is not None:
            continue
        began = time.monotonic()
        bar = place.progress(0.0, f"Embedding the test images with {title}")

        def report(done: int, total: int) -> None:
            left = (time.monotonic() - began) / done * (total - done)
            bar.progress(done / total, f"Embedding the test images with {title}: about {left:.0f} s left")

        services.features(checkpoint, selection.opened, report)
        place.empty()
    return {
        title: services.evaluation(checkpoint, selection.opened, selection.protocol)
        for title, checkpoint in selection.models.items()
    }
