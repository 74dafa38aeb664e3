"""The rank of every single match, and the nearest wrong vehicle of every query: what a :class:`Ranking` leaves out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ssrnet import metrics
from ssrnet.errors import DataError
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import Block, check_features, distance_blocks, judged_blocks
from ssrnet.retrieval.reranking import ReRankSettings, k_reciprocal_distances


@dataclass(frozen=True)
class Inspection:
    """An evaluation, match by match.

    ``query`` and ``gallery`` (P,) int64 are all (query, match) pairs of the split, by query, then by gallery
    index. They depend on the split alone, so two models have the same pairs. ``wrong_before`` (P,) int64 is n_i of
    :mod:`ssrnet.metrics`: the wrong images at no greater distance than this match. As the query's only match it
    would have rank 1 + n_i.

    ``nearest_wrong`` (Q,) int64 is the gallery index of the nearest image of another vehicle, -1 without one.
    ``images_before`` (Q,) int64 counts the images of that vehicle at no greater distance than the query's first
    match, 0 without a match.
    """

    evaluation: Evaluation
    query: np.ndarray
    gallery: np.ndarray
    wrong_before: np.ndarray
    nearest_wrong: np.ndarray
    images_before: np.ndarray


def inspect(features: FeatureSet, evaluation: Evaluation, re_rank: ReRankSettings | None = None) -> Inspection:
    """Ranks again, with the features and the re-ranking of ``evaluation``, and records every match.

    Costs as much as ranking: the matrix products of query and gallery features, in blocks of at most
    :data:`ssrnet.retrieval.ranking.BLOCK_ELEMENTS` distances. Raises :class:`DataError` where an image has no
    features, or where the features give other distances than those of the evaluation.
    """
    split = evaluation.split
    query, gallery = features.rows(split.query), features.rows(split.gallery)
    check_features(query, gallery, split)
    if re_rank is None:
        distances = distance_blocks(query, gallery, evaluation.record.distance)
    else:
        distances = k_reciprocal_distances(query, gallery, re_rank).__getitem__
    vehicles = np.unique([image.vehicle_id for image in split.gallery], return_inverse=True)[1]
    codes = torch.from_numpy(vehicles.astype(np.int64)).to(query.device)
    nearest, rows = [], []
    for block in judged_blocks(distances, split, query.device):
        nearest.append(block.distance.amin(1).cpu().numpy())
        rows.append(_inspect_block(block, codes))
    _check_distances(evaluation, np.concatenate(nearest))
    return Inspection(evaluation, *(np.concatenate(column) for column in zip(*rows, strict=True)))


def _inspect_block(block: Block, vehicles: Tensor) -> tuple[np.ndarray, ...]:
    """The arrays of :class:`Inspection`, in its order, for a block of queries. vehicles: (G,) ids as integers."""
    d, match, wrong = block.distance, block.same & ~block.junk, ~block.same
    n = metrics.wrong_before(d, match, wrong).cpu().numpy()  # (b, M), by distance
    query, gallery = (index.cpu().numpy() for index in match.nonzero(as_tuple=True))
    by_distance = np.lexsort((d[match].cpu().numpy(), query))
    # Sorting by distance keeps each query's pairs together, so those of query q begin at starts[q].
    starts = np.searchsorted(query, np.arange(len(d)))
    wrong_before = np.empty(len(query), dtype=np.int64)
    wrong_before[by_distance] = n[query, np.arange(len(query)) - starts[query]]

    nearest_wrong = d.masked_fill(~wrong, torch.inf).argmin(1)  # of tied images the first, as in the ranking
    first_match = d.masked_fill(~match, torch.inf).amin(1, keepdim=True)
    of_vehicle = wrong & (vehicles == vehicles[nearest_wrong][:, None])
    images_before = (of_vehicle & (d <= first_match)).sum(1).where(match.any(1), 0)
    nearest_wrong = nearest_wrong.where(wrong.any(1), -1)
    return query + block.queries.start, gallery, wrong_before, nearest_wrong.cpu().numpy(), images_before.cpu().numpy()


def _check_distances(evaluation: Evaluation, nearest: np.ndarray) -> None:
    """nearest: (Q,) distances. Block sizes change the rounding, which near 0 shows in many digits: so a tolerance."""
    ranked = evaluation.ranking.distance[:, 0]
    if not np.allclose(nearest, ranked, rtol=1e-3, atol=1e-3 * float(np.median(ranked)) + 1e-6):
        raise DataError(
            "these features do not give the distances of the evaluation; "
            "pass the features and the re-ranking that it was made with."
        )
