"""Part masks: which part of a vehicle each pixel of a photograph shows.

``parts.txt`` names the values of a mask, one a line (``20 sticker``). The attribute ``mask`` of an image is its mask's
path, as a column of ``manifest.csv``. The bundled city has both (assets/README.md); so may any data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ssrnet.data.images import read_image
from ssrnet.data.readers.text_files import read_lines
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError

MarkName = Literal[
    "sticker",
    "ornament",
    "decal",
    "lettering",
    "stripe",
    "dent",
    "scratch",
    "hubcap",
    "rack",
    "roof box",
    "sunroof",
    "spoiler",
    "tow bar",
    "ladder",
    "spare wheel",
    "beacon",
    "sun strip",
    "mud flap",
    "patch",
]
MARKS: tuple[MarkName, ...] = get_args(MarkName)
"""Parts that tell vehicles of one model apart; the others are parts of every vehicle, and its surroundings."""
NOT_VEHICLE = ("background", "occluder")


def folder_of(dataset: ReIDDataset) -> Path:
    """The folder that the paths in a data set's files are relative to."""
    return dataset.root.parent if dataset.root.is_file() else dataset.root


def part_names(folder: Path) -> tuple[str, ...] | None:
    """The names of a mask's values 0, 1, ..., or None where there is no ``parts.txt``.

    Raises :class:`DataError` unless the lines count up from 0, each with a name.
    """
    path = folder / "parts.txt"
    if not path.is_file():
        return None
    names = []
    for line, text in read_lines(path):
        value, _, name = text.partition(" ")
        if value != str(len(names)) or not name.strip():
            raise DataError(f"{path}, line {line}: found {text!r}; expected {len(names)} and a part's name.")
        names.append(name.strip())
    return tuple(names)


def masked_images(dataset: ReIDDataset, images: Sequence[VehicleImage]) -> list[VehicleImage]:
    """Those of the data set's images that have a part mask."""
    if part_names(folder_of(dataset)) is None:
        return []
    return [image for image in images if image.attributes.get("mask")]


def read_mask(path: Path, size: tuple[int, int], parts: int) -> np.ndarray:
    """(H, W) uint8, values below ``parts``: the mask of a photograph of ``size`` (H, W).

    Raises :class:`DataError` for a file that is no image, of another size, or with values of no part.
    """
    mask = np.asarray(read_image(path))[:, :, 0]
    if mask.shape != size:
        raise DataError(f"{path} is {mask.shape[1]} x {mask.shape[0]}, its photograph {size[1]} x {size[0]} pixels.")
    if mask.max(initial=0) >= parts:
        raise DataError(f"{path} has the value {mask.max()}; parts.txt names {parts} parts, from 0 on.")
    return mask
