"""The five regions for paper: the boxes on the picture, and the crops (Eq. 2)."""

from __future__ import annotations

from PIL import Image, ImageDraw

from app.widgets.components.region_boxes import COLOURS
from app.widgets.prints import Cell, Row
from ssrnet.model.regions import REGION_NAMES, region_boxes

SIDE = 720
"""Pixels of the printed picture's side."""


def printed_regions(picture: Image.Image, size: tuple[int, int], ratio: float) -> list[Row]:
    """The boxes on the picture, squared as the network sees it, and the five crops; ``size`` (H, W) of the map."""
    square = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    boxed = square.copy()
    pen = ImageDraw.Draw(boxed)
    cells = []
    for name, colour, box in zip(REGION_NAMES, COLOURS, region_boxes(*size, ratio), strict=True):
        corners = [round(edge) for edge in box.scaled(SIDE / size[1], SIDE / size[0])]
        pen.rectangle(corners, outline=colour, width=SIDE // 90)
        cells.append(Cell(square.crop(corners), name, colour))
    return [Row(f"Five regions at λ = {ratio:.3g} (Eq. 2)", [Cell(boxed, "as the network sees it"), *cells])]
