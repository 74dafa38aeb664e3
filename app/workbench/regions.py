"""What the Regions page shows, kept: traces and cosines at a lambda, the gallery at each, and metrics over lambda."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st

from app import workbench as base
from app.workbench import OpenedDataset, Report, Services, made_by
from ssrnet.data.protocols import Protocol, Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError, ResourceError
from ssrnet.explain.gallery_graphs import EditedFeatures, GalleryGraphs, distinct_ratios, extract_graphs, joined
from ssrnet.explain.graph import EditLabel, GraphEdit, edit_label, edit_trace, rank_edited_query
from ssrnet.explain.overlaps import ratio_at_boxes
from ssrnet.explain.relations import RegionCosines, region_cosines, smoothness
from ssrnet.explain.shares import BranchFeatures
from ssrnet.model import SSRNet, Trace
from ssrnet.model.regions import region_boxes
from ssrnet.retrieval.evaluation import Evaluation, evaluate
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.feature_files import Record, feature_record, file_name, remove_oldest
from ssrnet.retrieval.ranking import Hit, Ranking
from ssrnet.training.checkpoint import StoredCheckpoint

KEPT_GRAPHS, SUFFIX = "runs/graphs", ".graphs"
"""Not .safetensors: such files below runs/ are offered as checkpoints."""
MOST_KEPT = 2 * 2**30
"""Bytes of gallery graphs kept on the disk: some 80 times the demo's, or 4 times VeRi-776's."""
LEAST_RATIO = 1 / 8
"""The smallest of the paper's Fig. 4."""


PART, BATCH = 32, 4
"""Images of the gallery after which an interrupted pass goes on, and in one forward pass."""


@dataclass
class GraphStore:
    """The last gallery's graphs in memory, or as far as a pass has come. ``making``: one at a time, on all cores."""

    key: tuple | None = None
    graphs: GalleryGraphs | None = None
    parts: list[GalleryGraphs] = field(default_factory=list)
    making: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, key: tuple) -> list[GalleryGraphs]:
        """What there is of the graphs of ``key``; another gallery's make room."""
        if self.key != key:
            self.key, self.graphs, self.parts = key, None, []
        return self.parts

    def finish(self, graphs: GalleryGraphs) -> GalleryGraphs:
        self.graphs, self.parts = graphs, []
        return graphs


class RankedAt(NamedTuple):
    """One query's gallery at a lambda: the hits up to ``top_k``, the first hit's rank (0: none), AP, and its label."""

    hits: list[Hit]
    first_hit: int
    average_precision: float
    label: EditLabel


def split(opened: OpenedDataset, protocol: Protocol) -> Split:
    """Queries and gallery, which a shot protocol draws anew each time it is asked."""
    return _split(opened.hash, str(opened.dataset.root), protocol, opened)


def trace(services: Services, checkpoint: StoredCheckpoint, image: VehicleImage) -> Trace:
    """The image's trace at the network's own lambda."""
    model, stamp = services.model(checkpoint), base._stamp(image.path)
    return _trace(checkpoint.hash, str(image.path), stamp, model, services, checkpoint, image)


def cosines(
    services: Services, checkpoint: StoredCheckpoint, image: VehicleImage, other: VehicleImage, ratio: float
) -> RegionCosines:
    """The image's regions against another's, both at ``ratio``."""
    paths = tuple((str(one.path), base._stamp(one.path)) for one in (image, other))
    return _cosines(checkpoint.hash, paths, ratio, services, checkpoint, (image, other))


def smoothing(services: Services, checkpoint: StoredCheckpoint, image: VehicleImage) -> tuple[list[float], np.ndarray]:
    """Each lambda that makes other boxes, and the mean cosine between regions there, (S, l + 1)."""
    return _smoothing(checkpoint.hash, str(image.path), base._stamp(image.path), services, checkpoint, image)


def ratios(height: int, width: int) -> list[float]:
    """One lambda for each set of boxes, from Fig. 4's smallest on."""
    return [ratio for ratio in distinct_ratios(height, width) if ratio >= LEAST_RATIO - 1e-9]


def stored_graphs(services: Services, checkpoint: StoredCheckpoint, opened: OpenedDataset) -> GalleryGraphs | None:
    """The gallery's graphs from memory or from an earlier pass; None where there are none yet."""
    store, key = _graph_store(), (checkpoint.hash, opened.hash)
    if store.key == key and store.graphs is not None:
        return store.graphs
    path = _path(checkpoint, opened)
    if not path.is_file():
        return None
    try:
        graphs, _ = GalleryGraphs.load(path, services.model(checkpoint))
    except DataError:
        return None
    if set(graphs.names) != {image.name for image in opened.dataset.test}:
        return None
    store.begin(key)
    return store.finish(graphs)


def gallery_graphs(
    services: Services, checkpoint: StoredCheckpoint, opened: OpenedDataset, report: Report
) -> GalleryGraphs:
    """Stored graphs of the test images, or else new ones, which are kept; ``report`` hears of every batch.

    A pass that is broken off, as by a click on the page, goes on from its last whole part.
    """
    store, images = _graph_store(), opened.dataset.test
    with store.making:
        graphs = stored_graphs(services, checkpoint, opened)  # which another session may have made meanwhile
        if graphs is not None:
            return graphs
        parts = store.begin((checkpoint.hash, opened.hash))
        for start in range(sum(len(part.names) for part in parts), len(images), PART):

            def reporting(batches: Iterable, total: int, start: int = start) -> Iterable:
                for done, batch in enumerate(batches):
                    report(min(start + done * BATCH, len(images)), len(images))
                    yield batch

            model, size = services.model(checkpoint), checkpoint.info.image_size
            parts.append(extract_graphs(model, images[start : start + PART], size, BATCH, progress=reporting))
        graphs = store.finish(joined(parts))
        with suppress(ResourceError, OSError):  # a full or read-only disk only costs the next start
            path = _path(checkpoint, opened)
            graphs.save(path, _record(checkpoint, opened))
            remove_oldest(path.parent, MOST_KEPT, f"*{SUFFIX}")
    return graphs


def is_own(model: SSRNet, size: tuple[int, int], ratio: float) -> bool:
    """Whether ``ratio`` makes the same boxes as the lambda that the network was trained with."""
    return region_boxes(*size, ratio) == region_boxes(*size, model.settings.crop_ratio)


def rank_as_trained(
    services: Services, checkpoint: StoredCheckpoint, opened: OpenedDataset, protocol: Protocol, query: int, top_k: int
) -> RankedAt:
    """The query's gallery from the stored features."""
    ranking = _branch_features(services, checkpoint, opened, protocol).rank(query)
    return _ranked(ranking, top_k, edit_label(services.model(checkpoint), GraphEdit(), "both"))


def rank_at(
    services: Services,
    checkpoint: StoredCheckpoint,
    opened: OpenedDataset,
    protocol: Protocol,
    query: int,
    ratio: float,
    top_k: int,
    graphs: GalleryGraphs | None,
) -> RankedAt:
    """The query's gallery at ``ratio``: on both sides with ``graphs``, else the query alone, and labelled so."""
    features = _branch_features(services, checkpoint, opened, protocol)
    edit = GraphEdit(crop_ratio=ratio)
    if graphs is None:
        edited = edit_trace(services.model(checkpoint), trace(services, checkpoint, features.split.query[query]), edit)
        ranked = rank_edited_query(edited, features, query)
    else:
        kept = ratio_at_boxes(graphs.ratios, *graphs.size, ratio)
        root = str(opened.dataset.root)
        columns = _edited(checkpoint.hash, opened.hash, root, protocol, kept, features, graphs)
        ranked = columns.rank(query)
    label = edit_label(services.model(checkpoint), edit, ranked.label.sides, ratio)
    return _ranked(ranked.ranking, top_k, label)


def metrics_at(
    checkpoint: StoredCheckpoint,
    opened: OpenedDataset,
    protocol: Protocol,
    features: FeatureSet,
    graphs: GalleryGraphs,
    ratio: float,
) -> Evaluation:
    """All queries with ``ratio`` on both sides, at test time; the record says so."""
    kept = ratio_at_boxes(graphs.ratios, *graphs.size, ratio)
    root = str(opened.dataset.root)
    return _metrics_at(checkpoint.hash, opened.hash, root, protocol, kept, checkpoint, opened, features, graphs)


def _ranked(ranking: Ranking, top_k: int, label: EditLabel) -> RankedAt:
    hits = ranking.hits(0)
    last = max((i for i, hit in enumerate(hits) if hit.rank is not None and hit.rank <= top_k), default=-1)
    return RankedAt(hits[: last + 1], int(ranking.first_hit[0]), float(ranking.average_precision[0]), label)


def _record(checkpoint: StoredCheckpoint, opened: OpenedDataset) -> Record:
    return feature_record(made_by(checkpoint), opened.dataset, opened.hash, "test graphs")


def _path(checkpoint: StoredCheckpoint, opened: OpenedDataset) -> Path:
    """Named by a hash over all that shapes the graphs."""
    return base.ROOT / KEPT_GRAPHS / Path(file_name(_record(checkpoint, opened))).with_suffix(SUFFIX)


def _branch_features(
    services: Services, checkpoint: StoredCheckpoint, opened: OpenedDataset, protocol: Protocol
) -> BranchFeatures:
    root = str(opened.dataset.root)
    features = services.features(checkpoint, opened)
    return _by_branch(checkpoint.hash, opened.hash, root, protocol, features, split(opened, protocol))


@st.cache_resource(max_entries=1)
def _graph_store() -> GraphStore:
    return GraphStore()


@st.cache_resource(max_entries=8, show_spinner=False)
def _split(dataset_hash: str, root: str, protocol: Protocol, _opened: OpenedDataset) -> Split:
    return protocol.split(_opened.dataset)


@st.cache_resource(max_entries=16, show_spinner=False)
def _trace(
    checkpoint_hash: str,
    path: str,
    stamp: tuple,
    _model: SSRNet,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _image: VehicleImage,
) -> Trace:
    import torch

    with torch.no_grad():
        return _model.head(_services.feature_map(_checkpoint, _image))


@st.cache_data(max_entries=256, show_spinner=False)
def _cosines(
    checkpoint_hash: str,
    paths: tuple,
    ratio: float,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _images: tuple[VehicleImage, VehicleImage],
) -> RegionCosines:
    model, edit = _services.model(_checkpoint), GraphEdit(crop_ratio=ratio)
    a, b = (edit_trace(model, trace(_services, _checkpoint, image), edit).trace for image in _images)
    return region_cosines(a, b)


@st.cache_data(max_entries=256, show_spinner=False)
def _smoothing(
    checkpoint_hash: str,
    path: str,
    stamp: tuple,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _image: VehicleImage,
) -> tuple[list[float], np.ndarray]:
    model, whole = _services.model(_checkpoint), trace(_services, _checkpoint, _image)
    listed = ratios(*whole.F_attn.shape[2:])
    rows = [
        smoothness(edit_trace(model, whole, GraphEdit(crop_ratio=ratio)).trace).regions[:, 0].numpy(force=True)
        for ratio in listed
    ]
    return listed, np.stack(rows)


@st.cache_resource(max_entries=2, show_spinner=False)
def _by_branch(
    checkpoint_hash: str, dataset_hash: str, root: str, protocol: Protocol, _features: FeatureSet, _split: Split
) -> BranchFeatures:
    return BranchFeatures.of(_features, _split)


@st.cache_resource(max_entries=4, show_spinner=False)
def _edited(
    checkpoint_hash: str,
    dataset_hash: str,
    root: str,
    protocol: Protocol,
    ratio: float,
    _features: BranchFeatures,
    _graphs: GalleryGraphs,
) -> EditedFeatures:
    return _graphs.edit(_features, GraphEdit(crop_ratio=ratio))


@st.cache_resource(max_entries=64, show_spinner=False)
def _metrics_at(
    checkpoint_hash: str,
    dataset_hash: str,
    root: str,
    protocol: Protocol,
    ratio: float,
    _checkpoint: StoredCheckpoint,
    _opened: OpenedDataset,
    _features: FeatureSet,
    _graphs: GalleryGraphs,
) -> Evaluation:
    edited = _graphs.edit_all(_features, GraphEdit(crop_ratio=ratio))
    made = made_by(_checkpoint) | {"rounded_to": "float16", "graph_edit": str(edited.label.edit)}
    return evaluate(edited.features, _opened.dataset, protocol, made_by=made, top_k=1, dataset_hash=_opened.hash)
