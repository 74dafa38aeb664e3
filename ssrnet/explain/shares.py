"""The cosine of a pair as the sum of its branches' shares, and ranks with some of the branches.

An embedding is its branches side by side (paper Sec. 3.1), so that

    cos(a, b) = sum over branches of a_i . b_i / (|a| |b|)

exactly, whatever the embedding's settings, since they act within a branch. Everything is computed from stored
features; no network runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import SettingsError
from ssrnet.retrieval.alignment import CameraStatistics, cameras_of
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import DistanceName, RankedImage, Ranking, check_features, rank_blocks

ELSEWHERE = VehicleImage(Path(), "", None)
"""Stands for a picture from elsewhere among a split's queries: no image of the gallery has its name, so none is junk."""


@dataclass(frozen=True)
class BranchProducts:
    """Inner products of one query and G images by branch, from which cosines and distances with any branches follow.

    dot: (B, G) inner products. query: (B,) and gallery: (B, G) squared lengths. Rows in the order of ``branches``.
    """

    branches: tuple[str, ...]
    dot: Tensor
    query: Tensor
    gallery: Tensor

    def shares(self, branches: Sequence[str] = ()) -> Tensor:
        """(B, G) in [-1, 1]: each branch's share of the cosine; their sum is the cosine.

        With ``branches``, (len(branches), G): the shares of the embedding made of these alone, in the model's order.
        """
        rows = self._rows(branches)
        # As in ranking: a zero vector has cosine 0 with everything.
        lengths = self.query[rows].sum().clamp_min(1e-16).rsqrt() * self.gallery[rows].sum(0).clamp_min(1e-16).rsqrt()
        return self.dot[rows] * lengths

    def distance(self, name: DistanceName = "cosine", branches: Sequence[str] = ()) -> Tensor:
        """(G,) distances as in :func:`ssrnet.retrieval.ranking.rank`, with some of the branches."""
        if name == "cosine":
            return (1 - self.shares(branches).sum(0)).clamp_min(0)
        rows = self._rows(branches)
        squared = self.query[rows].sum() + self.gallery[rows].sum(0) - 2 * self.dot[rows].sum(0)
        return squared.clamp_min(0).sqrt()

    def nearest(self, top_k: int) -> list[RankedImage]:
        """The images with the largest cosines, for a query without labels, of which none is a match or junk."""
        cosine = self.shares().sum(0)
        order = cosine.argsort(descending=True, stable=True)[:top_k].tolist()
        return [RankedImage(rank, index, float(cosine[index])) for rank, index in enumerate(order, 1)]

    def _rows(self, branches: Sequence[str]) -> list[int]:
        absent = [branch for branch in branches if branch not in self.branches]
        if absent:
            raise SettingsError(
                f"the features have no branch {', '.join(absent)}; they have {', '.join(self.branches)}: "
                "choose among these."
            )
        return [row for row, branch in enumerate(self.branches) if not branches or branch in branches]


def branch_products(query: Tensor, gallery: Tensor, branch_dims: Mapping[str, int]) -> BranchProducts:
    """Products of a query (D,) and a gallery (G, D); ``branch_dims`` has the number of columns of each branch."""
    by_branch = dict(zip(branch_dims, gallery.float().split(list(branch_dims.values()), dim=1), strict=True))
    return _products(query, by_branch, {branch: columns.square().sum(1) for branch, columns in by_branch.items()})


def _products(query: Tensor, gallery: Mapping[str, Tensor], squared: Mapping[str, Tensor]) -> BranchProducts:
    device = next(iter(gallery.values())).device
    query_columns = query.to(device, torch.float32).split([columns.shape[1] for columns in gallery.values()])
    return BranchProducts(
        tuple(gallery),
        torch.stack([g @ q for q, g in zip(query_columns, gallery.values(), strict=True)]),
        torch.stack([q.square().sum() for q in query_columns]),
        torch.stack(list(squared.values())),
    )


@dataclass(frozen=True)
class BranchFeatures:
    """A split's features by branch, with the gallery's lengths computed once: a query is ranked in milliseconds.

    query: branch -> (Q, d) and gallery: branch -> (G, d), in the split's order. squared: branch -> (G,).
    statistics: those by which they were aligned, and by which embeddings given later are; None for raw features.
    """

    split: Split
    query: Mapping[str, Tensor]
    gallery: Mapping[str, Tensor]
    squared: Mapping[str, Tensor]
    statistics: CameraStatistics | None = None

    @classmethod
    def of(cls, features: FeatureSet, split: Split, statistics: CameraStatistics | None = None) -> BranchFeatures:
        """Raises :class:`DataError` for images without features, and for features that are not finite."""
        rows = features.rows(split.query), features.rows(split.gallery)
        check_features(*rows, split)
        if statistics is not None:
            rows = tuple(
                statistics.align(x, cameras_of(images)) for x, images in zip(rows, (split.query, split.gallery))
            )
        dims = list(features.branch_dims.values())
        query, gallery = (dict(zip(features.branch_dims, x.split(dims, dim=1), strict=True)) for x in rows)
        squared = {branch: x.square().sum(1) for branch, x in gallery.items()}
        return cls(split, query, gallery, squared, statistics)

    def replaced(self, branch: str, query: Tensor, gallery: Tensor) -> BranchFeatures:
        """A copy with other columns, (Q, d) and (G, d) not aligned, for one branch."""
        if self.statistics is not None:
            dims = [x.shape[1] for x in self.query.values()]
            start = sum(dims[: list(self.query).index(branch)])
            own = self.statistics.only(slice(start, start + self.query[branch].shape[1]))
            query, gallery = (
                own.align(query, cameras_of(self.split.query)),
                own.align(gallery, cameras_of(self.split.gallery)),
            )
        return replace(
            self,
            query={**self.query, branch: query},
            gallery={**self.gallery, branch: gallery},
            squared={**self.squared, branch: gallery.square().sum(1)},
        )

    def embedding(self, query: int) -> Tensor:
        """(D,): the embedding of one query."""
        return torch.cat([x[query] for x in self.query.values()])

    def products(self, query: int | None, embedding: Tensor | None = None) -> BranchProducts:
        """One query, or an ``embedding`` (D,), not aligned, in its place, against the gallery.

        Where ``query`` is None, the embedding is of a picture from elsewhere, and aligned by the whole set's statistics.
        """
        vector = self.embedding(query) if embedding is None else embedding
        if embedding is not None and self.statistics is not None:
            camera = None if query is None else self.split.query[query].camera_id
            vector = self.statistics.align(embedding[None].cpu(), [camera])[0]
        return _products(vector, self.gallery, self.squared)

    def rank(
        self,
        query: int | None,
        branches: Sequence[str] = (),
        distance: DistanceName = "cosine",
        embedding: Tensor | None = None,
    ) -> Ranking:
        """The gallery ranked for one query, or for an ``embedding`` (D,), not aligned, in its place, with some branches.

        Ties and junk count as in every ranking. For a picture from elsewhere (``query`` None) no image is a match or junk.
        Raises :class:`SettingsError` for a branch that the features lack.
        """
        return self._rank(query, self.products(query, embedding), branches, distance)

    def branch_ranks(
        self, query: int | None, distance: DistanceName = "cosine", embedding: Tensor | None = None
    ) -> BranchRanks:
        """The rank of each gallery image with all branches, and without each of them; the rest is as in :meth:`rank`."""
        products = self.products(query, embedding)

        def ranks(branches: Sequence[str]) -> np.ndarray:
            return image_ranks(self._rank(query, products, branches, distance))

        names = products.branches
        without = {left: ranks([b for b in names if b != left]) for left in names} if len(names) > 1 else {}
        return BranchRanks(ranks(names), without)

    def _rank(
        self, query: int | None, products: BranchProducts, branches: Sequence[str], distance: DistanceName
    ) -> Ranking:
        row = products.distance(distance, branches)[None]  # (1, G)
        split = of_one_query(self.split, query)
        return rank_blocks(row.__getitem__, split, len(split.gallery), row.device)


@dataclass(frozen=True)
class BranchRanks:
    """Ranks of the whole gallery for one query, (G,) int64 each, as in :func:`image_ranks`.

    ``without``: by branch, the ranks without it; empty for a model of a single branch.
    """

    whole: np.ndarray
    without: Mapping[str, np.ndarray]

    def pulled_up(self, branch: str) -> np.ndarray:
        """(G,): ranks by which a branch pulls each image up, negative where it pushes it down; 0 for junk."""
        return self.without[branch] - self.whole


def of_one_query(split: Split, query: int | None) -> Split:
    """The split with one of its queries alone, or with a picture from elsewhere, which has no labels."""
    if query is None:
        return replace(split, query=(ELSEWHERE,), same_camera_is_junk=False, is_labelled=False)
    return replace(split, query=(split.query[query],))


def image_ranks(ranking: Ranking, query: int = 0) -> np.ndarray:
    """(G,) int64: each gallery image's rank, from 1 over the images that are not junk; 0 for junk.

    ``ranking`` must list the whole gallery, as :meth:`BranchFeatures.rank` does.
    """
    order, junk = ranking.order[query], ranking.junk[query]
    ranks = np.zeros(len(order), dtype=np.int64)
    ranks[order] = np.where(junk, 0, np.cumsum(~junk))
    return ranks
