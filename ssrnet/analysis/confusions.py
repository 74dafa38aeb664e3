"""Confusions: queries whose first ranked image shows another vehicle; why, see :mod:`ssrnet.analysis.causes`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssrnet.analysis.attributes import SIBLING, are_siblings
from ssrnet.analysis.csv_rows import Row
from ssrnet.analysis.inspection import Inspection
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage

WORST = (
    "Of the queries whose first listed image shows a sibling of the vehicle (any other vehicle, where the data names "
    "no siblings or none took a first place), the one with the lowest AP; of equals the first by file name."
)
"""The rule of :func:`worst_failure`."""


class ConfusedPair(NamedTuple):
    """In ``queries`` queries of ``vehicle`` the first ranked image shows ``confused_with``.

    ``sibling`` is None where the data set does not name siblings.
    """

    vehicle: str
    confused_with: str
    queries: int
    sibling: bool | None


@dataclass(frozen=True)
class Confusions:
    """The C queries with a match whose first ranked image, junk skipped, shows another vehicle.

    ``query`` (C,) int64: positions in the split. ``first_image`` (C,) int64: gallery index of the first image.
    ``images_before`` (C,) int64: how many images of the wrong vehicle rank before the query's first match, at least 1.
    ``average_precision`` (C,) float64: the queries' AP. ``sibling`` (C,) bool: whether the two vehicles are siblings;
    None where the data set does not name siblings.
    """

    split: Split
    query: np.ndarray
    first_image: np.ndarray
    images_before: np.ndarray
    average_precision: np.ndarray
    sibling: np.ndarray | None

    def vehicles(self) -> Iterator[tuple[str, str]]:
        """For each confusion the query's vehicle and the vehicle of the first image."""
        for q, g in zip(self.query, self.first_image, strict=True):
            yield self.split.query[q].vehicle_id, self.split.gallery[g].vehicle_id

    def pairs(self) -> tuple[ConfusedPair, ...]:
        """Which vehicle is confused with which, the most frequent pair first, then by vehicle."""
        pairs = list(self.vehicles())
        siblings = None if self.sibling is None else dict(zip(pairs, self.sibling.tolist(), strict=True))
        counted = sorted(Counter(pairs).items(), key=lambda entry: (-entry[1], entry[0]))
        return tuple(ConfusedPair(*pair, queries, siblings and siblings[pair]) for pair, queries in counted)

    def rows(self) -> list[Row]:
        """One row per confusion, for a table or a CSV file."""
        return [
            {
                "query": self.split.query[q].name,
                "vehicle": vehicle,
                "confused_with": confused_with,
                "image": self.split.gallery[g].name,
                "images_before": int(before),
            }
            for (vehicle, confused_with), q, g, before in zip(
                self.vehicles(), self.query, self.first_image, self.images_before, strict=True
            )
        ]


def confusions(inspection: Inspection) -> Confusions:
    """The confusions of one model."""
    split, ranking = inspection.evaluation.split, inspection.evaluation.ranking
    query = np.flatnonzero(ranking.first_hit > 1)
    image = inspection.nearest_wrong[query]
    sibling = None
    if any(SIBLING in image.attributes for image in (*split.query, *split.gallery)):
        pairs = zip(query, image, strict=True)
        sibling = np.array([are_siblings(split.query[q], split.gallery[g]) for q, g in pairs], dtype=bool)
    before = inspection.images_before[query]
    return Confusions(split, query, image, before, ranking.average_precision[query], sibling)


def worst_failure(inspection: Inspection) -> VehicleImage | None:
    """The query that :data:`WORST` names; None where every query with a match is right at rank 1."""
    confused = confusions(inspection)
    if not len(confused.query):
        return None
    siblings = confused.query[confused.sibling] if confused.sibling is not None else confused.query[:0]
    candidates = siblings if len(siblings) else confused.query
    ap = inspection.evaluation.ranking.average_precision
    return confused.split.query[min(candidates.tolist(), key=lambda q: (ap[q], confused.split.query[q].name))]
