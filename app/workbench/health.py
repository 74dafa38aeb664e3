"""Attention health of a checkpoint on the opened data set, for Attention and Graph; cached."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st
import torch

from app.workbench import OpenedDataset, Report, Services
from app.workbench.forward import forward, joined
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.model.health import AttentionHealth, HealthSums
from ssrnet.training.checkpoint import StoredCheckpoint

IMAGES = 24
"""Test images, evenly spaced, or all where there are fewer: some five seconds of two free cores a network."""
BATCH = 4
"""Images of a forward pass; small, so that the bar moves."""


def health_images(opened: OpenedDataset) -> list[VehicleImage]:
    """The images that are looked at, the same for every network."""
    test = opened.dataset.test
    return [test[i] for i in np.linspace(0, len(test) - 1, min(IMAGES, len(test)), dtype=int)]


def health(
    services: Services, checkpoint: StoredCheckpoint, opened: OpenedDataset, report: Report | None = None
) -> AttentionHealth:
    """The health on :func:`health_images`; ``report(done, total)`` is called after each batch, and batches are cached."""
    images, sums = health_images(opened), HealthSums()
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    for done, batch in enumerate(batches, start=1):
        keys = [(str(image.path), services.stamp(image)) for image in batch]
        sums.extend(_sums(checkpoint.hash, keys, services, checkpoint, batch))
        if report:
            report(done, len(batches))
    return sums.result()


@st.cache_resource(max_entries=64, show_spinner=False)
def _sums(
    checkpoint_hash: str,
    keys: list,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _images: Sequence[VehicleImage],
) -> HealthSums:
    """The sums of one batch. Its F_G stays out of the pages' cache, where 24 images would evict those in view."""
    model, sums = _services.model(_checkpoint), HealthSums()
    pictures = [read_image(image.path) for image in _images]
    with torch.no_grad():
        sums.add(model.head(joined(forward(model, pictures, _checkpoint.info.image_size))))
    return sums
