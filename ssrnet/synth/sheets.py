"""Contact sheets of the city, to look at: `python -m ssrnet.synth.sheets --out DIR [--city DIR]`.

types.png: ten body types from four sides; siblings.png: three groups of look-alikes from four sides, which
only their marks tell apart; with --city also identities.png (8 vehicles in 12 captures each) and a
sheet of each series of its probes.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from PIL import Image, ImageDraw
from tqdm import tqdm

from ssrnet.errors import DataError
from ssrnet.synth.fleet import draw_fleet
from ssrnet.synth.jobs import photographer
from ssrnet.synth.manifest import write_atomic
from ssrnet.synth.mitsuba_setup import load_mitsuba
from ssrnet.synth.probes import CALM, base_capture
from ssrnet.synth.settings import city_recipe
from ssrnet.synth.specs import IdentitySpec
from ssrnet.synth.vehicle import build

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
    """A folder that `ssrnet synth` wrote; without it only types and siblings are drawn."""
    seed: int = 776
    """Fleet from which types and siblings are taken."""


def main(settings: SheetSettings) -> None:
    """Writes the sheets."""
    load_mitsuba()
    fleet = draw_fleet(replace(city_recipe("demo"), seed=settings.seed))
    by_type = {one.model.body_type: one for one in reversed(fleet.identities)}
    groups = [group[:4] for group in list(fleet.groups().values())[:3]]
    _save(settings.out / "types.png", _sides(by_type.values(), TYPE_SIDES), len(TYPE_SIDES))
    _save(settings.out / "siblings.png", _sides((one for group in groups for one in group), SIDES), len(SIDES))
    if settings.city is not None:
        _save(settings.out / "identities.png", _identities(settings.city), 12)
        for series, cells in _probes(settings.city).items():
            _save(settings.out / f"probe-{series}.png", cells, 12)


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
    for who in chosen:
        some = [rows[who][int(k)] for k in np.linspace(0, len(rows[who]) - 1, 12)]
        for row in some:
            caption = f"{who} {row['camera_id']} {row['weather']} {row['light']}"
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
    height = -(-len(cells) // columns) * (CELL + CAPTION)
    sheet = Image.new("RGB", (columns * CELL, height), "white")
    pen = ImageDraw.Draw(sheet)
    for k, (image, caption) in enumerate(cells):
        left, top = k % columns * CELL, k // columns * (CELL + CAPTION)
        scale = (CELL - 4) / max(image.size)
        size = [max(1, round(side * scale)) for side in image.size]
        sheet.paste(image.convert("RGB").resize(size, Image.Resampling.BICUBIC), (left, top + CAPTION))
        pen.text((left + 2, top), caption[: CELL // 6], fill="black")
    stored = io.BytesIO()
    sheet.save(stored, "PNG")
    write_atomic(path, stored.getvalue())


if __name__ == "__main__":
    main(tyro.cli(SheetSettings))
