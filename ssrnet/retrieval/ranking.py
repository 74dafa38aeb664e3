"""Exact ranking of a gallery for every query, block by block, without holding the distance matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssrnet import metrics
from ssrnet.data.protocols import Split
from ssrnet.errors import DataError, SettingsError

DistanceName = Literal["cosine", "euclidean"]

BLOCK_ELEMENTS = 16_000_000
"""Distances ranked at once: 64 MB as float32, and a few times that with masks and sort buffers."""

PRODUCT_BLOCKS = 4
"""Blocks whose distances are computed together: a product of few queries takes up to twice as long for each."""


@dataclass(frozen=True)
class Ranking:
    """Per query: the nearest gallery images in order, and the scores over the whole gallery.

    order: (Q, L) int64 indices into the gallery, -1 past the end; each row runs until ``top_k``
    images that are not junk have been listed (junk between them is listed too). distance:
    (Q, L) float32. match, junk: (Q, L) bool. average_precision, inp: (Q,) float64, NaN without a
    match. first_hit: (Q,) int64 rank of the first match among images that are not junk, 0 without. first_match: (Q,)
    int64 its index in the gallery, -1 without, and first_distance: (Q,) float32, however far beyond the list it lies.
    is_labelled: whether the split says which images match; where not, nothing is scored, and the query's own image is junk.
    """

    top_k: int
    order: np.ndarray
    distance: np.ndarray
    match: np.ndarray
    junk: np.ndarray
    average_precision: np.ndarray
    inp: np.ndarray
    first_hit: np.ndarray
    first_match: np.ndarray
    first_distance: np.ndarray
    is_labelled: bool = True

    def __post_init__(self) -> None:
        shape = self.order.shape
        assert self.distance.shape == self.match.shape == self.junk.shape == shape
        assert not (self.match & self.junk).any()
        assert ((self.order >= 0) & ~self.junk).sum(1).max(initial=0) <= self.top_k

    @property
    def metrics(self) -> metrics.Metrics:
        return metrics.Metrics.from_queries(self.average_precision, self.inp, self.first_hit)

    def take(self, queries: Sequence[int]) -> Ranking:
        """The rows of some queries, in that order."""
        rows = np.asarray(queries, dtype=np.int64)
        per_query = [f.name for f in fields(self) if f.name not in ("top_k", "is_labelled")]
        return replace(self, **{name: getattr(self, name)[rows] for name in per_query})

    def top(self, query: int, k: int) -> list[Hit]:
        """The images of one query up to rank ``k``, with the junk among them."""
        hits = self.hits(query)
        last = max((i for i, hit in enumerate(hits) if hit.rank is not None and hit.rank <= k), default=-1)
        return hits[: last + 1]

    def first(self, query: int) -> Hit | None:
        """The first match of one query, wherever it stands; None without one."""
        if not self.first_hit[query]:
            return None
        return Hit(int(self.first_match[query]), float(self.first_distance[query]), True, int(self.first_hit[query]))

    def hits(self, query: int) -> list[Hit]:
        """The ranked images of one query, nearest first; without its own image where there are no labels."""
        listed = int((self.order[query] >= 0).sum())
        rank = np.cumsum(~self.junk[query, :listed])
        return [
            Hit(
                int(self.order[query, i]),
                float(self.distance[query, i]),
                bool(self.match[query, i]) if self.is_labelled else None,
                None if self.junk[query, i] else int(rank[i]),
            )
            for i in range(listed)
            if self.is_labelled or not self.junk[query, i]
        ]


@dataclass(frozen=True)
class Hit:
    """One ranked gallery image.

    ``rank`` counts from 1 over images that are not junk, and is None for junk. ``match`` is None where there are no labels.
    """

    index: int
    distance: float
    match: bool | None
    rank: int | None


def rank(query: Tensor, gallery: Tensor, split: Split, distance: DistanceName = "cosine", top_k: int = 20) -> Ranking:
    """Ranks every gallery image for every query of ``split``.

    query: (Q, D) and gallery: (G, D) features in the split's order, any float type, one device.
    Raises :class:`DataError` where features and split disagree or hold NaN, :class:`SettingsError`
    where ``top_k`` is larger than the gallery.
    """
    check_features(query, gallery, split)
    return rank_blocks(distance_blocks(query, gallery, distance), split, top_k, query.device)


class RankedImage(NamedTuple):
    """One image of a ranked list: its rank from 1 on, its position in the gallery, and its cosine to the query."""

    rank: int
    index: int
    cosine: float


def rank_by_cosine(query: Tensor, gallery: Tensor, top_k: int | None = None) -> list[RankedImage]:
    """The rows of ``gallery`` (N, D) by their cosine to ``query`` (D,), most similar first; all, or ``top_k``.

    For pictures without labels, where :func:`rank` has no match or junk to flag. Equal cosines keep their order.
    Raises :class:`SettingsError` for a ``top_k`` below 1.
    """
    if top_k is not None and top_k < 1:
        raise SettingsError(f"top_k is {top_k}; ask for at least 1 image, or None for all.")
    cosine = torch.nn.functional.cosine_similarity(query[None], gallery)  # (N,)
    order = cosine.argsort(descending=True, stable=True)[:top_k].tolist()
    return [RankedImage(rank, index, float(cosine[index])) for rank, index in enumerate(order, 1)]


def check_features(query: Tensor, gallery: Tensor, split: Split) -> None:
    """Raises :class:`DataError` where features and split disagree, or where features are not finite."""
    for name, features, images in (("query", query, split.query), ("gallery", gallery, split.gallery)):
        if len(features) != len(images):
            raise DataError(
                f"there are {len(features):,} {name} features for {len(images):,} {name} images; "
                "extract the features again from this data set."
            )
        # The extremes pass NaN and infinity on, without torch.isfinite's copies of all the features.
        if features.numel() and not torch.isfinite(torch.stack(torch.aminmax(features))).all():
            raise DataError(f"the {name} features hold NaN or infinity; the checkpoint or the feature file is damaged.")


def rank_blocks(
    distances: Callable[[slice], Tensor], split: Split, top_k: int, device: torch.device | str = "cpu"
) -> Ranking:
    """As :func:`rank`, from a function that gives the distances (b, G) of a slice of the queries."""
    Q, G = len(split.query), len(split.gallery)
    if not Q or not G:
        raise DataError(f"nothing to rank: the split has {Q:,} queries and {G:,} gallery images; both must be present.")
    if not 1 <= top_k <= G:
        raise SettingsError(f"K is {top_k}, but the gallery has {G:,} images; choose K from 1 to {G:,}.")
    rows: list[tuple[np.ndarray, ...]] = []
    for _, d, same, junk in judged_blocks(distances, split, device):
        n = metrics.wrong_before(d, same & ~junk, ~same).cpu().numpy()
        scores = (metrics.average_precision(n), metrics.inverse_negative_penalty(n), metrics.first_hit_rank(n))
        rows.append((*_nearest(d, same, junk, top_k), *scores, *_first_match(d, same & ~junk)))
    width = max(row[0].shape[1] for row in rows)
    pads = (-1, np.inf, False, False)
    columns = [
        np.concatenate([_pad(row[i], width, pads[i]) if i < 4 else row[i] for row in rows]) for i in range(len(rows[0]))
    ]
    return Ranking(top_k, *columns, is_labelled=split.is_labelled)


class Block(NamedTuple):
    """Some queries against the whole gallery. ``same``: images of the query's vehicle; ``junk``: images to ignore.

    Where the split has no labels, no image is ``same``, and the query's own image is ``junk``.
    """

    queries: slice
    distance: Tensor  # (b, G) float
    same: Tensor  # (b, G) bool
    junk: Tensor  # (b, G) bool


def judged_blocks(
    distances: Callable[[slice], Tensor], split: Split, device: torch.device | str = "cpu"
) -> Iterator[Block]:
    """All queries of ``split`` in blocks of at most :data:`BLOCK_ELEMENTS` distances."""
    query_ids, gallery_ids = _codes(split, "vehicle_id" if split.is_labelled else "name", device)
    query_cameras, gallery_cameras = _codes(split, "camera_id", device)
    Q, step = len(split.query), max(1, BLOCK_ELEMENTS // len(split.gallery))
    for start in range(0, Q, step):
        queries = slice(start, min(start + step, Q))
        if start % (PRODUCT_BLOCKS * step) == 0:
            first, together = start, distances(slice(start, min(start + PRODUCT_BLOCKS * step, Q)))
        same = query_ids[queries, None] == gallery_ids
        junk = torch.zeros_like(same)
        if not split.is_labelled:
            same, junk = junk, same
        elif split.same_camera_is_junk:
            junk = same & (query_cameras[queries, None] == gallery_cameras)
        yield Block(queries, together[start - first : queries.stop - first], same, junk)


def distance_blocks(query: Tensor, gallery: Tensor, name: DistanceName) -> Callable[[slice], Tensor]:
    """Distances (b, G) of a slice of the queries (Q, D) to all the gallery (G, D), computed on demand."""
    gallery = gallery.float()
    squared = torch.cat([part.square().sum(1) for part in gallery.split(1024)])  # (G,)

    def block(rows: slice) -> Tensor:
        q = query[rows].float()
        product = _product(q, gallery)  # (b, G)
        norm = q.square().sum(1, keepdim=True)
        if name == "cosine":
            # A zero vector has cosine 0 with everything, as in torch.nn.functional.cosine_similarity.
            product *= norm.clamp_min(1e-16).rsqrt()
            product *= squared.clamp_min(1e-16).rsqrt()
            return product.neg_().add_(1).clamp_min_(0)
        return product.mul_(-2).add_(norm).add_(squared).clamp_min_(0).sqrt_()

    return block


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a (n, D) float32 times b (m, D) float32 transposed, (n, m)."""
    if a.device.type != "cpu":
        return a @ b.T
    # numpy's OpenBLAS took 0.6 to 0.8 of the time of the library that PyTorch's wheels call, on an AMD processor.
    return torch.from_numpy(a.numpy() @ b.numpy().T)


def _nearest(d: Tensor, same: Tensor, junk: Tensor, top_k: int) -> tuple[np.ndarray, ...]:
    """order, distance, match, junk of the nearest images, cut after ``top_k`` that are not junk; each (b, L)."""
    length = min(top_k + int(junk.sum(1, dtype=torch.int32).max()), d.shape[1])
    nearest = d.topk(length, dim=1, largest=False, sorted=True)
    # topk takes any of those tied with the last; all must be there for the order below to choose.
    tied = int((d <= nearest.values[:, -1:]).sum(1, dtype=torch.int32).max())
    order = nearest.indices if tied <= length else d.topk(tied, dim=1, largest=False, sorted=True).indices
    near, match, is_junk = (t.gather(1, order).cpu().numpy() for t in (d, same & ~junk, junk))
    order = order.cpu().numpy()
    # Wrong before right at equal distance, as the metrics count; then by gallery index.
    rearranged = np.lexsort((order, match, near), axis=1)
    order, near, match, is_junk = (np.take_along_axis(a, rearranged, 1) for a in (order, near, match, is_junk))
    counted = np.cumsum(~is_junk, axis=1)
    past = counted - ~is_junk >= top_k
    listed = slice(int((~past).sum(1).max()))
    columns = (
        np.where(past, -1, order),
        np.where(past, np.inf, near).astype(np.float32),
        match & ~past,
        is_junk & ~past,
    )
    return tuple(column[:, listed] for column in columns)


def _first_match(d: Tensor, match: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Index (b,) int64, -1 without a match, and distance (b,) float32 of the nearest match; of equals the first."""
    near = d.masked_fill(~match, torch.inf)
    least = near.amin(1, keepdim=True)
    index = (near == least).int().argmax(1).masked_fill(~match.any(1), -1)
    return index.cpu().numpy(), least[:, 0].float().cpu().numpy()


def _codes(split: Split, attribute: str, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """The attribute of queries (Q,) and gallery (G,) as integers that are equal where the values are."""
    values = [str(getattr(image, attribute)) for image in (*split.query, *split.gallery)]
    codes = torch.from_numpy(np.unique(values, return_inverse=True)[1].astype(np.int32)).to(device)
    return codes[: len(split.query)], codes[len(split.query) :]


def _pad(rows: np.ndarray, width: int, value: object) -> np.ndarray:
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=value)
