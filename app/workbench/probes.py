"""What the Probes page shows, kept: embeddings of a data set's probes, and the maps of a mark that comes or goes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import streamlit as st
import torch
from PIL import Image

from app import workbench as base
from app.workbench import OpenedDataset, Report, Services, made_by
from app.workbench.recent import Recent
from ssrnet.data.images import read_image
from ssrnet.data.parts import AS_IT_IS, REMOVED, folder_of, part_names
from ssrnet.data.probes import ProbeSeries, probe_series
from ssrnet.data.records import VehicleImage
from ssrnet.errors import ResourceError
from ssrnet.explain.branch_cosines import branch_cosines, nearest_other
from ssrnet.explain.cam import CamSettings, each_branch, similarity_cam
from ssrnet.explain.faithfulness import in_image, region_share
from ssrnet.resources import resolve_device
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, extract
from ssrnet.retrieval.feature_files import Record, feature_record, find, keep, remove_oldest
from ssrnet.studies.explanations.sample import Pair, draw_pairs, size_of
from ssrnet.training.checkpoint import StoredCheckpoint

BATCH = 4
"""Images of a forward pass; small, so that the bar moves."""
WIDTH = 320
"""Of a painted photograph, in pixels."""


class MarkMaps(NamedTuple):
    """Grad-CAM of the likeness to the reference, with the mark and without it, and how much of it lies on the mark.

    with_mark, without_mark, change: (h, w, 3) uint8, maps over the photograph, the mark outlined; the first two in one
    range of colours. share: of the map with the mark, and change: of what removing it changes, on the mark's pixels.
    area: the mark's share of the photograph, which is what a map that knows nothing would give.
    """

    with_mark: np.ndarray
    without_mark: np.ndarray
    change: np.ndarray
    share: float
    change_share: float
    area: float


def series(opened: OpenedDataset) -> list[ProbeSeries]:
    """The data set's series; read anew when ``probes.csv`` changes."""
    folder = folder_of(opened.dataset)
    return _series(str(folder), base._stamp(folder / "probes.csv"), opened)


def pairs(opened: OpenedDataset) -> dict[str, Pair]:
    """Captures with and without a mark, each with its reference, by vehicle and mark; as the explanations study's."""
    folder = folder_of(opened.dataset)
    return _pairs(opened.hash, str(folder), base._stamp(folder / "probes.csv"), opened)


def pair_images(drawn: Iterable[Pair]) -> list[VehicleImage]:
    """All photographs of the pairs and their references, each once."""
    images = [image for pair in drawn for image in (*pair.probe.photographs.values(), pair.reference)]
    return list({image.name: image for image in images}.values())


def stored(
    checkpoint: StoredCheckpoint, opened: OpenedDataset, name: str, images: Sequence[VehicleImage]
) -> FeatureSet | None:
    """Embeddings of these probes from memory or from the disk; None where there are none yet."""
    store, record = _store(), _record(checkpoint, opened, name, images)
    key = (checkpoint.hash, opened.hash, record["probes"])
    features = store.get(key)
    if features is None:
        features = find([base.ROOT / base.SHIPPED_FEATURES, base.ROOT / base.KEPT_FEATURES], record)
        if features is not None:
            store.add(key, features)
    return features


def embeddings(
    services: Services,
    checkpoint: StoredCheckpoint,
    opened: OpenedDataset,
    name: str,
    images: Sequence[VehicleImage],
    report: Report,
) -> FeatureSet:
    """Stored embeddings of these probes, or else new ones, which are kept; ``report`` hears of every batch."""

    def reporting(batches: Iterable, total: int) -> Iterable:
        for done, batch in enumerate(batches):
            report(done, total)
            yield batch

    features = stored(checkpoint, opened, name, images)
    if features is not None:
        return features
    with _extracting():
        features = stored(checkpoint, opened, name, images)  # which another session may have made meanwhile
        if features is None:
            features = extract(
                services.model(checkpoint),
                images,
                ExtractSettings(batch_size=BATCH),
                checkpoint.info.image_size,
                resolve_device(),
                progress=reporting,
            ).rounded()
            record = _record(checkpoint, opened, name, images)
            _store().add((checkpoint.hash, opened.hash, record["probes"]), features)
            with suppress(ResourceError, OSError):  # a full or read-only disk only costs the next start
                keep(base.ROOT / base.KEPT_FEATURES, features, record)
                remove_oldest(base.ROOT / base.KEPT_FEATURES, base.MOST_KEPT)
    return features


def other_vehicle(
    services: Services, checkpoint: StoredCheckpoint, opened: OpenedDataset, features: FeatureSet, image: VehicleImage
) -> float | None:
    """The likeness of ``image`` to the most similar other vehicle in the gallery, where its embeddings are there."""
    gallery = services.stored_features(checkpoint, opened)
    if gallery is None:
        return None
    embedding = features.features[features.names.index(image.name)]
    return nearest_other(gallery, opened.dataset.gallery, image.vehicle_id, embedding)


def pair_cosines(services: Services, checkpoint: StoredCheckpoint, pair: Pair) -> dict[str, dict[str, float]]:
    """Branch -> change -> cosine to the reference."""
    images = pair_images([pair])
    stamps = tuple((str(image.path), base._stamp(image.path)) for image in images)
    return _pair_cosines(checkpoint.hash, stamps, services, checkpoint, pair)


def mark_maps(
    services: Services, checkpoint: StoredCheckpoint, opened: OpenedDataset, pair: Pair, branch: str, method: str
) -> MarkMaps:
    """Where one branch, or all, sees the likeness to the reference, with and without the mark."""
    images = pair_images([pair])
    stamps = tuple((str(image.path), base._stamp(image.path)) for image in images)
    return _mark_maps(checkpoint.hash, stamps, branch, method, services, checkpoint, opened, pair)


def _record(checkpoint: StoredCheckpoint, opened: OpenedDataset, name: str, images: Sequence[VehicleImage]) -> Record:
    digest = hashlib.sha256()  # the data set's own hash does not cover its probes
    for image in images:
        digest.update(f"{image.name}\0{base._stamp(image.path)[1]}\n".encode(errors="surrogateescape"))
    record = feature_record(made_by(checkpoint), opened.dataset, opened.hash, f"probes {name}")
    return record | {"probes": digest.hexdigest()[:16]}


def _outlined(photograph: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The photograph with a white line around ``region``, and a black one around that."""
    drawn = photograph.copy()
    white = _grown(region)
    drawn[_grown(white) & ~white] = 0
    drawn[white & ~region] = 255
    return drawn


def _grown(region: np.ndarray) -> np.ndarray:
    """``region`` and the pixels that touch it."""
    padded = np.pad(region, 1)
    h, w = region.shape
    shifts = [padded[y : y + h, x : x + w] for y in range(3) for x in range(3)]
    return np.logical_or.reduce(shifts)


@st.cache_resource
def _store() -> Recent:
    return Recent(most=64)


@st.cache_resource
def _extracting() -> threading.Lock:
    return threading.Lock()


@st.cache_data(max_entries=4, show_spinner=False)
def _series(folder: str, stamp: tuple, _opened: OpenedDataset) -> list[ProbeSeries]:
    return probe_series(folder_of(_opened.dataset))


@st.cache_data(max_entries=4, show_spinner="Reading the probes' masks")
def _pairs(dataset_hash: str, folder: str, stamp: tuple, _opened: OpenedDataset) -> dict[str, Pair]:
    drawn = draw_pairs(_opened.dataset, count=1_000_000, seed=0)
    by_name = {f"{pair.vehicle} · {pair.probe.mark}": pair for pair in drawn}
    return dict(sorted(by_name.items()))


@st.cache_data(max_entries=256, show_spinner=False)
def _pair_cosines(
    checkpoint_hash: str, stamps: tuple, _services: Services, _checkpoint: StoredCheckpoint, _pair: Pair
) -> dict[str, dict[str, float]]:
    model, photographs = _services.model(_checkpoint), _pair.probe.photographs
    images = [*photographs.values(), _pair.reference]
    with torch.no_grad():
        rows = [model.head(_services.feature_map(_checkpoint, image)).embedding()[0] for image in images]
    features = FeatureSet(torch.stack(rows).cpu(), tuple(image.name for image in images), model.branch_dims)
    found = branch_cosines(features, _pair.reference.name)
    return {branch: dict(zip(photographs, map(float, values))) for branch, values in found.items()}


@st.cache_data(max_entries=64, show_spinner=False)
def _mark_maps(
    checkpoint_hash: str,
    stamps: tuple,
    branch: str,
    method: str,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _opened: OpenedDataset,
    _pair: Pair,
) -> MarkMaps:
    from ssrnet.explain.overlay import overlay

    model, photographs = _services.model(_checkpoint), _pair.probe.photographs
    embedding = each_branch(model)[branch]
    seen = {change: _services.feature_map(_checkpoint, photographs[change]) for change in (AS_IT_IS, REMOVED)}
    with torch.no_grad():
        reference = model.head(_services.feature_map(_checkpoint, _pair.reference)).embedding(embedding)
    size = size_of(photographs[AS_IT_IS])
    region = _pair.probe.region(AS_IT_IS, size, part_names(folder_of(_opened.dataset)) or ())
    maps = {
        change: in_image(similarity_cam(model, own, reference, embedding, CamSettings(method))[0], size, own.theta)
        for change, own in seen.items()
    }
    here, gone = maps[AS_IT_IS], maps[REMOVED]
    change = np.abs(here - gone)
    shown = (round(size[0] * WIDTH / size[1]), WIDTH)
    mark = np.asarray(Image.fromarray(region).resize(shown[::-1], Image.Resampling.NEAREST))

    def paint(change_of: str, heatmap: np.ndarray, most: float) -> np.ndarray:
        photograph = read_image(photographs[change_of].path).resize(shown[::-1], Image.Resampling.BICUBIC)
        stretched = np.asarray(Image.fromarray(heatmap / most if most > 0 else heatmap).resize(shown[::-1]))
        return _outlined(overlay(np.asarray(photograph), np.clip(stretched, 0, 1)), mark)

    most = float(max(here.max(), gone.max()))
    return MarkMaps(
        paint(AS_IT_IS, here, most),
        paint(REMOVED, gone, most),
        paint(AS_IT_IS, change, float(change.max())),
        region_share(here, region),
        region_share(change, region),
        float(region.mean()),
    )
