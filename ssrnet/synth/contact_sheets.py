"""Contact sheets of the city: `python -m ssrnet.synth.contact_sheets --out DIR [--city DIR]`.

types.jpg shows ten body types and siblings.jpg three groups of siblings, each from four sides; with --city
also identities.jpg (8 vehicles, 12 captures each) and one sheet for each series of its probes.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from PIL import Image, ImageDraw
from tqdm import tqdm

from ssrnet.errors import DataError
from ssrnet.synth.camera.imaging import jpeg_bytes
from ssrnet.synth.jobs import photographer
from ssrnet.synth.manifest import write_atomic
from ssrnet.synth.probes import CALM, base_capture
from ssrnet.synth.render.mitsuba_setup import load_mitsuba
from ssrnet.synth.settings import city_recipe
from ssrnet.synth.vehicle.assembly import build
from ssrnet.synth.vehicle.fleet import draw_fleet
from ssrnet.synth.vehicle.specs import IdentitySpec

CELL = 210
CAPTION = 14
SIDES = (15.0, 80.0, 170.0, 280.0)
TYPE_SIDES = (35.0, 90.0, 145.0, 0.0)
Cell = tuple[Image.Image, str]


@dataclass(frozen=True)
class SheetSettings:
    """Draw contact sheets of the synthetic city."""

    out: Path
    """Folder for the sheets."""
    city: Path | None = None
    """A folder that `ssrnet synth` wrote; without it there are only types.jpg and siblings.jpg."""
    seed: int = 776
    """Seed of the fleet that types and siblings come from."""


def main(settings: SheetSettings) -> None:
    """Write the sheets into ``settings.out``."""
    load_mitsuba()
    fleet = draw_fleet(replace(city_recipe("demo"), seed=settings.seed))
    by_type = {one.model.body_type: one for one in reversed(fleet.identities)}
    groups = [group[:4] for group in list(fleet.groups().values())[:3]]
    _save(settings.out / "types.jpg", _sides(by_type.values(), TYPE_SIDES), len(TYPE_SIDES))
    _save(settings.out / "siblings.jpg", _sides((one for group in groups for one in group), SIDES), len(SIDES))
    if settings.city is not None:
        _save(settings.out / "identities.jpg", _identities(settings.city), 12)
        for series, cells in _probes(settings.city).items():
            _save(settings.out / f"probe-{series}.jpg", cells, 12)


def _sides(vehicles: Iterable[IdentitySpec], azimuths: Sequence[float]) -> list[Cell]:
    cells = []
    for identity in tqdm(list(vehicles), desc="vehicles"):
        vehicle = build(identity)
        for azimuth in azimuths:
            photo = photographer(4).take(vehicle, base_capture(identity, 0, azimuth), CALM)
            marks = ", ".join(photo.visible_marks)
            caption = f"{identity.vehicle_id:04d} {identity.model.body_type} {marks}"
            cells.append((Image.fromarray(photo.pixels), caption))
    return cells


def _identities(city: Path) -> list[Cell]:
    rows = defaultdict(list)
    for row in _table(city / "manifest.csv"):
        if row["split"] != "query":
            rows[row["vehicle_id"]].append(row)
    chosen = list(rows)[:: max(1, len(rows) // 8)][:8]
    cells = []
    for vehicle_id in chosen:
        count = len(rows[vehicle_id])
        for row in [rows[vehicle_id][int(k)] for k in np.linspace(0, count - 1, 12)]:
            caption = f"{vehicle_id} {row['camera_id']} {row['weather']} {row['light']}"
            cells.append((Image.open(city / row["image"]), caption))
    return cells


def _probes(city: Path) -> dict[str, list[Cell]]:
    cells = defaultdict(list)
    for row in _table(city / "probes.csv"):
        words = f"{row['change']} {row['mark_pixels']}" if row["mark"] else ""
        cells[row["series"]].append((Image.open(city / row["image"]), f"{row['vehicle_id']} {row['value']} {words}"))
    return cells


def _table(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        raise DataError(f"{path} does not exist; name a folder that `ssrnet synth` has finished (with --probes).")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _save(path: Path, cells: list[Cell], columns: int) -> None:
    """Writes a JPEG of ``cells``, each row as high as its tallest image."""
    shown = [(image.convert("RGB"), caption) for image, caption in cells]
    for image, _ in shown:
        image.thumbnail((CELL - 4, CELL - 4), Image.Resampling.BICUBIC)
    rows = [shown[start : start + columns] for start in range(0, len(shown), columns)]
    heights = [max(image.height for image, _ in row) + CAPTION + 4 for row in rows]
    sheet = Image.new("RGB", (columns * CELL, sum(heights)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = sum(heights[:number])
        for column, (image, caption) in enumerate(row):
            sheet.paste(image, (column * CELL, top + CAPTION))
            pen.text((column * CELL + 2, top), caption[: CELL // 6], fill="black")
    write_atomic(path, jpeg_bytes(np.asarray(sheet)))


if __name__ == "__main__":
    main(tyro.cli(SheetSettings))
