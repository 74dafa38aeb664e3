"""Features and evaluations of the models; what is not stored yet is computed behind a progress bar."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from app.widgets.progress import run_with_progress
from app.workbench import OpenedModel, RankingOptions
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.extraction import FeatureSet


def evaluations(models: Iterable[OpenedModel], options: RankingOptions = RankingOptions()) -> dict[str, Evaluation]:
    """Each model's evaluation under the chosen protocol, by row title."""
    models = list(models)
    ensure_features(models, options)
    return {
        model.title: run_with_progress(
            f"Re-ranking with {model.title}", f"re_rank_{at}", partial(model.evaluation, options)
        )
        for at, model in enumerate(models)
    }


def ensure_features(models: Iterable[OpenedModel], options: RankingOptions = RankingOptions()) -> dict[str, FeatureSet]:
    """Each model's embeddings of the data set's test images, by row title."""
    mirrored = " and their mirror images" if options.flip_test else ""
    return {
        model.title: run_with_progress(
            f"Embedding the test images{mirrored} with {model.title}",
            f"{'flip' if options.flip_test else 'embed'}_{at}",
            partial(model.features, settings=options.extraction),
        )
        for at, model in enumerate(models)
    }
