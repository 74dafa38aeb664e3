"""Both models on some of the (query, match) pairs: slices of a protocol by what is known of query and match.

A query often has many matches, some easy and some hard. In each of these slices only the matches with the
slice's property count; the query's other matches are ignored as junk is, all wrong images stay, and
a query without a match of that property is not in the slice. So Radenović et al. (CVPR 2018, Sec. 3) score the
easy and the hard matches of one query apart, and so rank-1, mAP and mINP keep their definitions. A query may be in
several slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ssrnet import metrics
from ssrnet.analysis.attributes import Group, angle_between, coded, grouped, numbers, values
from ssrnet.analysis.comparison import compare
from ssrnet.analysis.inspection import Inspection
from ssrnet.analysis.query_slices import Slicing, binned, score_slice, slice_queries
from ssrnet.retrieval.metric_intervals import QueryScores

RULE = "of a query's matches only those of the slice count, the others are ignored"
VIEW_EDGES = (0, 30, 60, 90, 120, 150, 180)
"""Degrees between two viewpoints: twelve hours of a clock face, left and right alike."""
MOST_PAIRS = 400
"""Slices by two values that are scored, those with the most pairs: all of 20 cameras."""


def by_value_pair(
    a: Inspection, b: Inspection, attribute: str, group: Group | None = None, most: int = MOST_PAIRS
) -> Slicing:
    """By the query's value and the match's: camera pairs with ``camera_id``, ``day → night`` with a ``group``.

    Slices are titled ``query's → match's`` and in that order; beyond ``most`` those with the fewest pairs
    are left out. Raises :class:`DataError` where no image has the attribute.
    """
    asked, stored, names = _pair_codes(a, attribute, group)
    codes = np.where((asked < 0) | (stored < 0), -1, asked * len(names) + stored)
    found, counts = np.unique(codes[codes >= 0], return_counts=True)
    kept = np.sort(found[np.argsort(-counts, kind="stable")[:most]])
    titles = [f"{names[code // len(names)]} → {names[code % len(names)]}" for code in kept.tolist()]
    place = np.where(np.isin(codes, kept), np.searchsorted(kept, codes), -1)
    return _slice_pairs(a, b, attribute, place, titles)


def by_agreement(a: Inspection, b: Inspection, attribute: str, group: Group | None = None) -> Slicing:
    """By whether query and match have the same value: ``same light`` and ``different light``."""
    asked, stored, _ = _pair_codes(a, attribute, group)
    codes = np.where((asked < 0) | (stored < 0), -1, asked != stored)
    return _slice_pairs(a, b, attribute, codes, [f"same {attribute}", f"different {attribute}"])


def by_view_difference(
    a: Inspection, b: Inspection, edges: Sequence[float] = VIEW_EDGES, attribute: str = "azimuth"
) -> Slicing:
    """By the smallest angle between the directions from which query and match show the vehicle, 0 to 180 degrees.

    ``attribute`` is an angle in degrees. Raises :class:`DataError` where no image has it or one is no number.
    """
    return _slice_pairs(a, b, f"{attribute} difference", *binned(_view_differences(a, attribute), edges))


def by_easiest_view(
    a: Inspection, b: Inspection, edges: Sequence[float] = VIEW_EDGES, attribute: str = "azimuth"
) -> Slicing:
    """Queries by the smallest :func:`by_view_difference` among their matches, of which all count.

    It asks another question than the pairs: whether a query fails for want of any match from a like viewpoint.
    """
    difference = _view_differences(a, attribute)
    easiest = np.full(len(a.evaluation.split.query), np.nan)
    np.fmin.at(easiest, a.query, difference)
    comparison = compare(a.evaluation, b.evaluation)
    return slice_queries(comparison, f"smallest {attribute} difference", *binned(easiest, edges))


def pair_scores(inspection: Inspection, pairs: np.ndarray) -> QueryScores:
    """What the queries of some pairs (positions, (p,)) score where their other matches are ignored."""
    queries, row = np.unique(inspection.query[pairs], return_inverse=True)
    by_rank = np.lexsort((inspection.wrong_before[pairs], row))
    row = row[by_rank]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    n = np.full((len(queries), place.max(initial=-1) + 1), -1)  # (queries, M) as in ssrnet.metrics
    n[row, place] = inspection.wrong_before[pairs][by_rank]
    vehicles = [inspection.evaluation.split.query[q].vehicle_id for q in queries]
    scores = metrics.average_precision(n), metrics.inverse_negative_penalty(n), metrics.first_hit_rank(n)
    return QueryScores.from_queries(vehicles, *scores)


def _slice_pairs(a: Inspection, b: Inspection, by: str, codes: np.ndarray, titles: Sequence[str]) -> Slicing:
    """codes: (P,) the position of each pair's slice among ``titles``, -1 for a pair that is in none."""
    compare(a.evaluation, b.evaluation)
    by_code = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[by_code], range(len(titles) + 1))
    slices = []
    for title, (low, high) in zip(titles, pairwise(bounds), strict=True):
        pairs = by_code[low:high]
        if len(pairs):
            slices.append(score_slice(title, pair_scores(a, pairs), pair_scores(b, pairs), len(pairs)))
    placed = len(np.unique(a.query[codes >= 0]))
    return Slicing(by, RULE, tuple(slices), len(np.unique(a.query)) - placed)


def _pair_codes(
    inspection: Inspection, attribute: str, group: Group | None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The values of query and match of every pair (P,) as positions among the last, -1 where unknown."""
    split = inspection.evaluation.split
    found = values((*split.query, *split.gallery), attribute)
    codes, names = coded(found if group is None else grouped(found, group))
    return *_of_pairs(inspection, codes), names


def _view_differences(inspection: Inspection, attribute: str) -> np.ndarray:
    """(P,) degrees in [0, 180], NaN where query or match has no angle."""
    split = inspection.evaluation.split
    return angle_between(*_of_pairs(inspection, numbers((*split.query, *split.gallery), attribute)))


def _of_pairs(inspection: Inspection, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """found: (Q + G,) of queries and gallery; both (P,)."""
    return found[inspection.query], found[len(inspection.evaluation.split.query) + inspection.gallery]
