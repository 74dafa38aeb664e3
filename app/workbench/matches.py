"""Rankings by options of the Retrieval page, and why one gallery image stands where it does; all of it cached.

As in :mod:`app.workbench`, nothing here imports torchvision or grad-cam before a map is asked for.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
import torch
from PIL import Image

from app.workbench import LONGEST_LIST, Model, OpenedDataset, Report, Services, _stamp, made_by
from app.workbench.recent import Recent
from ssrnet.data.protocols import Protocol, Split
from ssrnet.data.records import VehicleImage
from ssrnet.explain.shares import BranchFeatures
from ssrnet.model import EmbeddingSettings, SSRNet
from ssrnet.retrieval.evaluation import Evaluation, evaluate
from ssrnet.retrieval.expansion import ExpansionSettings
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet
from ssrnet.retrieval.reranking import ReRankSettings
from ssrnet.training.checkpoint import StoredCheckpoint

PICTURE = 224
"""Pixels of a painted picture's side."""


@dataclass(frozen=True)
class RankingOptions:
    """What is done to features and distances before images are ranked; every part of it is in the protocol record."""

    re_rank: bool = False
    flip_test: bool = False
    expansion: ExpansionSettings | None = None
    branches: tuple[str, ...] = ()
    """Branches that count (G, attn, token), of those that a model has; empty means all."""
    unit_length: bool = False
    """Each branch's feature L2-normalised before they are concatenated, so that each weighs the same."""

    @property
    def extraction(self) -> ExtractSettings:
        return ExtractSettings(flip_test=self.flip_test)

    @property
    def touched(self) -> bool:
        return self != RankingOptions()

    def own(self, features: FeatureSet) -> tuple[str, ...]:
        """The chosen branches that these features have; empty, which means all, where they have none of them or all."""
        chosen = tuple(branch for branch in features.branch_dims if branch in self.branches)
        return () if len(chosen) == len(features.branch_dims) else chosen

    def ranked_features(self, features: FeatureSet) -> FeatureSet:
        """The columns that count, as they are compared."""
        chosen = features.only(self.own(features))
        return chosen.at_unit_length() if self.unit_length else chosen

    def embedding(self, branches: tuple[str, ...]) -> EmbeddingSettings:
        """How the network makes the same of an image, for records, maps and the graph."""
        return EmbeddingSettings(branches=branches, normalise_branches=self.unit_length)


@dataclass(frozen=True)
class PairShares:
    """Why one gallery image stands where it does for one query, from stored features alone.

    ``rank`` is 0 for junk. ``shares`` add up to ``cosine``; ``pulled_up`` is by how many ranks each branch pulls
    the image up (negative: down), and empty for a single branch.
    """

    rank: int
    cosine: float
    shares: Mapping[str, float]
    pulled_up: Mapping[str, int]


@dataclass(frozen=True)
class PairPictures:
    """Both images under their similarity maps as data URIs, on one scale that starts at 0."""

    query: str
    gallery: str
    similarity: float
    empty: tuple[bool, bool]
    """Whether no cell of the query, of the gallery image, raises the similarity."""


@dataclass(frozen=True)
class PairGraph:
    """regions: (l + 1, 5, 5) cosines of the query's regions (rows) and the other's, layer by layer.

    parts: the graph's nodes and the neck with (n, 2) ``tokens``: each part's share in the cosine, of the query's
    token and of the gallery image's.
    """

    names: tuple[str, ...]
    regions: np.ndarray
    parts: tuple[str, ...]
    tokens: np.ndarray


def ranked(
    services: Services,
    checkpoint: Model,
    opened: OpenedDataset,
    protocol: Protocol,
    options: RankingOptions,
    report: Report | None = None,
) -> Evaluation:
    """Ranking and metrics under a protocol with the options; ``report`` hears of the queries that are re-ranked."""
    if not options.touched:
        return services.evaluation(checkpoint, opened, protocol)
    key = (checkpoint.hash, opened.hash, str(opened.dataset.root), protocol, options)
    store = _rankings()
    evaluation = store.get(key)
    if evaluation is None:
        whole = services.features(checkpoint, opened, settings=options.extraction)
        embedding = options.embedding(options.own(whole))
        record = made_by(checkpoint, replace(options.extraction, embedding=embedding))
        evaluation = evaluate(
            options.ranked_features(whole),
            opened.dataset,
            protocol,
            made_by=record | {"rounded_to": "float16"},
            re_rank=ReRankSettings() if options.re_rank else None,
            expansion=options.expansion,
            top_k=LONGEST_LIST,
            dataset_hash=opened.hash,
            report=report,
        )
        store.add(key, evaluation)
    return evaluation


def pair_shares(
    services: Services,
    checkpoint: Model,
    opened: OpenedDataset,
    protocol: Protocol,
    options: RankingOptions,
    split: Split,
    query: int,
    gallery: int,
) -> PairShares:
    """One gallery image for one query, both as positions in the split; of cosines, without expansion or re-ranking."""
    whole = services.features(checkpoint, opened, settings=options.extraction)
    found = options.ranked_features(whole)
    chosen = (tuple(found.branch_dims), options.flip_test, options.unit_length)
    key = (checkpoint.hash, opened.hash, str(opened.dataset.root), protocol, chosen)
    branches = _branch_features(key, found, split)
    ranks = branches.branch_ranks(query)
    shares = branches.products(query).shares()[:, gallery]  # (B,)
    rank = int(ranks.whole[gallery])
    return PairShares(
        rank,
        float(shares.sum()),
        dict(zip(found.branch_dims, shares.tolist(), strict=True)),
        {branch: int(ranks.pulled_up(branch)[gallery]) for branch in ranks.without} if rank else {},
    )


def pair_pictures(
    services: Services,
    checkpoint: StoredCheckpoint,
    query: VehicleImage,
    gallery: VehicleImage,
    method: str,
    embedding: EmbeddingSettings,
    opacity: float = 0.5,
) -> PairPictures:
    """Similarity maps in both directions, painted over the two images; ``embedding`` says what is compared."""
    paths = [(str(image.path), _stamp(image.path)) for image in (query, gallery)]
    return _pair_pictures(checkpoint.hash, paths, method, embedding, opacity, services, checkpoint, (query, gallery))


def pair_graph(
    services: Services,
    checkpoint: StoredCheckpoint,
    query: VehicleImage,
    gallery: VehicleImage,
    embedding: EmbeddingSettings,
) -> PairGraph | None:
    """What the graph says of a pair, in shares of the cosine of ``embedding``; None without a graph.

    ``tokens`` has no rows where the token is not among the branches.
    """
    paths = [(str(image.path), _stamp(image.path)) for image in (query, gallery)]
    return _pair_graph(checkpoint.hash, paths, embedding, services, checkpoint, (query, gallery))


@st.cache_resource
def _rankings() -> Recent:
    """The last few rankings with options. No cached function makes them, since those cannot report to a bar."""
    return Recent(most=16)


@st.cache_resource(max_entries=2, show_spinner=False)
def _branch_features(key: tuple, _features: FeatureSet, _split: Split) -> BranchFeatures:
    return BranchFeatures.of(_features, _split)


@st.cache_resource(max_entries=128, show_spinner=False)
def _pair_pictures(
    checkpoint_hash: str,
    paths: list,
    method: str,
    embedding: EmbeddingSettings,
    opacity: float,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _images: tuple[VehicleImage, VehicleImage],
) -> PairPictures:
    from ssrnet.explain.attention import to_image_frame
    from ssrnet.explain.cam import CamSettings, pair_cams
    from ssrnet.explain.overlay import overlay

    model = _services.model(_checkpoint)
    maps = [_services.feature_map(_checkpoint, image) for image in _images]
    pair = pair_cams(model, *maps, embedding, CamSettings(method=method))
    cells = (pair.query, pair.gallery)
    highest = float(max(cell.max() for cell in cells))
    painted = []
    for cell, feature_map, image in zip(cells, maps, _images):
        square = np.ascontiguousarray(Image.fromarray(_services.square(_checkpoint, image)).resize((PICTURE, PICTURE)))
        heat = to_image_frame(cell[None], PICTURE, feature_map.theta)[0] / (highest or 1)
        painted.append(_data_uri(overlay(square, np.clip(heat, 0, 1), opacity)))
    return PairPictures(*painted, pair.similarity, tuple(not cell.any() for cell in cells))


@st.cache_resource(max_entries=256, show_spinner=False)
def _pair_graph(
    checkpoint_hash: str,
    paths: list,
    embedding: EmbeddingSettings,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _images: tuple[VehicleImage, VehicleImage],
) -> PairGraph | None:
    from ssrnet.explain.relations import region_cosines
    from ssrnet.explain.token_shares import token_shares

    model: SSRNet = _services.model(_checkpoint)
    if model.graph is None:
        return None
    with torch.no_grad():
        traces = [model.head(_services.feature_map(_checkpoint, image)) for image in _images]
    regions = region_cosines(*traces)
    parts: tuple[str, ...] = ()
    tokens = np.zeros((0, 2))
    if not embedding.branches or "token" in embedding.branches:
        shares = token_shares(model, *traces, embedding)
        parts, tokens = shares.parts, torch.stack([shares.query[0], shares.gallery[0]], dim=1).cpu().numpy()
    return PairGraph(regions.regions, regions.cosine[:, 0].cpu().numpy(), parts, tokens)


def _data_uri(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
