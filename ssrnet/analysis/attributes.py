"""What a data set says of its images beyond the vehicle, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError

SIBLING = "sibling_group"
"""The attribute that vehicles share which differ by their marks alone; a vehicle without it has no sibling."""
CAMERA = "camera_id"

Group = Callable[[str], str]
"""Gives values a name that some of them share, as :func:`day_or_night` does."""


def attribute_names(images: Sequence[VehicleImage]) -> tuple[str, ...]:
    """Every attribute that some image has, in the data set's own order; the camera first where images name it."""
    names = dict.fromkeys(name for image in images for name in image.attributes)
    cameras = any(image.camera_id is not None for image in images)
    return ((CAMERA,) if cameras else ()) + tuple(name for name in names if name != CAMERA)


def values(images: Sequence[VehicleImage], attribute: str) -> np.ndarray:
    """(N,) object: each image's value, None where it has none; ``camera_id`` counts as an attribute.

    Raises :class:`DataError` where no image has the attribute.
    """
    if attribute == CAMERA:
        found = [image.camera_id for image in images]
    else:
        found = [image.attributes.get(attribute) for image in images]
    if all(value is None for value in found):
        raise DataError(
            f"no image has the attribute {attribute}; they have {', '.join(attribute_names(images)) or 'none'}, "
            "so choose among these, or add a column to the manifest."
        )
    return _objects(found)


def grouped(found: np.ndarray, group: Group) -> np.ndarray:
    """Every value by its group's name; None stays."""
    return _objects([None if value is None else group(value) for value in found])


def numbers(images: Sequence[VehicleImage], attribute: str) -> np.ndarray:
    """(N,) float64, NaN where an image has none; raises :class:`DataError` for a value that is no number."""
    found = np.full(len(images), np.nan)
    for i, value in enumerate(values(images, attribute)):
        if value is not None:
            try:
                found[i] = float(value)
            except ValueError as error:
                raise DataError(
                    f"{attribute} of {images[i].name} is {value!r}, which is no number; choose another attribute, "
                    "or correct the manifest."
                ) from error
    return found


def coded(found: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Each value as its position (N,) int64 among the sorted different ones, -1 for None; and these."""
    known = sorted(set(found.tolist()) - {None})
    place = {value: i for i, value in enumerate(known)} | {None: -1}
    return np.array([place[value] for value in found.tolist()], dtype=np.int64), known


def angle_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest angle in [0, 180] between directions in degrees, whatever turns they include."""
    return np.abs((a - b + 180) % 360 - 180)


def day_or_night(light: str) -> str:
    """The synthetic city's column ``light`` names the lamps that are lit, and is "none" by day."""
    return "day" if light == "none" else "night"


def _objects(found: Sequence[str | None]) -> np.ndarray:
    array = np.empty(len(found), dtype=object)  # filled later, since numpy would guess another type
    array[:] = found
    return array
