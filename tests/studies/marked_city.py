"""The tiny city with part masks, look-alikes and photographs in which a mark is removed and moved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests import tiny

LABELS = ("background", "body", "sticker")
SIZE = (40, 48)
STICKER = (255, 0, 0)  # on white, black, orange and brown vehicles
PLACES = {"as it is": (8, 8), "moved": (24, 32)}


def marked_city(root: Path) -> Path:
    """Every test photograph has a mask: 4 rows of background, then body, and a sticker of 8x8 pixels at (8, 8).

    All but vehicle 0009 have look-alikes; vehicles 0006 and 0008 have probes.
    """
    tiny.city(root)
    lines = (root / "manifest.csv").read_text().splitlines()
    added = ["mask,sibling_group,azimuth,visible_marks"]
    for number, line in enumerate(lines[1:]):
        name = line.split(",")[0]
        if name < "0006":
            added.append(",,,")
            continue
        group = "" if name.startswith("0009") else "1"
        added.append(f"masks/{name[:-4]}.png,{group},{30 * (number % 3)},sticker")
        for folder in ("image_test", "image_query"):
            if (root / folder / name).exists():
                _stick(root / folder / name, PLACES["as it is"])
        _save_mask(root / f"masks/{name[:-4]}.png", PLACES["as it is"])
    (root / "manifest.csv").write_text("".join(f"{a},{b}\n" for a, b in zip(lines, added, strict=True)))
    (root / "parts.txt").write_text("".join(f"{value} {name}\n" for value, name in enumerate(LABELS)))
    probes = ["image,series,step,value,vehicle_id,camera_id,mark,change,mark_pixels,mask"]
    for vehicle in ("0006", "0008"):
        plain = np.full((*SIZE, 3), tiny.COLOURS[int(vehicle)], np.uint8)
        for step, change in enumerate(("as it is", "removed", "moved")):
            place = PLACES.get(change)
            stem = f"mark_{vehicle}_{step}"
            (root / "probes").mkdir(exist_ok=True)
            Image.fromarray(plain).save(root / f"probes/{stem}.png")
            if place:
                _stick(root / f"probes/{stem}.png", place)
            _save_mask(root / f"probes/masks/{stem}.png", place)
            probes.append(
                f"probes/{stem}.png,mark,{step},sticker,{vehicle},c001,sticker-1,{change},64,probes/masks/{stem}.png"
            )
    (root / "probes.csv").write_text("\n".join(probes) + "\n")
    return root


def _stick(path: Path, place: tuple[int, int]) -> None:
    pixels = np.asarray(Image.open(path)).copy()
    pixels[place[0] : place[0] + 8, place[1] : place[1] + 8] = STICKER
    Image.fromarray(pixels).save(path)


def _save_mask(path: Path, place: tuple[int, int] | None) -> None:
    mask = np.ones(SIZE, np.uint8)
    mask[:4] = 0
    if place:
        mask[place[0] : place[0] + 8, place[1] : place[1] + 8] = 2
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
