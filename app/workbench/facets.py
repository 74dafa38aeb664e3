"""What images can be filtered by, looked up once for each set of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.workbench.cache import cached
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import PictureInMemory

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
    # An uploaded one in the key keeps uploads in the session's part of it.
    uploaded = [image for image in images[:1] if isinstance(image, PictureInMemory)]
    return cached(
        "facets", (hash(tuple(map(id, images))), len(images), *uploaded), lambda: (_facets(images), tuple(images)), 8
    )[0]


def value(image: VehicleImage, facet: str) -> str | None:
    return image.camera_id if facet == CAMERA else image.attributes.get(facet)


def _facets(images: Sequence[VehicleImage]) -> Facets:
    values_of: dict[str, set[str]] = {CAMERA: set()}
    for image in images:
        if image.camera_id:
            values_of[CAMERA].add(image.camera_id)
        for name, each in image.attributes.items():
            if each:
                values_of.setdefault(name, set()).add(each)
    names = [name for name in values_of if name not in FIRST]
    order = [name for name in FIRST if name in values_of] + sorted(names)
    values = {name: sorted(values_of[name], key=_natural) for name in order if 1 < len(values_of[name]) <= MOST_VALUES}
    return Facets(values, [_searched(image) for image in images])


def _natural(text: str) -> tuple:
    """Numbers by size and before words."""
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text


def _searched(image: VehicleImage) -> str:
    return " ".join((image.name, image.vehicle_id or "", image.camera_id or "", *image.attributes.values())).lower()
