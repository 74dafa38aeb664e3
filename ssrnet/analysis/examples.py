"""One query that shows a point, found by a rule rather than picked by hand."""

from __future__ import annotations

import numpy as np

from ssrnet.analysis.attributes import SIBLING
from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.confusions import captures
from ssrnet.analysis.inspection import Inspection
from ssrnet.data.records import VehicleImage

WORST = (
    "Of the queries whose first listed image shows a sibling of the vehicle (any other vehicle, where the data names "
    "no siblings or none took a first place), the one with the lowest AP; of equals the first by file name."
)
"""The rule of :func:`worst_failure`, as a page says it."""
LARGEST_GAIN = (
    "Of the queries that the second model lists right first and the first one wrong, the one whose AP grows most."
)
"""The rule of :func:`largest_gain`."""


def worst_failure(inspection: Inspection) -> VehicleImage | None:
    """The query that :data:`WORST` names; None where every query with a match is right at rank 1."""
    own = captures(inspection)
    if not len(own.query):
        return None
    by_sibling = own.same.get(SIBLING, np.zeros(len(own.query))) == 1
    among = own.query[by_sibling] if by_sibling.any() else own.query
    ap = inspection.evaluation.ranking.average_precision
    return own.split.query[min(among.tolist(), key=lambda q: (ap[q], own.split.query[q].name))]


def largest_gain(comparison: Comparison) -> VehicleImage | None:
    """The query that :data:`LARGEST_GAIN` names; None where the second model puts no wrong query right."""
    fixed = comparison.select("fixed")
    return comparison.split.query[fixed[0]] if len(fixed) else None
