"""Slices of a protocol by a property of query and match, with both models' scores on each.

A query often has many matches, some easy and some hard. In each of these slices only the matches with the
slice's property count; the query's other matches are ignored like junk, all wrong images stay, and
a query without a match of that property is not in the slice. Radenović et al. (CVPR 2018, Sec. 3) score
easy and hard matches of one query apart in this way; rank-1, mAP and mINP keep their definitions. A query may be in
several slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ssrnet import metrics
from ssrnet.analysis.attributes import Group, angle_between, coded, grouped, numbers, values
from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.inspection import Inspection
from ssrnet.analysis.query_slices import Slicing, binned, score_slice, slice_queries
from ssrnet.retrieval.metric_intervals import QueryScores

RULE = "only a query's matches in the slice count, the others are ignored"
VIEW_EDGES = (0, 30, 60, 90, 120, 150, 180)
"""Degrees between two viewpoints: twelve hours of a clock face, left and right alike."""
MOST_VALUE_PAIRS = 400
"""Pairs of values that are scored, those with the most (query, match) pairs: enough for 20 cameras."""


def by_value_pair(
    a: Inspection, b: Inspection, attribute: str, group: Group | None = None, most: int = MOST_VALUE_PAIRS
) -> Slicing:
    """By the values of query and match: camera pairs with ``camera_id``, ``day → night`` with a ``group``.

    Slices are titled and sorted by ``query value → match value``; beyond ``most`` those with the fewest pairs
    are left out. Raises :class:`DataError` where no image has the attribute.
    """
    query_codes, match_codes, names = _pair_codes(a, attribute, group)
    codes = np.where((query_codes < 0) | (match_codes < 0), -1, query_codes * len(names) + match_codes)
    distinct, counts = np.unique(codes[codes >= 0], return_counts=True)
    largest = np.sort(distinct[np.argsort(-counts, kind="stable")[:most]])
    titles = [f"{names[code // len(names)]} → {names[code % len(names)]}" for code in largest.tolist()]
    places = np.where(np.isin(codes, largest), np.searchsorted(largest, codes), -1)
    return _slice_pairs(a, b, attribute, places, titles)


def by_agreement(a: Inspection, b: Inspection, attribute: str, group: Group | None = None) -> Slicing:
    """By whether query and match have the same value: ``same light`` and ``different light``."""
    query_codes, match_codes, _ = _pair_codes(a, attribute, group)
    codes = np.where((query_codes < 0) | (match_codes < 0), -1, query_codes != match_codes)
    return _slice_pairs(a, b, attribute, codes, [f"same {attribute}", f"different {attribute}"])


def by_view_difference(
    a: Inspection, b: Inspection, edges: Sequence[float] = VIEW_EDGES, attribute: str = "azimuth"
) -> Slicing:
    """By the smallest angle between the directions from which query and match show the vehicle, 0 to 180 degrees.

    ``attribute`` is an angle in degrees. Raises :class:`DataError` where no image has it or one is not a number.
    """
    return _slice_pairs(a, b, f"{attribute} difference", *binned(_view_differences(a, attribute), edges))


def by_easiest_view(
    a: Inspection, b: Inspection, edges: Sequence[float] = VIEW_EDGES, attribute: str = "azimuth"
) -> Slicing:
    """Queries by the smallest view difference among their matches, all of which count.

    Unlike :func:`by_view_difference` it shows whether queries fail because no match has a similar viewpoint.
    """
    difference = _view_differences(a, attribute)
    easiest = np.full(len(a.evaluation.split.query), np.nan)
    np.fmin.at(easiest, a.query, difference)
    comparison = Comparison(a.evaluation, b.evaluation)
    return slice_queries(comparison, f"smallest {attribute} difference", *binned(easiest, edges))


def pair_scores(inspection: Inspection, pairs: np.ndarray) -> QueryScores:
    """Scores of the queries of some pairs, pairs: (p,) positions, where their other matches are ignored."""
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
    """codes: (P,) the position of each pair's slice among ``titles``, -1 for a pair in none."""
    Comparison(a.evaluation, b.evaluation)  # raises where their pairs differ
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
    all_values = values((*split.query, *split.gallery), attribute)
    codes, names = coded(all_values if group is None else grouped(all_values, group))
    return *_of_pairs(inspection, codes), names


def _view_differences(inspection: Inspection, attribute: str) -> np.ndarray:
    """(P,) degrees in [0, 180], NaN where query or match has no angle."""
    split = inspection.evaluation.split
    return angle_between(*_of_pairs(inspection, numbers((*split.query, *split.gallery), attribute)))


def _of_pairs(inspection: Inspection, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The entries of query and match (P,) of every pair; x: (Q + G,), of queries, then gallery."""
    return x[inspection.query], x[len(inspection.evaluation.split.query) + inspection.gallery]
