"""Which slicings a protocol can be looked at by: every property that parts its queries, or its pairs, into some."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ssrnet.analysis.attributes import CAMERA, SIBLING, attribute_names, coded, day_or_night, numbers, values
from ssrnet.analysis.comparison import compare
from ssrnet.analysis.inspection import Inspection
from ssrnet.analysis.pair_slices import by_agreement, by_easiest_view, by_value_pair, by_view_difference
from ssrnet.analysis.query_slices import Slicing, by_attribute, by_sibling
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError
from ssrnet.retrieval.query_filters import MOST_SLICES

LIGHT, AZIMUTH = "light", "azimuth"
MOST_PAIRS = 60
"""Slices by two values that are scored: those with the most pairs."""


@dataclass(frozen=True)
class Choice:
    """``make(a, b)`` slices two models' inspections of one protocol; ``title`` says by what, in words."""

    title: str
    make: Callable[[Inspection, Inspection], Slicing]


def choices(split: Split) -> dict[str, Choice]:
    """Every slicing that ``split`` serves, by a short name; what is asked for most comes first.

    ``NAME`` slices by an attribute of the query (``camera_id`` counts as one) that has 2 to 20 values, or more
    if all are numbers; ``NAME.pair`` by the query's and the match's value; ``NAME.same`` by whether they agree,
    where the attribute is not the same in all images of a vehicle.
    """
    images = (*split.query, *split.gallery)
    named = attribute_names(images)
    found: dict[str, Choice] = {}
    if AZIMUTH in named and _all_numbers(images, AZIMUTH):
        found["azimuth.difference"] = Choice("azimuth difference of query and match", by_view_difference)
        found["azimuth.easiest"] = Choice("azimuth difference to the easiest match", by_easiest_view)
    if LIGHT in named and {day_or_night(each) for each in _known(images, LIGHT)} == {"day", "night"}:
        found["day"] = Choice(
            "day or night", lambda a, b: by_attribute(compare(a.evaluation, b.evaluation), LIGHT, group=day_or_night)
        )
        found["day.pair"] = Choice(
            "day or night (query → match)", lambda a, b: by_value_pair(a, b, LIGHT, group=day_or_night)
        )
    if SIBLING in named:
        found["sibling"] = Choice(
            "sibling in the gallery or not", lambda a, b: by_sibling(compare(a.evaluation, b.evaluation))
        )
    if CAMERA in named:
        found["camera_id.pair"] = Choice(
            "camera pair (query → match)", lambda a, b: by_value_pair(a, b, CAMERA, most=MOST_PAIRS)
        )
    usual = [name for name in ("type", "vehicle_type", "colour", "color", CAMERA) if name in named]
    for name in dict.fromkeys([*usual, *named]):
        if _parts_queries(split.query, name):
            found[name] = Choice(
                in_words(name), lambda a, b, name=name: by_attribute(compare(a.evaluation, b.evaluation), name)
            )
        few = len(_known(images, name)) <= MOST_SLICES
        if few and name != CAMERA and _varies_within_a_vehicle(images, name):
            found[f"{name}.same"] = Choice(
                f"same or different {in_words(name)}", lambda a, b, name=name: by_agreement(a, b, name)
            )
    return found


def in_words(attribute: str) -> str:
    """The name of a manifest column as a reader says it."""
    return "camera" if attribute == CAMERA else attribute.replace("_", " ")


def _parts_queries(queries: Sequence[VehicleImage], name: str) -> bool:
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
    own: dict[str, set[str]] = defaultdict(set)
    for image, value in zip(images, values(images, name).tolist(), strict=True):
        if value is not None:
            own[image.vehicle_id].add(value)
    return any(len(each) > 1 for each in own.values())
