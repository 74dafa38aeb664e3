"""Why a model finds two images alike: branch shares and ranks, maps over both, and the graph's nodes.

As in :mod:`app.workbench`, nothing here imports torchvision or grad-cam before a map is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from app.workbench import OpenedModel, RankingOptions
from app.workbench.cache import cached
from app.workbench.images import aspect_ratio, data_uri, reduced, square, thumbnail
from app.workbench.queries import Query, query_embedding, query_position
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage
from ssrnet.explain.attention import warped
from ssrnet.explain.lead import NodeLead, branch_lead, node_lead
from ssrnet.explain.overlay import Scale, overlay, scale_of
from ssrnet.explain.relations import CellMap, cell_cosines, node_pair_cosines
from ssrnet.model import EmbeddingSettings
from ssrnet.predictor import ImageView
from ssrnet.retrieval.alignment import Standardisation
from ssrnet.retrieval.verification import Verification, verify

if TYPE_CHECKING:
    from ssrnet.explain.image_maps import ImageMap

CELL_PICTURE = 360
"""Pixels of the height of a picture whose cells one points at."""


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
    """Two images as (H, W, 3) uint8 at their own aspect ratios, the query first, with their similarity maps."""

    photographs: tuple[np.ndarray, np.ndarray]
    maps: tuple[ImageMap, ImageMap]
    similarity: float

    @property
    def empty(self) -> tuple[bool, bool]:
        """Whether no cell of the query, of the gallery image, raises the similarity."""
        return tuple(not one.cells.any() for one in self.maps)

    @property
    def scale(self) -> Scale:
        """From 0 to the highest value of both maps."""
        return Scale(0.0, scale_of(one.cells for one in self.maps).high)

    def painted(self, scale: Scale, colours: str) -> list[str]:
        """Both images under their maps, as data URIs."""
        return [
            data_uri(overlay(photograph, scale.fractions(one.at(photograph.shape[:2])), colours=colours))
            for photograph, one in zip(self.photographs, self.maps, strict=True)
        ]


@dataclass(frozen=True)
class PairGraph:
    """names: the graph's nodes. pairs: (l + 1, n, n) cosines of the query's nodes (rows) and the other's, layer by layer.

    parts: the nodes and the neck with (n + 1, 2) ``tokens``: each part's share in the cosine, of the query's
    token and of the gallery image's.
    """

    names: tuple[str, ...]
    pairs: np.ndarray
    parts: tuple[str, ...]
    tokens: np.ndarray


@dataclass(frozen=True)
class Rival:
    """What a gallery image is weighed against: for an error the first match of the ranking, for a match its first error.

    index: in the gallery. rank: of the rival.
    """

    index: int
    rank: int
    is_match: bool


@dataclass(frozen=True)
class PairLead:
    """By how much the query is nearer to a gallery image than to its rival; ``branches`` add up to that.

    rival: the rival's branch shares. nodes: None where the relation branch does not count.
    """

    rival: PairShares
    branches: Mapping[str, float]
    nodes: NodeLead | None

    @property
    def total(self) -> float:
        return sum(self.branches.values())


@dataclass(frozen=True)
class Cells:
    """size: (H, W) cells of the feature map. cosines: (N, H·W, H·W) of the query's cells (rows) with those of N images.

    pictures: the query's and theirs as data URIs, as the cells lie on them; ratios: width over height of each.
    """

    size: tuple[int, int]
    cosines: np.ndarray
    pictures: tuple[str, ...]
    ratios: tuple[float, ...]


def pair_shares(model: OpenedModel, options: RankingOptions, query: Query, gallery: int) -> PairShares:
    """One gallery image, by its position in the split, for one query; of cosines, without expansion or re-ranking."""
    branches, position = model.branch_features(options), query_position(query)
    embedding = query_embedding(model, query, options)
    ranks = branches.branch_ranks(position, embedding=embedding)
    shares = branches.products(position, embedding).shares()[:, gallery]  # (B,)
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
    """Similarity maps of the two images, of which either may be an upload, in both directions; ``options`` say what is compared."""

    def compute() -> PairPictures:
        pictures = query.read(), gallery.read()
        standardisation = model.standardisation([query, gallery], options)
        return _pictures(
            model, model.views([query, gallery]), pictures, method, _embedding(model, options), standardisation
        )

    return cached("pair pictures", (model, query, gallery, method, options), compute, 128)


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


def find_rival(model: OpenedModel, options: RankingOptions, query: Query, gallery: int) -> Rival | None:
    """The rival of a gallery image, by its position in the split, for one query.

    None for junk, where all others are alike, and for an upload, for which none is right or wrong.
    """
    if isinstance(query, UploadedImage):
        return None
    ranking = model.branch_features(options).rank(query)
    hits = {hit.index: hit for hit in ranking.hits(0)}
    own = hits.get(gallery)  # without labels the query's own image is not among them
    if own is None or own.rank is None:
        return None
    others = (hit for hit in hits.values() if hit.rank is not None and hit.match != own.match)
    first = next(others, None)
    return None if first is None else Rival(first.index, first.rank, first.match)


def pair_lead(model: OpenedModel, options: RankingOptions, query: int, gallery: int, rival: Rival) -> PairLead:
    """The lead of a gallery image over its rival, of cosines, without expansion or re-ranking."""

    def compute() -> PairLead:
        shares = [pair_shares(model, options, query, index) for index in (gallery, rival.index)]
        return PairLead(
            shares[1],
            branch_lead(*(each.shares for each in shares)),
            _node_lead(model, options, query, gallery, rival.index),
        )

    return cached("pair leads", (model, options, query, gallery, rival.index), compute, 256)


def cells(model: OpenedModel, images: Sequence[VehicleImage], feature_map: CellMap) -> Cells:
    """The query, first among ``images``, cell by cell against the others."""

    def compute() -> Cells:
        query, *others = traces = [view.trace for view in model.views(images)]
        height, width = query.F_G.shape[2:]
        cosines = [cell_cosines(query, other, feature_map).flatten(2).flatten(0, 1) for other in others]
        shown = [_as_the_cells_lie(image, trace.theta) for image, trace in zip(images, traces, strict=True)]
        return Cells((height, width), torch.stack(cosines).cpu().numpy(), *zip(*shown, strict=True))

    return cached("cells", (model.hash, tuple(images), feature_map), compute, 32)


def verification(model: OpenedModel) -> Verification:
    """The cosines of the protocol's pairs, of one vehicle and of two."""
    return cached("verifications", model, lambda: verify(model.compared_features(), model.split), 16, "Counting pairs")


def _embedding(model: OpenedModel, options: RankingOptions) -> EmbeddingSettings:
    """How the network makes of an image what ``options`` compare."""
    return options.embedding(options.chosen_branches(model.features(settings=options.extraction)))


def _pictures(
    model: OpenedModel,
    views: tuple[ImageView, ImageView] | list[ImageView],
    pictures: tuple[Image.Image, Image.Image],
    method: str,
    embedding: EmbeddingSettings,
    standardisation: Standardisation | None,
) -> PairPictures:
    from ssrnet.explain.cam import CamSettings, pair_cams
    from ssrnet.explain.image_maps import ImageMap

    feature_maps = [view.feature_map for view in views]
    maps = pair_cams(model.network, *feature_maps, embedding, CamSettings(method), standardisation=standardisation)
    query, gallery = (ImageMap(*one) for one in zip((maps.query, maps.gallery), [each.theta for each in feature_maps]))
    first, second = (np.asarray(reduced(picture)) for picture in pictures)
    return PairPictures((first, second), (query, gallery), maps.similarity)


def _graph(model: OpenedModel, query: VehicleImage, gallery: VehicleImage, options: RankingOptions) -> PairGraph:
    from ssrnet.explain.token_shares import token_shares

    traces = [view.trace for view in model.views([query, gallery])]
    parts: tuple[str, ...] = ()
    tokens = np.zeros((0, 2))
    embedding = _embedding(model, options)
    if not embedding.branches or "token" in embedding.branches:
        standardisations = model.standardisation([query], options), model.standardisation([gallery], options)
        shares = token_shares(model.network, *traces, embedding, standardisations)
        parts, tokens = shares.terms, torch.stack([shares.query[0], shares.gallery[0]], dim=1).cpu().numpy()
    return PairGraph(traces[0].nodes, node_pair_cosines(*traces)[:, 0].cpu().numpy(), parts, tokens)


def _node_lead(model: OpenedModel, options: RankingOptions, query: int, gallery: int, rival: int) -> NodeLead | None:
    embedding = _embedding(model, options) if model.has_graph else None
    if embedding is None or (embedding.branches and "token" not in embedding.branches):
        return None
    images = model.split.query[query], model.split.gallery[gallery], model.split.gallery[rival]
    traces = [view.trace for view in model.views(images)]
    asked, first, second = (model.standardisation([image], options) for image in images)
    return node_lead(model.network, *traces, embedding, ((asked, first), (asked, second)))


def _as_the_cells_lie(image: VehicleImage, theta: torch.Tensor | None) -> tuple[str, float]:
    """The picture as a data URI, and its width over height; warped as a spatial transformer with ``theta`` shows it."""
    if theta is None:
        return thumbnail(image, CELL_PICTURE), aspect_ratio(image)
    return data_uri(warped(square(image.read(), CELL_PICTURE), theta)), 1.0
