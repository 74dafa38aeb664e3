"""Evaluations of both models; features that are not there yet are computed behind a progress bar."""

from __future__ import annotations

from app.services import Services
from app.widgets.progress import progress
from app.widgets.source import Selection
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.extraction import FeatureSet


def evaluations(services: Services, selection: Selection) -> dict[str, Evaluation]:
    """Each model's evaluation under the chosen protocol, by row title."""
    ensure_features(services, selection)
    return {
        title: services.evaluation(checkpoint, selection.opened, selection.protocol)
        for title, checkpoint in selection.models.items()
    }


def ensure_features(services: Services, selection: Selection) -> dict[str, FeatureSet]:
    """Each model's embeddings of the data set's test images, by row title."""
    return {
        title: _features(services, selection, title, at) for at, title in enumerate(selection.models)
    }


def _features(services: Services, selection: Selection, title: str, at: int) -> FeatureSet:
    checkpoint = selection.models[title]
    with progress(f"Embedding the test images with {title}", f"embed_{at}") as report:
        return services.features(checkpoint, selection.opened, report)
