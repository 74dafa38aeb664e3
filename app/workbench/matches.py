"""Why a model finds two images alike: branch shares and ranks, maps over both, and the graph's nodes.

As in :mod:`app.workbench`, nothing here imports torchvision or grad-cam before a map is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from app.workbench import OpenedModel, RankingOptions
from app.workbench.cache import cached, session_cached
from app.workbench.images import SIDE, data_uri, square
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.model import EmbeddingSettings
from ssrnet.predictor import ImageView
from ssrnet.retrieval.verification import Verification, verify


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


def pair_shares(model: OpenedModel, options: RankingOptions, query: int, gallery: int) -> PairShares:
    """One gallery image for one query, both as positions in the split; of cosines, without expansion or re-ranking."""
    branches = model.branch_features(options)
    ranks = branches.branch_ranks(query)
    shares = branches.products(query).shares()[:, gallery]  # (B,)
    rank = int(ranks.whole[gallery])
    return PairShares(
        rank,
        float(shares.sum()),
        dict(zip(branches.query, shares.tolist(), strict=True)),
        {branch: int(ranks.pulled_up(branch)[gallery]) for branch in ranks.without} if rank else {},
    )


def pair_pictures(
    model: OpenedModel, query: VehicleImage, gallery: VehicleImage, method: str, embedding: EmbeddingSettings
) -> PairPictures:
    """Similarity maps in both directions, painted over the two images; ``embedding`` says what is compared."""

    def paint() -> PairPictures:
        pictures = read_image(query.path), read_image(gallery.path)
        return _painted(model, model.views([query, gallery]), pictures, method, embedding)

    return cached("pair pictures", (model.hash, query, gallery, method, embedding), paint, 128)


def uploaded_pair(model: OpenedModel, first: Image.Image, second: Image.Image, method: str) -> PairPictures:
    """As :func:`pair_pictures`, of two uploaded pictures; cached in the viewer's session alone."""

    def paint() -> PairPictures:
        # The first picture is compared with many, so its F_G stays.
        views = model.session_view(first), model.predictor.set_image(second)
        return _painted(model, views, (first, second), method, EmbeddingSettings())

    return session_cached(("pair", model.hash, first, second, method), paint)


def pair_graph(
    model: OpenedModel, query: VehicleImage, gallery: VehicleImage, embedding: EmbeddingSettings
) -> PairGraph | None:
    """The graph's part in a pair, in shares of the cosine of ``embedding``; None without a graph.

    ``tokens`` has no rows where the token is not among the branches.
    """
    if not model.has_graph:
        return None
    key = (model.hash, query, gallery, embedding)
    return cached("pair graphs", key, lambda: _graph(model, query, gallery, embedding), 256)


def verification(model: OpenedModel) -> Verification:
    """The cosines of the protocol's pairs, of one vehicle and of two."""
    return cached("verifications", model, lambda: verify(model.compared_features(), model.split), 16, "Counting pairs")


def _painted(
    model: OpenedModel,
    views: tuple[ImageView, ImageView] | list[ImageView],
    pictures: tuple[Image.Image, Image.Image],
    method: str,
    embedding: EmbeddingSettings,
) -> PairPictures:
    from ssrnet.explain.attention import to_image_frame
    from ssrnet.explain.cam import CamSettings, pair_cams
    from ssrnet.explain.overlay import overlay

    maps = pair_cams(model.network, *(view.feature_map for view in views), embedding, CamSettings(method))
    cells = (maps.query, maps.gallery)
    highest = float(max(cell.max() for cell in cells)) or 1.0
    painted = []
    for cell, view, picture in zip(cells, views, pictures, strict=True):
        heat = to_image_frame(cell[None], SIDE, view.feature_map.theta)[0] / highest
        painted.append(data_uri(overlay(square(picture), np.clip(heat, 0, 1))))
    return PairPictures(*painted, maps.similarity, tuple(not cell.any() for cell in cells))


def _graph(model: OpenedModel, query: VehicleImage, gallery: VehicleImage, embedding: EmbeddingSettings) -> PairGraph:
    from ssrnet.explain.relations import region_cosines
    from ssrnet.explain.token_shares import token_shares

    traces = [view.trace for view in model.views([query, gallery])]
    regions = region_cosines(*traces)
    parts: tuple[str, ...] = ()
    tokens = np.zeros((0, 2))
    if not embedding.branches or "token" in embedding.branches:
        shares = token_shares(model.network, *traces, embedding)
        parts, tokens = shares.terms, torch.stack([shares.query[0], shares.gallery[0]], dim=1).cpu().numpy()
    return PairGraph(regions.regions, regions.cosine[:, 0].cpu().numpy(), parts, tokens)
