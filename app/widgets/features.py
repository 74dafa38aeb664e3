"""Evaluations of the models; features that are not there yet are computed behind a progress bar."""

from __future__ import annotations

from collections.abc import Mapping

from app.widgets.progress import run_with_progress
from app.widgets.source import Selection
from app.workbench import Model, Services
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.extraction import FeatureSet


def evaluations(
    services: Services, selection: Selection, models: Mapping[str, Model] | None = None
) -> dict[str, Evaluation]:
    """Each model's evaluation under the chosen protocol, by row title; of the two networks where ``models`` is None."""
    models = selection.models if models is None else models
    ensure_features(services, selection, models)
    return {title: services.evaluation(model, selection.opened, selection.protocol) for title, model in models.items()}


def ensure_features(
    services: Services, selection: Selection, models: Mapping[str, Model] | None = None
) -> dict[str, FeatureSet]:
    """Each model's embeddings of the data set's test images, by row title; ``models`` as in :func:`evaluations`."""
    models = selection.models if models is None else models
    return {title: _features(services, selection, title, model, at) for at, (title, model) in enumerate(models.items())}


def _features(services: Services, selection: Selection, title: str, model: Model, at: int) -> FeatureSet:
    label = f"Embedding the test images with {title}"
    return run_with_progress(label, f"embed_{at}", lambda report: services.features(model, selection.opened, report))
