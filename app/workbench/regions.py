"""What another crop ratio does: to an image's regions, to its ranks, and to the metrics of the whole data set."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from app.workbench import OpenedModel, Progress, places
from app.workbench.cache import cached, stored
from app.workbench.progress import counted
from app.workbench.queries import Query, query_embedding, query_image, query_position
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage
from ssrnet.errors import DataError, ResourceError
from ssrnet.explain.gallery_graphs import (
    GRAPHS,
    SUFFIX,
    GalleryGraphs,
    distinct_ratios,
    extract_graphs,
    joined,
    seconds_an_image,
)
from ssrnet.explain.graph import EditLabel, GraphEdit, edit_label, rank_edited_query
from ssrnet.explain.overlaps import ratio_at_boxes
from ssrnet.explain.relations import RegionCosines, region_cosines, smoothness
from ssrnet.model import SSRNet
from ssrnet.model.regions import region_boxes
from ssrnet.retrieval.evaluation import Evaluation, evaluate
from ssrnet.retrieval.feature_files import SHIPPED, Record, feature_record, file_name, remove_oldest
from ssrnet.retrieval.ranking import Hit, Ranking

GRAPH_FOLDER = "runs/graphs"
MOST_KEPT = 2 * 2**30
"""Bytes of gallery graphs kept on the disk: some 80 times the demo's, or 4 times VeRi-776's."""
LEAST_RATIO = 1 / 8
"""The smallest of the paper's Fig. 4."""
PART, BATCH = 32, 4
"""Images of the gallery after which an interrupted pass continues, and in one forward pass."""


class RankedAt(NamedTuple):
    """One query's gallery at a lambda: the hits up to ``top_k``, and its label."""

    hits: list[Hit]
    ranking: Ranking
    label: EditLabel


def region_cosines_at(model: OpenedModel, image: VehicleImage, other: VehicleImage, ratio: float) -> RegionCosines:
    """The image's regions against another's, both at ``ratio``."""

    def compute() -> RegionCosines:
        return region_cosines(*(model.view(each).at(ratio) for each in (image, other)))

    return cached("region cosines", (model.hash, image, other, ratio), compute, 256)


def smoothness_over_ratios(model: OpenedModel, image: VehicleImage) -> tuple[list[float], np.ndarray]:
    """Each lambda that makes other boxes, and the mean cosine between regions there, (S, l + 1)."""

    def compute() -> tuple[list[float], np.ndarray]:
        view = model.view(image)
        listed = ratios(*view.trace.F_attn.shape[2:])
        rows = [smoothness(view.at(ratio)).regions[:, 0].numpy(force=True) for ratio in listed]
        return listed, np.stack(rows)

    return cached("smoothness", (model.hash, image), compute, 256)


def ratios(height: int, width: int) -> list[float]:
    """One lambda for each set of boxes, from Fig. 4's smallest on."""
    return [ratio for ratio in distinct_ratios(height, width) if ratio >= LEAST_RATIO - 1e-9]


def stored_graphs(model: OpenedModel) -> GalleryGraphs | None:
    """The gallery's graphs from memory or from an earlier pass; None where there are none yet."""
    return stored("gallery graphs", (model.hash, model.data), lambda: _graphs_on_disk(model), 1)


def shipped_graphs(model: OpenedModel) -> GalleryGraphs | None:
    """The demo's, which have f_token at the lambdas of Fig. 4 alone; None for other data or another network."""
    load = partial(_graphs_on_disk, model, places.ROOT / SHIPPED)
    return stored("shipped graphs", (model.hash, model.data), load, 2)


def has_ratio(graphs: GalleryGraphs | None, ratio: float) -> bool:
    """Whether ``graphs`` have f_token at ``ratio``."""
    if graphs is None:
        return False
    boxes = region_boxes(*graphs.size, ratio)
    return any(region_boxes(*graphs.size, each) == boxes for each in graphs.ratios)


def seconds_for_graphs(model: OpenedModel) -> float:
    """How long :func:`gallery_graphs` will take, about."""
    size = model.predictor.image_size
    rate = cached("seconds an image", model.hash, lambda: seconds_an_image(model.network, size, 1))
    return rate * len(model.data.dataset.test)


def gallery_graphs(model: OpenedModel, progress_callback: Progress) -> GalleryGraphs:
    """Stored graphs of the test images, or else new ones, which are kept on the disk.

    A pass that is broken off, as by a click on the page, continues from its last whole part.
    """

    def compute() -> GalleryGraphs:
        graphs = _graphs_on_disk(model)
        return _extract(model, progress_callback) if graphs is None else graphs

    return cached("gallery graphs", (model.hash, model.data), compute, 1)


def has_trained_boxes(network: SSRNet, size: tuple[int, int], ratio: float) -> bool:
    """Whether ``ratio`` makes the same boxes as the lambda that the network was trained with."""
    return region_boxes(*size, ratio) == region_boxes(*size, network.settings.crop_ratio)


def rank_as_trained(model: OpenedModel, query: Query, top_k: int) -> RankedAt:
    """The query's gallery from the stored features."""

    def rank() -> RankedAt:
        embedding = query_embedding(model, query)
        ranking = model.branch_features().rank(query_position(query), embedding=embedding)
        return RankedAt(ranking.top(0, top_k), ranking, edit_label(model.network, GraphEdit(), "both"))

    return cached("ranks as trained", (model, query, top_k), rank)


def rank_at(model: OpenedModel, query: Query, ratio: float, top_k: int, graphs: GalleryGraphs | None) -> RankedAt:
    """The query's gallery at ``ratio``: on both sides with ``graphs``, else the query alone, and labelled so."""

    def rank() -> RankedAt:
        features, edit, sides = model.branch_features(), GraphEdit(crop_ratio=ratio), "query"
        if graphs is not None:
            listed = ratio_at_boxes(graphs.ratios, *graphs.size, ratio)
            both = GraphEdit(crop_ratio=listed)
            features = cached("edited galleries", (model, listed), lambda: graphs.edit(features, both), 4).features
            sides = "both"
        if graphs is None or isinstance(query, UploadedImage):
            view = model.view(query_image(model.split, query))
            ranking = rank_edited_query(view.edit(edit), features, query_position(query)).ranking
        else:
            ranking = features.rank(query)
        label = edit_label(model.network, edit, sides, ratio)
        return RankedAt(ranking.top(0, top_k), ranking, label)

    return cached("ranks at a ratio", (model, query, ratio, top_k, graphs is None), rank)


def metrics_at(model: OpenedModel, graphs: GalleryGraphs, ratio: float) -> Evaluation:
    """All queries with ``ratio`` on both sides, at test time; the record says so."""
    listed = ratio_at_boxes(graphs.ratios, *graphs.size, ratio)

    def compute() -> Evaluation:
        edited = graphs.edit_all(model.features(), GraphEdit(crop_ratio=listed))
        record = model.made_by() | {"rounded_to": "float16", "graph_edit": str(edited.label.edit)}
        return evaluate(
            edited.features,
            model.data.dataset,
            model.protocol,
            made_by=record,
            alignment=model.statistics(),
            top_k=1,
            dataset_hash=model.data.hash,
        )

    return cached("metrics at a ratio", (model, listed), compute, 64)


def _extract(model: OpenedModel, progress_callback: Progress) -> GalleryGraphs:
    images = model.data.dataset.test
    parts: list[GalleryGraphs] = cached("parts of a gallery", (model.hash, model.data), list, 1)
    for start in range(sum(len(part.names) for part in parts), len(images), PART):
        done = counted(lambda done, _: progress_callback(min(done, len(images)), len(images)), start, BATCH)
        some = images[start : start + PART]
        parts.append(extract_graphs(model.network, some, model.predictor.image_size, BATCH, progress=done))
    graphs = joined(parts)
    parts.clear()
    if model.data.is_uploaded:
        return graphs
    with suppress(ResourceError, OSError):  # a full or read-only disk only costs the next start
        path = places.ROOT / GRAPH_FOLDER / _file_name(model)
        graphs.save(path, _record(model))
        remove_oldest(path.parent, MOST_KEPT, f"*{SUFFIX}")
    return graphs


def _graphs_on_disk(model: OpenedModel, folder: Path | None = None) -> GalleryGraphs | None:
    path = (folder or places.ROOT / GRAPH_FOLDER) / _file_name(model)
    if model.data.is_uploaded or not path.is_file():
        return None
    try:
        graphs, _ = GalleryGraphs.load(path, model.network)
    except DataError:
        return None
    return graphs if set(graphs.names) == {image.name for image in model.data.dataset.test} else None


def _record(model: OpenedModel) -> Record:
    return feature_record(model.made_by(), model.data.dataset, model.data.hash, GRAPHS)


def _file_name(model: OpenedModel) -> Path:
    """With a hash over all that shapes the graphs."""
    return Path(file_name(_record(model))).with_suffix(SUFFIX)
