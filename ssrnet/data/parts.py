"""What a data set may say of its pixels: part masks, and photographs in which one mark was removed or moved.

``parts.txt`` names the values of a mask, one a line (``20 sticker``); the attribute ``mask`` of an image is the
mask's path, as a column of ``manifest.csv`` gives it; ``probes.csv`` lists the photographs of its series ``mark``.
The bundled city has all three (assets/README.md); any data set laid out so will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssrnet.data.images import read_image
from ssrnet.data.readers.common import read_lines
from ssrnet.data.readers.tables import read_csv
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError

MARKS = (
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
)
"""Labels of what tells vehicles of one model apart; the others are parts that each vehicle has, and what is around."""
NOT_VEHICLE = ("background", "occluder")
"""Labels of what is not the vehicle."""
AS_IT_IS, REMOVED, MOVED = CHANGES = ("as it is", "removed", "moved")
PROBE_COLUMNS = ("image", "series", "value", "vehicle_id", "camera_id", "mark", "change", "mask")


def folder_of(dataset: ReIDDataset) -> Path:
    """The folder that the paths in a data set's files start from."""
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
    """(H, W) uint8, values under ``parts``, of a photograph of ``size`` (H, W).

    Raises :class:`DataError` for a file that is no image, of another size, or with values of no part.
    """
    mask = np.asarray(read_image(path))[:, :, 0]
    if mask.shape != size:
        raise DataError(f"{path} is {mask.shape[1]} x {mask.shape[0]}, its photograph {size[1]} x {size[0]} pixels.")
    if mask.max(initial=0) >= parts:
        raise DataError(f"{path} has the value {mask.max()}; parts.txt names {parts} parts, from 0 on.")
    return mask


@dataclass(frozen=True)
class MarkProbe:
    """One capture of one vehicle, with one of its marks as it is, removed and, where there is another place, moved.

    ``photographs`` and ``masks`` by :data:`CHANGES`; ``kind`` is the mark's label in the masks.
    """

    mark: str
    kind: str
    photographs: dict[str, VehicleImage]
    masks: dict[str, Path]

    def region(self, change: str, size: tuple[int, int], names: tuple[str, ...]) -> np.ndarray:
        """(H, W) bool: the pixels on which the mark is seen in one of the photographs.

        Another mark of the same kind stays where this one is removed, and does not count. Raises
        :class:`DataError` for a kind that is none of ``names``, else as :func:`read_mask`.
        """
        if self.kind not in names:
            raise DataError(f"probes.csv has the mark {self.kind!r}; parts.txt has no part of this name.")
        label = names.index(self.kind)
        here, bare = (read_mask(self.masks[one], size, len(names)) == label for one in (change, REMOVED))
        return here & ~bare


def mark_probes(folder: Path) -> list[MarkProbe]:
    """The captures of ``probes.csv`` with a mark as it is and removed; empty where there is no such file.

    Raises :class:`DataError` as :func:`read_csv`.
    """
    path = folder / "probes.csv"
    if not path.is_file():
        return []
    found: dict[tuple[str, str, str], MarkProbe] = {}
    for row in read_csv(path, PROBE_COLUMNS):
        values = row.values
        if values["series"] != "mark" or values["change"] not in CHANGES:
            continue
        key = (values["vehicle_id"], values["camera_id"], values["mark"])
        probe = found.setdefault(key, MarkProbe(values["mark"], values["value"], {}, {}))
        name = values["image"]
        probe.photographs[values["change"]] = VehicleImage(folder / name, name, key[0], key[1])
        probe.masks[values["change"]] = folder / values["mask"]
    return [probe for probe in found.values() if {AS_IT_IS, REMOVED} <= probe.photographs.keys()]
