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
from ssrnet.retrieval.alignment import Standardisation
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
    model: OpenedModel, query: VehicleImage, gallery: VehicleImage, method: str, options: RankingOptions
) -> PairPictures:
    """Similarity maps in both directions, painted over the two images; ``options`` say what is compared."""

    def paint() -> PairPictures:
        pictures = read_image(query.path), read_image(gallery.path)
        standardisation = model.standardisation([query, gallery], options)
        return _painted(
            model, model.views([query, gallery]), pictures, method, _embedding(model, options), standardisation
        )

    return cached("pair pictures", (model, query, gallery, method, options), paint, 128)


def uploaded_pair(model: OpenedModel, first: Image.Image, second: Image.Image, method: str) -> PairPictures:
    """As :func:`pair_pictures`, of two uploaded pictures, aligned by the whole set's statistics; cached in the viewer's session alone."""

    def paint() -> PairPictures:
        # The first picture is compared with many, so its F_G stays.
        views = model.session_view(first), model.predictor.set_image(second)
        return _painted(model, views, (first, second), method, EmbeddingSettings(), model.standardisation([None, None]))

    return session_cached(("pair", model, first, second, method), paint)


def pair_graph(
    model: OpenedModel, query: VehicleImage, gallery: VehicleImage, options: RankingOptions
) -> PairGraph | None:
    """The graph's part in a pair, in shares of the cosine that ``options`` compare; None without a graph.

    ``tokens`` has no rows where the token is not among the branches.
    """
    if not model.has_graph:
        return None
    key = (model, query, gallery, options)
    return cached("pair graphs", key, lambda: _graph(model, query, gallery, options), 256)


def verification(model: OpenedModel) -> Verification:
    """The cosines of the protocol's pairs, of one vehicle and of two."""
    return cached("verifications", model, lambda: verify(model.compared_features(), model.split), 16, "Counting pairs")


def _embedding(model: OpenedModel, options: RankingOptions) -> EmbeddingSettings:
    """How the network makes of an image what ``options`` compare."""
    return options.embedding(options.chosen_branches(model.features(settings=options.extraction)))


def _painted(
    model: OpenedModel,
    views: tuple[ImageView, ImageView] | list[ImageView],
    pictures: tuple[Image.Image, Image.Image],
    method: str,
    embedding: EmbeddingSettings,
    standardisation: Standardisation | None,
) -> PairPictures:
    from ssrnet.explain.attention import to_image_frame
    from ssrnet.explain.cam import CamSettings, pair_cams
    from ssrnet.explain.overlay import overlay

    feature_maps = (view.feature_map for view in views)
    maps = pair_cams(model.network, *feature_maps, embedding, CamSettings(method), standardisation=standardisation)
    cells = (maps.query, maps.gallery)
    highest = float(max(cell.max() for cell in cells)) or 1.0
    painted = []
    for cell, view, picture in zip(cells, views, pictures, strict=True):
        heat = to_image_frame(cell[None], SIDE, view.feature_map.theta)[0] / highest
        painted.append(data_uri(overlay(square(picture), np.clip(heat, 0, 1))))
    return PairPictures(*painted, maps.similarity, tuple(not cell.any() for cell in cells))


def _graph(model: OpenedModel, query: VehicleImage, gallery: VehicleImage, options: RankingOptions) -> PairGraph:
    from ssrnet.explain.relations import region_cosines
    from ssrnet.explain.token_shares import token_shares

    traces = [view.trace for view in model.views([query, gallery])]
    regions = region_cosines(*traces)
    parts: tuple[str, ...] = ()
    tokens = np.zeros((0, 2))
    embedding = _embedding(model, options)
    if not embedding.branches or "token" in embedding.branches:
        standardisations = model.standardisation([query], options), model.standardisation([gallery], options)
        shares = token_shares(model.network, *traces, embedding, standardisations)
        parts, tokens = shares.terms, torch.stack([shares.query[0], shares.gallery[0]], dim=1).cpu().numpy()
    return PairGraph(regions.regions, regions.cosine[:, 0].cpu().numpy(), parts, tokens)
