"""What images can be filtered by, looked up once for each set of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from ssrnet.data.records import VehicleImage

MOST_VALUES = 50
"""An attribute with more values than these names images rather than kinds of them."""
FIRST = ("type", "vehicle_type", "colour", "color", "camera")
"""Facets that most readers look for, before the others."""
CAMERA = "camera"


@dataclass(frozen=True)
class Facets:
    """values: attribute -> its values in order, at least two. words: all that a search looks at, one an image."""

    values: Mapping[str, Sequence[str]]
    words: Sequence[str]


def facets(images: Sequence[VehicleImage]) -> Facets:
    """Filters of ``images``; cheap for the very same images again, be it in another list."""
    # By identity, which is quick for 100,000 images; the cache keeps them, so that no other object gets their ids.
    return _facets(hash(tuple(map(id, images))), len(images), images)


def value(image: VehicleImage, facet: str) -> str | None:
    return image.camera_id if facet == CAMERA else image.attributes.get(facet)


@dataclass(frozen=True)
class _KeptFacets(Facets):
    images: Sequence[VehicleImage]


@st.cache_resource(max_entries=8, show_spinner=False)
def _facets(ids: int, count: int, _images: Sequence[VehicleImage]) -> _KeptFacets:
    found: dict[str, set[str]] = {CAMERA: set()}
    for image in _images:
        if image.camera_id:
            found[CAMERA].add(image.camera_id)
        for name, each in image.attributes.items():
            if each:
                found.setdefault(name, set()).add(each)
    names = [name for name in found if name not in FIRST]
    order = [name for name in FIRST if name in found] + sorted(names)
    values = {name: sorted(found[name], key=_natural) for name in order if 1 < len(found[name]) <= MOST_VALUES}
    return _KeptFacets(values, [_searched(image) for image in _images], _images)


def _natural(text: str) -> tuple:
    """Numbers by size and before words."""
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text


def _searched(image: VehicleImage) -> str:
    return " ".join((image.name, image.vehicle_id, image.camera_id or "", *image.attributes.values())).lower()
