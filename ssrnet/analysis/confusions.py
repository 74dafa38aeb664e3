"""Confusions: queries whose first ranked image shows another vehicle, and what the two have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssrnet.analysis.attributes import CAMERA, SIBLING, attribute_names, values
from ssrnet.analysis.csv_rows import Row, number
from ssrnet.analysis.inspection import Inspection
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage

DEFAULT_ATTRIBUTES = (SIBLING, "type", "vehicle_type", "colour", "color", "light", "weather", CAMERA)
"""Attributes in which a wrong image may resemble the query; those that a data set has are compared."""
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


class Agreement(NamedTuple):
    """Among ``queries`` confused queries, the ``share`` that agree with their first image on the attribute, in [0, 1].

    ``chance`` is the share expected if a wrong gallery image drawn at random stood first: the mean over the same
    queries of the share of agreeing images among all wrong ones; in at least 95 % of such draws the share is within
    ``chance_low`` and ``chance_high``. Queries and images without a value count in neither.
    """

    attribute: str
    queries: int
    share: float
    chance: float
    chance_low: float
    chance_high: float


@dataclass(frozen=True)
class Confusions:
    """The C queries with a match whose first ranked image, junk skipped, shows another vehicle.

    ``query`` (C,) int64: positions in the split. ``first_image`` (C,) int64: gallery index of the first image.
    ``images_before`` (C,) int64: how many images of the wrong vehicle rank before the query's first match, at least 1.
    ``same`` maps an attribute to (C,) float64: 1 where the first image agrees with the query, 0 where not, NaN where
    either is unknown. ``chance`` maps it to the share (C,) of agreeing images among all wrong ones. A vehicle without
    a sibling group has no sibling: 0, not NaN.
    """

    split: Split
    query: np.ndarray
    first_image: np.ndarray
    images_before: np.ndarray
    same: Mapping[str, np.ndarray]
    chance: Mapping[str, np.ndarray]

    def vehicles(self) -> Iterator[tuple[str, str]]:
        """For each confusion the query's vehicle and the vehicle of the first image."""
        for q, g in zip(self.query, self.first_image, strict=True):
            yield self.split.query[q].vehicle_id, self.split.gallery[g].vehicle_id

    def pairs(self) -> tuple[ConfusedPair, ...]:
        """Which vehicle is confused with which, the most frequent pair first, then by vehicle."""
        pairs = list(self.vehicles())
        siblings = dict(zip(pairs, self.same[SIBLING] == 1, strict=True)) if SIBLING in self.same else {}
        counted = sorted(Counter(pairs).items(), key=lambda entry: (-entry[1], entry[0]))
        return tuple(
            ConfusedPair(*pair, queries, bool(siblings[pair]) if siblings else None) for pair, queries in counted
        )

    def agreements(self) -> tuple[Agreement, ...]:
        """For each attribute how often query and first image agree, and by chance; NaN without a confusion."""
        return tuple(self.agreement(attribute) for attribute in self.same)

    def agreement(self, attribute: str) -> Agreement:
        """As :meth:`agreements`, for one of their attributes."""
        same, chance = self.same[attribute], self.chance[attribute]
        known = ~np.isnan(same) & ~np.isnan(chance)
        queries = int(known.sum())
        if not queries:
            return Agreement(attribute, 0, *[np.nan] * 4)
        low, high = chance_band(chance[known])
        means = float(same[known].mean()), float(chance[known].mean())
        return Agreement(attribute, queries, *means, low / queries, high / queries)

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
            | {f"same_{attribute}": number(same[i]) for attribute, same in self.same.items()}
            for i, ((vehicle, confused_with), q, g, before) in enumerate(
                zip(self.vehicles(), self.query, self.first_image, self.images_before, strict=True)
            )
        ]


def confusions(inspection: Inspection, attributes: Sequence[str] | None = None) -> Confusions:
    """The confusions of one model.

    ``attributes`` are compared, by default those of :data:`DEFAULT_ATTRIBUTES` that the images have, possibly none.
    Raises :class:`DataError` for a named one that no image has.
    """
    split = inspection.evaluation.split
    images = (*split.query, *split.gallery)
    if attributes is None:
        present = set(attribute_names(images))
        attributes = [name for name in DEFAULT_ATTRIBUTES if name in present]
    query = np.flatnonzero(inspection.evaluation.ranking.first_hit > 1)
    image = inspection.nearest_wrong[query]
    same, chance = {}, {}
    for attribute in attributes:
        all_values = values(images, attribute)
        query_values, gallery_values = all_values[: len(split.query)][query], all_values[len(split.query) :]
        unknown = np.equal(query_values, None) | np.equal(gallery_values[image], None)
        agrees = (query_values == gallery_values[image]).astype(float)
        same[attribute] = np.where(unknown, 0.0 if attribute == SIBLING else np.nan, agrees)
        chance[attribute] = _chance(split, query, query_values, gallery_values, attribute == SIBLING)
    return Confusions(split, query, image, inspection.images_before[query], same, chance)


def chance_band(probabilities: np.ndarray) -> tuple[int, int]:
    """How many of independent events occur, from the 2.5th to the 97.5th percentile, exactly (Poisson binomial).

    probabilities: (C,) of the events, in [0, 1]. At least 95 % of draws are within, both bounds included.
    """
    parts = [np.array([1 - p, p]) for p in probabilities] or [np.ones(1)]
    while len(parts) > 1:  # neighbours in pairs, so that most products are of short polynomials
        paired = [np.convolve(*pair) for pair in zip(parts[::2], parts[1::2])]
        parts = paired + parts[2 * len(paired) :]
    low, high = np.searchsorted(np.cumsum(parts[0]), (0.025, 0.975))
    return int(low), int(high)


def worst_failure(inspection: Inspection) -> VehicleImage | None:
    """The query that :data:`WORST` names; None where every query with a match is right at rank 1."""
    confused = confusions(inspection)
    if not len(confused.query):
        return None
    by_sibling = confused.same.get(SIBLING, np.zeros(len(confused.query))) == 1
    candidates = confused.query[by_sibling] if by_sibling.any() else confused.query
    ap = inspection.evaluation.ranking.average_precision
    return confused.split.query[min(candidates.tolist(), key=lambda q: (ap[q], confused.split.query[q].name))]


def _chance(
    split: Split, query: np.ndarray, query_values: np.ndarray, gallery_values: np.ndarray, none_differs: bool
) -> np.ndarray:
    """(C,) the share of each query's wrong gallery images that agree with it.

    query_values: (C,), gallery_values: (G,). ``none_differs``: images without a value count, as disagreeing.
    """
    vehicles = [image.vehicle_id for image in split.gallery]
    images_of = Counter(vehicles)
    with_value, with_value_of = Counter(gallery_values), Counter(zip(vehicles, gallery_values, strict=True))
    shares = np.full(len(query), np.nan)
    for i, (q, value) in enumerate(zip(query, query_values, strict=True)):
        vehicle = split.query[q].vehicle_id
        wrong = len(vehicles) - images_of[vehicle]
        if not none_differs:
            wrong -= with_value[None] - with_value_of[vehicle, None]
        if value is None:
            shares[i] = 0.0 if none_differs else np.nan
        elif wrong:
            shares[i] = (with_value[value] - with_value_of[vehicle, value]) / wrong
    return shares
