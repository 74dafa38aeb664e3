"""Which wrong vehicle took the first place, and what it has in common with the vehicle that was looked for."""

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

USUAL = (SIBLING, "type", "vehicle_type", "colour", "color", "light", "weather", CAMERA)
"""Attributes in which vehicle or capture may resemble the query; those that a data set has are compared."""


class Confusion(NamedTuple):
    """``vehicle`` lost the first place of ``queries`` of its queries to ``captured_by``.

    ``sibling`` is None where the data set does not name siblings.
    """

    vehicle: str
    captured_by: str
    queries: int
    sibling: bool | None


class Share(NamedTuple):
    """Of ``captures``, the ``share`` in which query and capturing image agree on the attribute, in [0, 1].

    ``chance`` is the mean over the same queries of the share of agreeing images among all wrong images of the
    gallery: what would come out if each query had been captured by a wrong image drawn at random. Queries and
    images whose attribute is not known are in neither.
    """

    attribute: str
    captures: int
    share: float
    chance: float


@dataclass(frozen=True)
class Captures:
    """The C queries that have a match and whose first ranked image (junk passed over) is a wrong one.

    ``query`` (C,) their positions; ``image`` (C,) the gallery index of that first image; ``before`` (C,) how many
    images of its vehicle stand before the query's first match, from 1. By attribute ``same`` (C,)
    float64 is 1 where the first image agrees with the query, 0 where not, NaN where either is unknown, and
    ``chance`` (C,) is the share of agreeing images among all wrong ones. A vehicle without a sibling group
    has no sibling, so there it is 0.
    """

    split: Split
    query: np.ndarray
    image: np.ndarray
    before: np.ndarray
    same: Mapping[str, np.ndarray]
    chance: Mapping[str, np.ndarray]

    def vehicles(self) -> Iterator[tuple[str, str]]:
        """Of each capture the vehicle that was looked for, and the one that took its place."""
        for q, g in zip(self.query, self.image, strict=True):
            yield self.split.query[q].vehicle_id, self.split.gallery[g].vehicle_id

    def confusions(self) -> tuple[Confusion, ...]:
        """Who is taken for whom, the most frequent first, then by vehicle."""
        pairs = list(self.vehicles())
        siblings = dict(zip(pairs, self.same[SIBLING] == 1, strict=True)) if SIBLING in self.same else {}
        counted = sorted(Counter(pairs).items(), key=lambda entry: (-entry[1], entry[0]))
        return tuple(Confusion(*pair, queries, bool(siblings[pair]) if siblings else None) for pair, queries in counted)

    def shares(self) -> tuple[Share, ...]:
        """Of each attribute how often query and capturing image agree, against chance; NaN without a capture."""
        shares = []
        for attribute, same in self.same.items():
            known = ~np.isnan(same) & ~np.isnan(self.chance[attribute])
            captures = int(known.sum())
            means = [own[known].mean() if captures else np.nan for own in (same, self.chance[attribute])]
            shares.append(Share(attribute, captures, *map(float, means)))
        return tuple(shares)

    def rows(self) -> list[Row]:
        """One plain row a capture."""
        return [
            {
                "query": self.split.query[q].name,
                "vehicle": vehicle,
                "captured_by": captured_by,
                "image": self.split.gallery[g].name,
                "images_before": int(before),
            }
            | {f"same_{attribute}": number(same[i]) for attribute, same in self.same.items()}
            for i, ((vehicle, captured_by), q, g, before) in enumerate(
                zip(self.vehicles(), self.query, self.image, self.before, strict=True)
            )
        ]


def captures(inspection: Inspection, attributes: Sequence[str] | None = None) -> Captures:
    """The captures of one model.

    ``attributes`` are compared, by default those of :data:`USUAL` that the images have, which may be none.
    Raises :class:`DataError` for a named one that no image has.
    """
    split = inspection.evaluation.split
    images = (*split.query, *split.gallery)
    if attributes is None:
        present = set(attribute_names(images))
        attributes = [name for name in USUAL if name in present]
    query = np.flatnonzero(inspection.evaluation.ranking.first_hit > 1)
    image = inspection.nearest_wrong[query]
    same, chance = {}, {}
    for attribute in attributes:
        found = values(images, attribute)
        asked, stored = found[: len(split.query)][query], found[len(split.query) :]
        unknown = np.equal(asked, None) | np.equal(stored[image], None)
        agrees = (asked == stored[image]).astype(float)
        same[attribute] = np.where(unknown, 0.0 if attribute == SIBLING else np.nan, agrees)
        chance[attribute] = _chance(split, query, asked, stored, attribute == SIBLING)
    return Captures(split, query, image, inspection.before[query], same, chance)


def _chance(split: Split, query: np.ndarray, asked: np.ndarray, stored: np.ndarray, none_differs: bool) -> np.ndarray:
    """(C,) of each query's wrong gallery images the share that agrees with it.

    asked: (C,) and stored: (G,) values. ``none_differs``: without a value an image agrees with nobody, and counts.
    """
    vehicles = [image.vehicle_id for image in split.gallery]
    alike, alike_own = Counter(stored), Counter(zip(vehicles, stored, strict=True))
    all_images, own_images = len(vehicles), Counter(vehicles)
    shares = np.full(len(query), np.nan)
    for i, (q, value) in enumerate(zip(query, asked, strict=True)):
        vehicle = split.query[q].vehicle_id
        wrong = all_images - own_images[vehicle]
        if not none_differs:
            wrong -= alike[None] - alike_own[vehicle, None]
        if value is None:
            shares[i] = 0.0 if none_differs else np.nan
        elif wrong:
            shares[i] = (alike[value] - alike_own[vehicle, value]) / wrong
    return shares
