"""Probes of the opened data set: their embeddings, and the maps of a mark that comes or goes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress

import torch

from app.workbench import OpenedDataset, OpenedModel, Progress, places
from app.workbench.cache import cached, stored
from app.workbench.places import file_stamp
from app.workbench.progress import counted
from ssrnet.data.parts import folder_of, part_names
from ssrnet.data.probes import AS_IT_IS, REMOVED, ProbeSeries, probe_series
from ssrnet.data.records import VehicleImage
from ssrnet.errors import ResourceError
from ssrnet.explain.branch_cosines import branch_cosines, nearest_other
from ssrnet.predictor import BATCH
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, extract
from ssrnet.retrieval.feature_files import (
    KEPT,
    MOST_KEPT,
    Record,
    feature_record,
    find_features,
    remove_oldest,
    save_features,
)
from ssrnet.studies.explanations.mark_maps import MarkMaps
from ssrnet.studies.explanations.mark_maps import mark_maps as compute_maps
from ssrnet.studies.explanations.sample import Pair, draw_pairs


def series(data: OpenedDataset) -> list[ProbeSeries]:
    """The data set's series; read again when ``probes.csv`` changes."""
    folder = folder_of(data.dataset)
    return cached("probe series", folder / "probes.csv", lambda: probe_series(folder), 4)


def pairs(data: OpenedDataset) -> dict[str, Pair]:
    """Captures with and without a mark, each with its reference, by vehicle and mark; as the explanations study's."""

    def draw() -> dict[str, Pair]:
        drawn = draw_pairs(data.dataset, count=1_000_000, seed=0)
        return dict(sorted({f"{pair.vehicle} · {pair.probe.mark}": pair for pair in drawn}.items()))

    key = data, folder_of(data.dataset) / "probes.csv"
    return cached("mark pairs", key, draw, 4, "Reading the probes' masks")


def pair_images(drawn: Iterable[Pair]) -> list[VehicleImage]:
    """All photographs of the pairs and their references, each once."""
    images = [image for pair in drawn for image in pair.images]
    return list({image.name: image for image in images}.values())


def stored_embeddings(model: OpenedModel, name: str, images: Sequence[VehicleImage]) -> FeatureSet | None:
    """Embeddings of these probes from memory or from the disk; None where there are none yet."""
    key = _key(model, name, images)
    return stored("probe embeddings", key, lambda: _on_disk(_record(model, name, images)))


def embeddings(
    model: OpenedModel, name: str, images: Sequence[VehicleImage], progress_callback: Progress | None = None
) -> FeatureSet:
    """Stored embeddings of these probes, or else new ones, which are kept on the disk."""
    record = _record(model, name, images)

    def make() -> FeatureSet:
        on_disk = _on_disk(record)
        if on_disk is not None:
            return on_disk
        features = extract(
            model.network,
            images,
            ExtractSettings(batch_size=BATCH),
            model.predictor.image_size,
            model.predictor.device,
            progress=counted(progress_callback),
        ).rounded()
        folder = places.ROOT / KEPT
        with suppress(ResourceError, OSError):  # a full or read-only disk only costs the next start
            save_features(folder, features, record)
            remove_oldest(folder, MOST_KEPT)
        return features

    return cached("probe embeddings", _key(model, name, images), make)


def nearest_other_vehicle(model: OpenedModel, features: FeatureSet, image: VehicleImage) -> float | None:
    """The likeness of ``image`` to the most similar other vehicle in the gallery, where its embeddings are stored."""
    gallery = model.stored_features()
    if gallery is None:
        return None
    embedding = features.features[features.names.index(image.name)]
    return nearest_other(gallery, model.data.dataset.gallery, image.vehicle_id, embedding)


def pair_cosines(model: OpenedModel, pair: Pair) -> dict[str, dict[str, float]]:
    """Branch -> change -> cosine to the reference."""

    def compute() -> dict[str, dict[str, float]]:
        rows = torch.stack([view.embedding() for view in model.views(pair.images)])
        names = tuple(image.name for image in pair.images)
        cosines = branch_cosines(FeatureSet(rows, names, model.network.branch_dims), pair.reference.name)
        return {branch: dict(zip(pair.probe.photographs, row.tolist())) for branch, row in cosines.items()}

    return cached("pair cosines", (model.hash, pair.images), compute, 256)


def mark_maps(model: OpenedModel, pair: Pair, branch: str, method: str) -> MarkMaps:
    """Where one branch, or all, sees the likeness to the reference, with and without the mark."""

    def compute() -> MarkMaps:
        photographs = pair.probe.photographs
        views = model.views([photographs[AS_IT_IS], photographs[REMOVED], pair.reference])
        names = part_names(folder_of(model.data.dataset)) or ()
        return compute_maps(pair, *views, names, branch, method)

    return cached("mark maps", (model.hash, pair.images, branch, method), compute)


def _key(model: OpenedModel, name: str, images: Sequence[VehicleImage]) -> tuple:
    return model.hash, model.data, name, images


def _on_disk(record: Record) -> FeatureSet | None:
    return find_features(places.feature_folders(), record)


def _record(model: OpenedModel, name: str, images: Sequence[VehicleImage]) -> Record:
    digest = hashlib.sha256()  # the data set's hash does not cover its probes
    for image in images:
        digest.update(f"{image.name}\0{file_stamp(image.path)[1]}\n".encode(errors="surrogateescape"))
    record = feature_record(model.made_by(), model.data.dataset, model.data.hash, f"probes {name}")
    return record | {"probes": digest.hexdigest()[:16]}
