"""Attention health of a network on the opened data set, for Attention and Graph."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from app.workbench import OpenedDataset, OpenedModel, Progress, places
from app.workbench.cache import cached, stored
from ssrnet.analysis.health_files import IMAGES, evenly_spaced, find_health, save_health
from ssrnet.data.records import VehicleImage
from ssrnet.errors import ResourceError
from ssrnet.model.health import AttentionHealth, HealthSums
from ssrnet.predictor import BATCH
from ssrnet.retrieval.feature_files import KEPT, feature_record


def health_images(data: OpenedDataset) -> list[VehicleImage]:
    """The images that are looked at, the same for every network."""
    return evenly_spaced(data.dataset.test, IMAGES)


def health(model: OpenedModel, progress_callback: Progress | None = None) -> AttentionHealth:
    """The stored health on :func:`health_images`, or else a new one, which is stored on the disk.

    ``progress_callback(done, total)`` is called after each batch; batches are cached.
    """
    images, record = health_images(model.data), feature_record(model.made_by(), model.data.dataset, model.data.hash)

    def find() -> AttentionHealth | None:
        return None if model.data.is_uploaded else find_health(places.feature_folders(), record)

    known = stored("health", (model.hash, model.data), find)
    if known is not None and known.images == len(images):
        return known
    sums = HealthSums()
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    for done, batch in enumerate(batches, start=1):
        sums.extend(cached("attention health", (model.hash, batch), lambda batch=batch: _sums(model, batch)))
        if progress_callback:
            progress_callback(done, len(batches))
    result = sums.result()
    if not model.data.is_uploaded:
        with suppress(ResourceError):  # a full or read-only disk only costs the next start
            save_health(places.ROOT / KEPT, result, record)
    return result


def _sums(model: OpenedModel, images: Sequence[VehicleImage]) -> HealthSums:
    """Without the cache of views, from which 24 images would evict those in view."""
    sums = HealthSums()
    for view in model.predictor.set_images(images):
        sums.add(view.trace)
    return sums
