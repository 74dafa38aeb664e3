"""What the Graph page asks for: a query before and after an edit of its graph, and nodes of many images; cached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch

from app.workbench import OpenedDataset, Report, Services, _stamp
from app.workbench.maps import projected
from ssrnet.analysis.attributes import SIBLING
from ssrnet.data.images import read_image
from ssrnet.data.protocols import Protocol, Split
from ssrnet.data.records import VehicleImage
from ssrnet.explain.graph import EditedTrace, GraphEdit, edit_trace, rank_edited_query
from ssrnet.explain.projection import Projection, ProjectionName
from ssrnet.explain.shares import BranchFeatures
from ssrnet.explain.token_shares import NECK, ablate_nodes, token_shares
from ssrnet.model import SSRNet, Trace
from ssrnet.retrieval.ranking import Hit, Ranking
from ssrnet.training.checkpoint import StoredCheckpoint

QUERY, VEHICLE, ALIKE, WRONG, RANDOM = "query", "vehicle", "alike", "wrong", "random"
"""Whose nodes the page looks at."""
RANDOM_IMAGES = 3
"""Images of each random vehicle."""


@dataclass(frozen=True)
class Answer:
    """One query with its graph as it is and after an edit, each ranked against the stored gallery.

    The cosines are between after and before: of f_token, and of the whole embedding.
    """

    before: Trace
    after: EditedTrace
    token_cosine: float
    embedding_cosine: float
    ranking: Ranking
    edited_ranking: Ranking


@dataclass(frozen=True)
class NodeRow:
    """One node by itself: f_token without it, and its part in the cosine of the query and one gallery image.

    off: "removed", or "silenced" for the node that is read out. share: exact, of H(l-1); None for the neck's constant
    alone. fall: of the cosine when the query loses the node.
    """

    node: str
    off: str
    token_cosine: float | None
    first_hit: int | None
    share: float
    fall: float | None


def has_graph(checkpoint: StoredCheckpoint) -> bool:
    return checkpoint.info.model.has_graph


def trace(services: Services, checkpoint: StoredCheckpoint, image: VehicleImage) -> Trace:
    """Everything that follows F_G, of one image."""
    return _trace(checkpoint.hash, str(image.path), _stamp(image.path), services, checkpoint, image)


def aspect(image: VehicleImage) -> float:
    """Width over height of the file's picture."""
    return _aspect(str(image.path), _stamp(image.path))


def answer(
    services: Services,
    checkpoint: StoredCheckpoint,
    opened: OpenedDataset,
    protocol: Protocol,
    split: Split,
    query: int,
    edit: GraphEdit,
) -> Answer:
    """A query of the split, by position, before and after ``edit``; some ten milliseconds once its F_G is there."""
    image = split.query[query]
    before = trace(services, checkpoint, image)
    features = _gallery(services, checkpoint, opened, protocol, split)
    key = (checkpoint.hash, opened.hash, str(opened.dataset.root), protocol, str(image.path), _stamp(image.path))
    return _answer(key, edit, services.model(checkpoint), before, features, query)


def single_nodes(
    services: Services,
    checkpoint: StoredCheckpoint,
    opened: OpenedDataset,
    protocol: Protocol,
    split: Split,
    query: int,
    gallery: int,
) -> list[NodeRow]:
    """Every node by itself, for a query and a gallery image, by their positions in the split."""
    images = split.query[query], split.gallery[gallery]
    stamps = [(str(image.path), _stamp(image.path)) for image in images]
    key = (checkpoint.hash, opened.hash, str(opened.dataset.root), protocol, *stamps)
    return _single_nodes(key, services, checkpoint, opened, protocol, split, query, gallery)


def nodes(
    services: Services, checkpoint: StoredCheckpoint, images: Sequence[VehicleImage], report: Report | None = None
) -> list[np.ndarray]:
    """[(N, n, C)]: H(0) ... H(l) of the images; ``report`` hears of each, and what it has heard of is kept."""
    found = []
    for done, image in enumerate(images, start=1):
        found.append(_nodes(checkpoint.hash, str(image.path), _stamp(image.path), services, checkpoint, image))
        if report and len(images) > 1:
            report(done, len(images))
    return [np.stack(layer) for layer in zip(*found)]


def node_map(
    checkpoint: StoredCheckpoint,
    images: Sequence[VehicleImage],
    layer: int,
    H: np.ndarray,
    method: ProjectionName,
    report: Report | None = None,
) -> Projection:
    """One layer's nodes (N, n, C) of the images as N * n points."""
    key = ("nodes", checkpoint.hash, layer, *((str(image.path), _stamp(image.path)) for image in images))
    return projected(key, lambda: H.reshape(-1, H.shape[2]), method, report)


def choices(image: VehicleImage) -> list[str]:
    """Whose nodes can be looked at beside this image's."""
    return [QUERY, VEHICLE, *([ALIKE] if image.attributes.get(SIBLING) else []), WRONG, RANDOM]


def chosen_images(
    choice: str,
    image: VehicleImage,
    images: Sequence[VehicleImage],
    ranking: Ranking,
    split: Split,
    most: int,
    seed: int,
) -> list[VehicleImage]:
    """The image itself and up to ``most`` in all, of ``images`` or, for WRONG, of the ranked gallery."""

    def of(wanted: Callable[[VehicleImage], bool]) -> list[VehicleImage]:
        return [other for other in images if wanted(other) and other.name != image.name]

    own = of(lambda other: other.vehicle_id == image.vehicle_id)
    others: list[VehicleImage] = []
    if choice == VEHICLE:
        others = own
    elif choice == ALIKE:
        group = image.attributes.get(SIBLING)
        alike = of(lambda o: o.attributes.get(SIBLING) == group and o.vehicle_id != image.vehicle_id)
        others = _in_turn([own, *_by_vehicle(alike)])
    elif choice == WRONG:
        others = [split.gallery[hit.index] for hit in ranking.hits(0) if hit.rank is not None and not hit.match]
    elif choice == RANDOM:
        drawn = _by_vehicle(of(lambda other: other.vehicle_id != image.vehicle_id))
        order = np.random.default_rng(seed).permutation(len(drawn))
        others = [other for i in order for other in drawn[i][:RANDOM_IMAGES]]
        return [image, *own[: RANDOM_IMAGES - 1], *others][:most]
    return [image, *others][:most]


def first_listed(ranking: Ranking) -> Hit | None:
    """The nearest image that is not junk."""
    return next((hit for hit in ranking.hits(0) if hit.rank is not None), None)


def _by_vehicle(images: Sequence[VehicleImage]) -> list[list[VehicleImage]]:
    groups: dict[str, list[VehicleImage]] = {}
    for image in images:
        groups.setdefault(image.vehicle_id, []).append(image)
    return list(groups.values())


def _in_turn(groups: Sequence[Sequence[VehicleImage]]) -> list[VehicleImage]:
    """One of each group, then a second of each, and so on."""
    longest = max((len(group) for group in groups), default=0)
    return [group[i] for i in range(longest) for group in groups if i < len(group)]


def _gallery(
    services: Services, checkpoint: StoredCheckpoint, opened: OpenedDataset, protocol: Protocol, split: Split
) -> BranchFeatures:
    root = str(opened.dataset.root)
    return _branch_features(checkpoint.hash, opened.hash, root, protocol, services, checkpoint, opened, split)


@st.cache_resource(max_entries=2, show_spinner=False)
def _branch_features(
    checkpoint_hash: str,
    dataset_hash: str,
    root: str,
    protocol: Protocol,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _opened: OpenedDataset,
    _split: Split,
) -> BranchFeatures:
    return BranchFeatures.of(_services.features(_checkpoint, _opened), _split)


@st.cache_resource(max_entries=32, show_spinner=False)
def _trace(
    checkpoint_hash: str,
    path: str,
    stamp: tuple,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _image: VehicleImage,
) -> Trace:
    model = _services.model(_checkpoint)
    with torch.no_grad():
        return model.head(_services.feature_map(_checkpoint, _image))


@st.cache_resource(max_entries=256, show_spinner=False)
def _nodes(
    checkpoint_hash: str,
    path: str,
    stamp: tuple,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _image: VehicleImage,
) -> list[np.ndarray]:
    with torch.no_grad():
        found = _services.model(_checkpoint).head(_services.feature_map(_checkpoint, _image))
    return [H[0].cpu().numpy() for H in found.H]


@st.cache_data(max_entries=1000, show_spinner=False)
def _aspect(path: str, stamp: tuple) -> float:
    width, height = read_image(path).size
    return width / height


@st.cache_resource(max_entries=64, show_spinner=False)
def _answer(
    key: tuple, edit: GraphEdit, _model: SSRNet, _before: Trace, _features: BranchFeatures, _query: int
) -> Answer:
    after = edit_trace(_model, _before, edit)
    # Both embeddings from the same pass, so that nothing but the edit is between the two rankings.
    unedited = edit_trace(_model, _before, GraphEdit())
    return Answer(
        _before,
        after,
        float(torch.cosine_similarity(after.trace.f_token, _before.f_token)[0]),
        float(torch.cosine_similarity(after.trace.embedding(), _before.embedding())[0]),
        rank_edited_query(unedited, _features, _query).ranking,
        rank_edited_query(after, _features, _query).ranking,
    )


@st.cache_data(max_entries=128, show_spinner=False)
def _single_nodes(
    key: tuple,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _opened: OpenedDataset,
    _protocol: Protocol,
    _split: Split,
    _query: int,
    _gallery: int,
) -> list[NodeRow]:
    model = _services.model(_checkpoint)
    own, other = (trace(_services, _checkpoint, image) for image in (_split.query[_query], _split.gallery[_gallery]))
    shares = token_shares(model, own, other)
    removed, silenced = (ablate_nodes(model, own, other, off=off).effect[0] for off in ("removed", "silenced"))
    rows = []
    for i, part in enumerate(shares.parts):
        share = float(shares.query[0, i])
        if part == NECK:
            rows.append(NodeRow(part, "", None, None, share, None))
            continue
        takes_out = i != model.graph.readout
        edit = GraphEdit(nodes_off=(part,)) if takes_out else GraphEdit(nodes_silenced=(part,))
        found = answer(_services, _checkpoint, _opened, _protocol, _split, _query, edit)
        fall = float((removed if takes_out else silenced)[i])
        first = int(found.edited_ranking.first_hit[0])
        rows.append(NodeRow(part, "removed" if takes_out else "silenced", found.token_cosine, first, share, fall))
    return rows
