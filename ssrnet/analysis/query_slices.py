"""Slices of a protocol by a property of the query, with both models' scores on each.

The gallery stays whole and all matches count. Slices by a property of query *and* match are in
:mod:`ssrnet.analysis.pair_slices`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ssrnet.analysis.attributes import SIBLING, Group, coded, grouped, numbers, values
from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.csv_rows import Row
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError, SettingsError
from ssrnet.retrieval.evaluation import query_scores
from ssrnet.retrieval.metric_intervals import Estimate, QueryScores, differences, estimates
from ssrnet.retrieval.query_filters import MOST_SLICES

FEW_VEHICLES = 20
"""Below this an interval over vehicles is too narrow (:mod:`ssrnet.retrieval.metric_intervals`)."""
QUARTILES = (0, 0.25, 0.5, 0.75, 1)


@dataclass(frozen=True)
class Slice:
    """Both models' scores on some queries, by metric (:data:`ssrnet.retrieval.metric_intervals.METRICS`).

    Intervals are 95 % bootstrap intervals over vehicles. ``difference`` is b minus a, from the same draws for both.
    ``pairs`` is the number of (query, match) pairs that count, None where all do.
    """

    title: str
    queries: int
    vehicles: int
    pairs: int | None
    a: Mapping[str, Estimate]
    b: Mapping[str, Estimate]
    difference: Mapping[str, Estimate]

    @property
    def few(self) -> bool:
        """Whether there are too few query vehicles for the intervals to be trusted."""
        return self.vehicles < FEW_VEHICLES


@dataclass(frozen=True)
class Slicing:
    """All slices by one property. ``rule`` says which matches count; ``unplaced`` queries with a match are in no slice.

    Each interval is for one slice alone: of many slices one in twenty excludes 0 by chance.
    """

    by: str
    rule: str
    slices: tuple[Slice, ...]
    unplaced: int

    def rows(self, metrics: Sequence[str] = ("rank-1", "mAP")) -> list[Row]:
        """One row per slice, for a table or a CSV file."""
        return [
            {
                "by": self.by,
                "slice": one.title,
                "queries": one.queries,
                "vehicles": one.vehicles,
                "few_vehicles": one.few,
                "pairs": one.pairs,
            }
            | {
                f"{metric}_{side}{suffix}": getattr(getattr(one, name)[metric], field)
                for metric in metrics
                for side, name in (("a", "a"), ("b", "b"), ("delta", "difference"))
                for suffix, field in (("", "value"), ("_low", "low"), ("_high", "high"))
            }
            for one in self.slices
        ]


def by_attribute(
    comparison: Comparison, attribute: str, edges: Sequence[float] | None = None, group: Group | None = None
) -> Slicing:
    """Queries by the value of any manifest column, or by ``camera_id``.

    With ``edges`` the values are numbers and slice k has edges[k] <= value < edges[k + 1], the last one with
    its upper edge. Without, more than 20 different numbers are cut at their quartiles. Slices
    come in the order of their values. Raises :class:`DataError` where no query has the attribute, where a value
    is not a number though ``edges`` are given, or where more than 20 values are not all numbers.
    """
    queries = comparison.split.query
    query_values = values(queries, attribute)
    if group is not None:
        query_values = grouped(query_values, group)
    codes, titles = coded(query_values)
    if edges is None and len(titles) > MOST_SLICES:
        edges = _quartiles(queries, attribute, len(titles))
    if edges is not None:
        codes, titles = binned(numbers(queries, attribute), edges)
    return slice_queries(comparison, attribute, codes, titles)


def by_sibling(comparison: Comparison, attribute: str = SIBLING) -> Slicing:
    """Queries whose vehicle has a sibling in the gallery: an image of another vehicle with the same value.

    Raises :class:`DataError` where no image has the attribute.
    """
    codes = np.where(has_sibling(comparison.split, attribute), 0, 1)
    return slice_queries(comparison, attribute, codes, ["sibling in the gallery", "no sibling in the gallery"])


def has_sibling(split: Split, attribute: str = SIBLING) -> np.ndarray:
    """(Q,) bool; raises :class:`DataError` where no image has the attribute."""
    all_values = values((*split.query, *split.gallery), attribute)
    query_values, gallery_values = all_values[: len(split.query)], all_values[len(split.query) :]
    vehicles: dict[str, set[str]] = {}
    for image, value in zip(split.gallery, gallery_values, strict=True):
        if value is not None:
            vehicles.setdefault(value, set()).add(image.vehicle_id)
    pairs = zip(split.query, query_values, strict=True)
    return np.array([bool(vehicles.get(value, set()) - {image.vehicle_id}) for image, value in pairs])


def binned(x: np.ndarray, edges: Sequence[float]) -> tuple[np.ndarray, list[str]]:
    """Each number's slice (N,) int64, -1 for NaN and outside the edges, and the titles of all slices.

    Raises :class:`SettingsError` for fewer than two edges, or edges that do not increase.
    """
    cuts = np.asarray(edges, dtype=float)
    if len(cuts) < 2 or not (np.diff(cuts) > 0).all():
        raise SettingsError(f"the edges are {', '.join(map(str, edges)) or 'none'}; give two or more that increase.")
    titles = [f"{low:.10g} to {high:.10g}" for low, high in pairwise(cuts.tolist())]
    codes = np.digitize(x, cuts) - 1  # NaN goes past the end
    codes[x == cuts[-1]] = len(titles) - 1
    return np.where(codes < len(titles), codes, -1), titles


def score_slice(title: str, a: QueryScores, b: QueryScores, pairs: int | None = None) -> Slice:
    """``a`` and ``b``: the same queries, each with a match."""
    vehicles = len(np.unique(a.vehicles))
    return Slice(title, len(a.vehicles), vehicles, pairs, estimates([a]), estimates([b]), differences([a], [b]))


def slice_queries(comparison: Comparison, by: str, codes: np.ndarray, titles: Sequence[str]) -> Slicing:
    """codes: (Q,) the position of each query's slice among ``titles``, -1 for a query in none."""
    scored = comparison.a.ranking.first_hit > 0
    codes = codes[scored]
    a, b = query_scores(comparison.a), query_scores(comparison.b)
    slices = tuple(
        score_slice(titles[code], _select(a, codes == code), _select(b, codes == code))
        for code in range(len(titles))
        if (codes == code).any()
    )
    return Slicing(by, "all matches of a query count", slices, int((codes < 0).sum()))


def _select(scores: QueryScores, rows: np.ndarray) -> QueryScores:
    return QueryScores(scores.vehicles[rows], scores.values[rows])


def _quartiles(queries: Sequence[VehicleImage], attribute: str, known: int) -> list[float]:
    try:
        query_values = numbers(queries, attribute)
    except DataError as error:
        raise DataError(
            f"{attribute} has {known:,} values among the queries, too many for one slice per value (at most {MOST_SLICES}), "
            "and they are not all numbers; choose another attribute."
        ) from error
    return np.unique(np.nanquantile(query_values, QUARTILES)).tolist()
