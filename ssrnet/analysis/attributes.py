"""Attributes of images (camera, colour, light, ...) as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError

SIBLING = "sibling_group"
"""The attribute shared by vehicles that differ only by their marks; a vehicle without it has no sibling."""
CAMERA = "camera_id"
COLOURS = ("color", "colour")

Group = Callable[[str], str]
"""Maps a value to the name of its group, as :func:`day_or_night` does."""


def attribute_names(images: Sequence[VehicleImage]) -> tuple[str, ...]:
    """Every attribute that some image has, in the data set's order; the camera first where images name it."""
    names = dict.fromkeys(name for image in images for name in image.attributes)
    cameras = any(image.camera_id is not None for image in images)
    return ((CAMERA,) if cameras else ()) + tuple(name for name in names if name != CAMERA)


def values(images: Sequence[VehicleImage], attribute: str) -> np.ndarray:
    """(N,) object: each image's value, None where it has none; ``camera_id`` counts as an attribute.

    Raises :class:`DataError` where no image has the attribute.
    """
    if attribute == CAMERA:
        known = [image.camera_id for image in images]
    else:
        known = [image.attributes.get(attribute) for image in images]
    if all(value is None for value in known):
        raise DataError(
            f"no image has the attribute {attribute}; they have {', '.join(attribute_names(images)) or 'none'}, "
            "so choose among these, or add a column to the manifest."
        )
    return _objects(known)


def grouped(values: np.ndarray, group: Group) -> np.ndarray:
    """(N,) object: the group of each value; None stays None."""
    return _objects([None if value is None else group(value) for value in values])


def numbers(images: Sequence[VehicleImage], attribute: str) -> np.ndarray:
    """(N,) float64, NaN where an image has none; raises :class:`DataError` for a value that is not a number."""
    result = np.full(len(images), np.nan)
    for i, value in enumerate(values(images, attribute)):
        if value is not None:
            try:
                result[i] = float(value)
            except ValueError as error:
                raise DataError(
                    f"{attribute} of {images[i].name} is {value!r}, which is not a number; choose another attribute, "
                    "or correct the manifest."
                ) from error
    return result


def coded(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Each value's position (N,) int64 among the sorted distinct ones, -1 for None; and these."""
    known = sorted(set(values.tolist()) - {None})
    place = {value: i for i, value in enumerate(known)} | {None: -1}
    return np.array([place[value] for value in values.tolist()], dtype=np.int64), known


def binned(values: Sequence[str | None], bins: int) -> list[str | None] | None:
    """Each number's bin, such as "2: 41 to 90", of ``bins`` with about as many numbers each; None stays.

    None in place of the list where a value is no number, or all are equal.
    """
    try:
        numbers = np.array([np.nan if value is None else float(value) for value in values])
    except ValueError:
        return None
    edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, bins + 1)))
    if len(edges) < 2:
        return None
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    names = [f"{i + 1}: {low:.4g} to {high:.4g}" for i, (low, high) in enumerate(pairwise(edges))]
    return [None if np.isnan(number) else names[i] for number, i in zip(numbers, place)]


def same_vehicle(image: VehicleImage, images: Sequence[VehicleImage]) -> list[VehicleImage]:
    """The other images of the vehicle, those by other cameras first; none where nobody has said the vehicle."""
    if image.vehicle_id is None:
        return []
    others = [other for other in images if other.vehicle_id == image.vehicle_id and other.name != image.name]
    return sorted(others, key=lambda other: (other.camera_id == image.camera_id, other.name))


def are_siblings(a: VehicleImage, b: VehicleImage) -> bool:
    """Whether the vehicles of two images are known siblings."""
    group = a.attributes.get(SIBLING)
    return group is not None and group == b.attributes.get(SIBLING)


def angle_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest angle in [0, 180] between two directions in degrees of any range."""
    return np.abs((a - b + 180) % 360 - 180)


def day_or_night(light: str) -> str:
    """ "day" or "night": the synthetic city's column ``light`` names the lamps that are lit, "none" by day."""
    return "day" if light == "none" else "night"


def in_words(attribute: str) -> str:
    """An attribute's name for display: "camera" for ``camera_id``, spaces for underscores."""
    return "camera" if attribute == CAMERA else attribute.replace("_", " ")


def _objects(values: Sequence[str | None]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)  # filled afterwards, since numpy would infer a string type
    array[:] = values
    return array
