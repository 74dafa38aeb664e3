"""The slicings that a protocol offers: every property that splits its queries, or its (query, match) pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ssrnet.analysis.attributes import CAMERA, SIBLING, attribute_names, coded, day_or_night, in_words, numbers, values
from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.inspection import Inspection
from ssrnet.analysis.pair_slices import by_agreement, by_easiest_view, by_value_pair, by_view_difference
from ssrnet.analysis.query_slices import Slicing, by_attribute, by_sibling
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError
from ssrnet.retrieval.query_filters import MOST_SLICES

LIGHT, AZIMUTH = "light", "azimuth"
RUNNING_NUMBERS = ("track", "frame")
"""Attributes that number a vehicle's tracks and a track's images: a slice of equal numbers has nothing in common."""
MOST_CAMERA_PAIRS = 60
"""Camera pairs that are scored: those with the most (query, match) pairs."""


@dataclass(frozen=True)
class SlicingRule:
    """``make(a, b)`` slices two models' inspections of one protocol; ``title`` names the property.

    ``of_queries``: the property is the query's alone, so that all matches of a query count.
    """

    title: str
    make: Callable[[Inspection, Inspection], Slicing]
    of_queries: bool = True


def slicing_rules(split: Split) -> dict[str, SlicingRule]:
    """Every slicing that ``split`` offers, by a short name, the most useful first.

    ``NAME`` slices by an attribute of the query (``camera_id`` counts as one) that has 2 to 20 values, or more
    if all are numbers; ``NAME.pair`` by the values of query and match; ``NAME.same`` by whether they agree,
    where the attribute varies among the images of a vehicle.
    """
    images = (*split.query, *split.gallery)
    names = [name for name in attribute_names(images) if name not in RUNNING_NUMBERS]
    rules: dict[str, SlicingRule] = {}
    if AZIMUTH in names and _all_numbers(images, AZIMUTH):
        rules["azimuth.difference"] = SlicingRule("azimuth difference of query and match", by_view_difference, False)
        rules["azimuth.easiest"] = SlicingRule("azimuth difference to the easiest match", by_easiest_view)
    if LIGHT in names and {day_or_night(value) for value in _known(images, LIGHT)} == {"day", "night"}:
        rules["day"] = SlicingRule("day or night", _of_queries(by_attribute, LIGHT, group=day_or_night))
        rules["day.pair"] = SlicingRule(
            "day or night (query → match)", lambda a, b: by_value_pair(a, b, LIGHT, group=day_or_night), False
        )
    if SIBLING in names:
        rules["sibling"] = SlicingRule("sibling in the gallery or not", _of_queries(by_sibling))
    if CAMERA in names:
        rules["camera_id.pair"] = SlicingRule(
            "camera pair (query → match)", lambda a, b: by_value_pair(a, b, CAMERA, most=MOST_CAMERA_PAIRS), False
        )
    first = [name for name in ("type", "vehicle_type", "colour", "color", CAMERA) if name in names]
    for name in dict.fromkeys([*first, *names]):
        if _splits(split.query, name):
            rules[name] = SlicingRule(in_words(name), _of_queries(by_attribute, name))
        few = len(_known(images, name)) <= MOST_SLICES
        if few and name != CAMERA and _varies_within_a_vehicle(images, name):
            rules[f"{name}.same"] = SlicingRule(
                f"same or different {in_words(name)}", lambda a, b, name=name: by_agreement(a, b, name), False
            )
    return rules


def _of_queries(slicing: Callable[..., Slicing], *arguments, **options) -> Callable[[Inspection, Inspection], Slicing]:
    """``slicing`` of the comparison of two inspections."""
    return lambda a, b: slicing(Comparison(a.evaluation, b.evaluation), *arguments, **options)


def _splits(queries: Sequence[VehicleImage], name: str) -> bool:
    try:
        known = len(coded(values(queries, name))[1])
    except DataError:
        return False
    return 2 <= known <= MOST_SLICES or known > MOST_SLICES and _all_numbers(queries, name)


def _all_numbers(images: Sequence[VehicleImage], name: str) -> bool:
    try:
        numbers(images, name)
    except DataError:
        return False
    return True


def _known(images: Sequence[VehicleImage], name: str) -> set[str]:
    return set(values(images, name).tolist()) - {None}


def _varies_within_a_vehicle(images: Sequence[VehicleImage], name: str) -> bool:
    values_of: dict[str, set[str]] = defaultdict(set)
    for image, value in zip(images, values(images, name).tolist(), strict=True):
        if value is not None:
            values_of[image.vehicle_id].add(value)
    return any(len(several) > 1 for several in values_of.values())
