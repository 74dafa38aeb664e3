"""Probes: series of photographs of one vehicle in which one thing changes, as a data set's ``probes.csv`` lists them.

In the series ``mark`` one distinguishing mark of the vehicle is removed or moved; masks show where it is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssrnet.data.parts import read_mask
from ssrnet.data.readers.text_files import read_csv
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError

MARK = "mark"
AS_IT_IS, REMOVED, MOVED = CHANGES = ("as it is", "removed", "moved")
MARK_COLUMNS = ("image", "series", "value", "vehicle_id", "camera_id", "mark", "change", "mask")
SERIES_COLUMNS = ("image", "series", "step", "value", "vehicle_id", "camera_id")


@dataclass(frozen=True)
class MarkProbe:
    """One capture of one vehicle, with one of its marks as it is, removed and, where it can be, moved.

    ``photographs`` and ``masks`` are by :data:`CHANGES`; ``kind`` is the mark's part name in the masks.
    """

    mark: str
    kind: str
    photographs: dict[str, VehicleImage]
    masks: dict[str, Path]

    def region(self, change: str, size: tuple[int, int], names: tuple[str, ...]) -> np.ndarray:
        """(H, W) bool: the pixels that show the mark in the photograph of ``change``.

        Pixels of the same kind in the photograph without the mark belong to another mark and do not count. Raises
        :class:`DataError` for a kind that is not in ``names``, else as :func:`read_mask`.
        """
        if self.kind not in names:
            raise DataError(f"probes.csv has the mark {self.kind!r}; parts.txt has no part of this name.")
        label = names.index(self.kind)
        here, without = (read_mask(self.masks[one], size, len(names)) == label for one in (change, REMOVED))
        return here & ~without


@dataclass(frozen=True)
class ProbeSeries:
    """One vehicle's photographs in the order of their steps; ``values``: the changed quantity, with its unit
    ("15 deg")."""

    name: str
    vehicle_id: str
    photographs: tuple[VehicleImage, ...]
    values: tuple[str, ...]


def mark_probes(folder: Path) -> list[MarkProbe]:
    """The captures of ``probes.csv`` with a mark as it is and removed; empty where there is no such file.

    Raises :class:`DataError` as :func:`read_csv`.
    """
    path = folder / "probes.csv"
    if not path.is_file():
        return []
    probes: dict[tuple[str, str, str], MarkProbe] = {}
    for row in read_csv(path, MARK_COLUMNS):
        values = row.values
        if values["series"] != MARK or values["change"] not in CHANGES:
            continue
        key = (values["vehicle_id"], values["camera_id"], values["mark"])
        probe = probes.setdefault(key, MarkProbe(values["mark"], values["value"], {}, {}))
        name = values["image"]
        probe.photographs[values["change"]] = VehicleImage(folder / name, name, key[0], key[1])
        probe.masks[values["change"]] = folder / values["mask"]
    return [probe for probe in probes.values() if {AS_IT_IS, REMOVED} <= probe.photographs.keys()]


def probe_series(folder: Path) -> list[ProbeSeries]:
    """Every series of ``probes.csv`` but ``mark``, in the file's order; empty where there is no such file.

    Raises :class:`DataError` as :func:`read_csv`, and for a step that is no whole number.
    """
    path = folder / "probes.csv"
    if not path.is_file():
        return []
    steps: dict[tuple[str, str], list[tuple[int, str, VehicleImage]]] = {}
    for row in read_csv(path, SERIES_COLUMNS):
        values = row.values
        if values["series"] == MARK:
            continue
        if not values["step"].isdecimal() or len(values["step"]) > 9:
            raise DataError(f"{path}, line {row.line}: the step is {values['step']!r}; expected a whole number.")
        name, vehicle = values["image"], values["vehicle_id"]
        image = VehicleImage(folder / name, name, vehicle, values["camera_id"] or None)
        steps.setdefault((values["series"], vehicle), []).append((int(values["step"]), values["value"], image))
    series = []
    for (name, vehicle), unordered in steps.items():
        _, values, images = zip(*sorted(unordered, key=lambda step: step[0]), strict=True)
        series.append(ProbeSeries(name, vehicle, images, values))
    return series
