"""One picture's way through one network, as the Story page steps through it; an upload's in the viewer's session alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
from torch import Tensor

from app.workbench import OpenedModel, RankingOptions
from app.workbench.cache import cached, session_cached
from app.workbench.images import SIDE, Picture, data_uri, reduced, square
from app.workbench.matches import pair_shares
from ssrnet.data.records import VehicleImage
from ssrnet.explain import stages
from ssrnet.explain.image_maps import ImageMap
from ssrnet.explain.overlay import DEFAULT_COLOURS, Scale, coloured_image, overlay, scale_of
from ssrnet.explain.shares import BranchProducts
from ssrnet.model import Trace
from ssrnet.retrieval.alignment import Standardisation
from ssrnet.retrieval.ranking import RankedImage

T = TypeVar("T")


class Painted(NamedTuple):
    """A picture as a data URI; of a map, the values at the ends of its colours, and their name in :data:`COLOUR_MAPS`."""

    uri: str
    scale: Scale | None = None
    colours: str = DEFAULT_COLOURS


class Nearest(NamedTuple):
    """The gallery image that a network ranks first, by its position; ``shares`` of the branches add up to ``cosine``."""

    gallery: int
    cosine: float
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Story:
    """A query of the split, at its position ``query``, or an upload, for which that is None, in one network.

    colours: of all maps, by a name in :data:`COLOUR_MAPS`. same_scale: whether maps of a kind share one range.
    """

    model: OpenedModel
    picture: Picture
    query: int | None
    colours: str = DEFAULT_COLOURS
    same_scale: bool = False

    @property
    def name(self) -> str:
        return self.picture.name if isinstance(self.picture, VehicleImage) else "the uploaded picture"

    @property
    def trace(self) -> Trace:
        """As the network was trained; F_G is computed once."""
        is_upload = self.query is None
        return (self.model.session_view(self.picture) if is_upload else self.model.view(self.picture)).trace

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the file's picture in pixels."""
        if self.query is None:
            return self.picture.size
        return self.kept("sizes", lambda: self.picture.read().size)

    @property
    def standardisation(self) -> Standardisation | None:
        """What alignment does to this picture's embedding; None where features are not aligned."""
        return self.model.standardisation([None if self.query is None else self.picture])

    def of(self, model: OpenedModel) -> Story:
        """The same picture in another network."""
        return replace(self, model=model)

    def kept(self, kind: str, make: Callable[[], T], *key: object) -> T:
        """What ``make`` computes of the picture in this network and of ``key``, from the cache once it has been."""
        if self.query is None:
            return session_cached((kind, self.model, self.picture, *key), make)
        return cached(f"story: {kind}", (self.model, self.picture, *key), make, 256)

    def square(self, side: int = SIDE) -> np.ndarray:
        """(side, side, 3) uint8: the picture stretched as the network sees it."""
        picture = self.picture if self.query is None else self.picture.read()
        return self.kept("square", lambda: square(picture, side), side)

    def square_uri(self) -> str:
        return self.kept("square's URI", lambda: data_uri(self.square()))

    def over(self, name: str, cells: np.ndarray, of_a_kind: Iterable[np.ndarray] = ()) -> Painted:
        """A map (H, W) of cells over the whole picture; ``name`` tells maps apart, ``of_a_kind`` may share their range with it."""
        scale = self._scale(cells, of_a_kind)

        def paint() -> str:
            pixels = np.asarray(reduced(self.picture if self.query is None else self.picture.read()))
            heat = scale.fractions(ImageMap(cells, self.trace.theta).at(pixels.shape[:2]))
            return data_uri(overlay(pixels, heat, colours=self.colours))

        return Painted(self.kept("maps", paint, name, scale, self.colours), scale, self.colours)

    def strip(self, name: str, rows: Tensor, of_a_kind: Iterable[Tensor] = ()) -> Painted:
        """Rows (n, d) of numbers as n lines of d coloured points; the rest is as in :meth:`over`."""
        values = _numbers(rows)
        scale = self._scale(values, map(_numbers, of_a_kind))

        def paint() -> str:
            return data_uri(coloured_image(scale.fractions(values), self.colours), "png")

        return Painted(self.kept("strips", paint, name, scale, self.colours), scale, self.colours)

    def _scale(self, values: np.ndarray, of_a_kind: Iterable[np.ndarray]) -> Scale:
        return scale_of([values, *(of_a_kind if self.same_scale else ())])

    def largest_means(self, count: int) -> stages.LargestMeans:
        return self.kept("largest means", lambda: stages.largest_means(self.trace, count))

    def messages(self) -> stages.Messages:
        return self.kept("messages", lambda: stages.messages(self.model.network, self.trace))

    def length_shares(self) -> dict[str, float]:
        return self.kept("length shares", lambda: stages.length_shares(self.trace, self.standardisation))

    def nearest(self) -> Nearest | None:
        """The first of the ranked list and why; None where every gallery image is junk."""
        return self.kept("nearest", self._nearest)

    def ranked(self, top_k: int) -> list[RankedImage]:
        """The gallery's first images for an upload, which has no matches and no junk."""
        return self._products().nearest(top_k)

    def _nearest(self) -> Nearest | None:
        if self.query is None:
            products = self._products()
            (first,) = products.nearest(1)
            shares = products.shares()[:, first.index].tolist()
            return Nearest(first.index, first.cosine, dict(zip(products.branches, shares, strict=True)))
        hits = self.model.branch_features().rank(self.query).top(0, 1)
        first = next((hit for hit in hits if hit.rank is not None), None)
        if first is None:
            return None
        shares = pair_shares(self.model, RankingOptions(), self.query, first.index)
        return Nearest(first.index, shares.cosine, shares.shares)

    def _products(self) -> BranchProducts:
        def compute() -> BranchProducts:
            (embedding,) = self.model.embed([self.picture])
            return self.model.branch_features().products(None, embedding)

        return self.kept("products", compute)


def _numbers(rows: Tensor) -> np.ndarray:
    """(n, d) of rows (n, d) or of one (d,)."""
    return np.atleast_2d(rows.detach().float().cpu().numpy())
