"""Attention health of a network on the opened data set, for Attention and Graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.workbench import OpenedDataset, OpenedModel, Progress
from app.workbench.cache import cached
from ssrnet.data.records import VehicleImage
from ssrnet.model.health import AttentionHealth, HealthSums
from ssrnet.predictor import BATCH

IMAGES = 24
"""Test images, evenly spaced, or all where there are fewer: some five seconds of two free cores a network."""


def health_images(data: OpenedDataset) -> list[VehicleImage]:
    """The images that are looked at, the same for every network."""
    test = data.dataset.test
    return [test[i] for i in np.linspace(0, len(test) - 1, min(IMAGES, len(test)), dtype=int)]


def health(model: OpenedModel, progress_callback: Progress | None = None) -> AttentionHealth:
    """The health on :func:`health_images`; ``progress_callback(done, total)`` after each batch. Batches are cached."""
    images, sums = health_images(model.data), HealthSums()
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    for done, batch in enumerate(batches, start=1):
        sums.extend(cached("attention health", (model.hash, batch), lambda batch=batch: _sums(model, batch)))
        if progress_callback:
            progress_callback(done, len(batches))
    return sums.result()


def _sums(model: OpenedModel, images: Sequence[VehicleImage]) -> HealthSums:
    """Without the cache of views, from which 24 images would evict those in view."""
    sums = HealthSums()
    for view in model.predictor.set_images(images):
        sums.add(view.trace)
    return sums
