"""What a ranking does not keep: where each single match stands, and who stands before the first one."""

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
    """An evaluation, looked at match by match.

    ``query`` and ``gallery`` (P,) int64 are all (query, match) pairs of the split, by query, then by gallery
    index; which pairs there are depends on the split alone, so two models have the same. ``wrong_before`` (P,)
    int64 is n_i of :mod:`ssrnet.metrics`: the wrong images at no greater distance than this match, so were it
    the query's only match it would have rank 1 + n_i.

    ``nearest_wrong`` (Q,) int64 is the gallery index of the nearest image of another vehicle, -1 where there is
    none; ``before`` (Q,) int64 counts the images of that vehicle at no greater distance than the query's
    first match, 0 where there is no match.
    """

    evaluation: Evaluation
    query: np.ndarray
    gallery: np.ndarray
    wrong_before: np.ndarray
    nearest_wrong: np.ndarray
    before: np.ndarray


def inspect(features: FeatureSet, evaluation: Evaluation, re_rank: ReRankSettings | None = None) -> Inspection:
    """Looks at ``evaluation`` again, with the features and the re-ranking that it was made with.

    It costs what ranking costs: the matrix products of query and gallery features, in blocks of at most
    :data:`ssrnet.retrieval.ranking.BLOCK_ELEMENTS` distances. Raises :class:`DataError` where an image has no
    features, or where they give other distances than those that were ranked.
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
    """The arrays of :class:`Inspection`, in its order, for some queries; vehicles: (G,) codes of the gallery's."""
    d, match, wrong = block.distance, block.same & ~block.junk, ~block.same
    n = metrics.wrong_before(d, match, wrong).cpu().numpy()  # (b, M), by distance
    query, gallery = (index.cpu().numpy() for index in match.nonzero(as_tuple=True))
    by_distance = np.lexsort((d[match].cpu().numpy(), query))
    # Sorting leaves each query's pairs where they were, so those of query q begin at starts[q].
    starts = np.searchsorted(query, np.arange(len(d)))
    wrong_before = np.empty(len(query), dtype=np.int64)
    wrong_before[by_distance] = n[query, np.arange(len(query)) - starts[query]]

    nearest_wrong = d.masked_fill(~wrong, torch.inf).argmin(1)  # the first among those tied, as it is ranked
    first_match = d.masked_fill(~match, torch.inf).amin(1, keepdim=True)
    of_vehicle = wrong & (vehicles == vehicles[nearest_wrong][:, None])
    before = (of_vehicle & (d <= first_match)).sum(1).where(match.any(1), 0)
    nearest_wrong = nearest_wrong.where(wrong.any(1), -1)
    return query + block.queries.start, gallery, wrong_before, nearest_wrong.cpu().numpy(), before.cpu().numpy()


def _check_distances(evaluation: Evaluation, nearest: np.ndarray) -> None:
    """nearest: (Q,) distances. Other blocks round other last bits, which near 0 are many digits of the distance."""
    ranked = evaluation.ranking.distance[:, 0]
    if not np.allclose(nearest, ranked, rtol=1e-3, atol=1e-3 * float(np.median(ranked)) + 1e-6):
        raise DataError(
            "these features do not give the distances that were ranked; "
            "pass the features, and the re-ranking, that the evaluation was made with."
        )
