"""Series of photographs of one vehicle in which one thing changes, as a data set's ``probes.csv`` lists them.

The series ``mark``, in which marks come and go, is read by :func:`ssrnet.data.parts.mark_probes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssrnet.data.readers.tables import read_csv
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError

SERIES_COLUMNS = ("image", "series", "step", "value", "vehicle_id", "camera_id")
MARK = "mark"


@dataclass(frozen=True)
class ProbeSeries:
    """One vehicle's photographs in the order of their steps; ``values`` say what changed, in its unit ("15 deg")."""

    name: str
    vehicle_id: str
    photographs: tuple[VehicleImage, ...]
    values: tuple[str, ...]


def probe_series(folder: Path) -> list[ProbeSeries]:
    """Every series of ``probes.csv`` but the marks', in the file's order; empty where there is no such file.

    Raises :class:`DataError` as :func:`read_csv`, and for a step that is no whole number.
    """
    path = folder / "probes.csv"
    if not path.is_file():
        return []
    found: dict[tuple[str, str], list[tuple[int, str, VehicleImage]]] = {}
    for row in read_csv(path, SERIES_COLUMNS):
        values = row.values
        if values["series"] == MARK:
            continue
        if not values["step"].isdecimal() or len(values["step"]) > 9:
            raise DataError(f"{path}, line {row.line}: the step is {values['step']!r}; expected a whole number.")
        name, vehicle = values["image"], values["vehicle_id"]
        image = VehicleImage(folder / name, name, vehicle, values["camera_id"] or None)
        found.setdefault((values["series"], vehicle), []).append((int(values["step"]), values["value"], image))
    series = []
    for (name, vehicle), steps in found.items():
        steps.sort(key=lambda step: step[0])
        series.append(ProbeSeries(name, vehicle, tuple(s[2] for s in steps), tuple(s[1] for s in steps)))
    return series
