"""Rows of pictures for paper: what a page shows of photographs and maps with their colour bars, 180 mm wide."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from app.widgets.export import export_buttons
from ssrnet.analysis.figure_layout import FRAME, GAP, MARGIN, MM, WIDTH_MM
from ssrnet.analysis.paper_figures import DrawnFigure
from ssrnet.explain.overlay import Scale, coloured

LARGEST = 42.0
"""Millimetres of a picture's side in a row of few."""
HEADING, LINE = 4.5, 2.3
"""Millimetres of a row's title, and of a line below a picture."""
BAR = 1.0
"""Millimetres of a colour bar's height."""
LETTER = 0.95
"""Millimetres of a letter in such a line, about."""


class Bar(NamedTuple):
    """The colour bar of a map, by a name in :data:`COLOUR_MAPS`."""

    scale: Scale
    colours: str

    def numbers(self) -> tuple[str, str]:
        """What stands at its two ends."""
        low, high = (f"{value:.3g}" for value in self.scale)
        return low, high

    def picture(self) -> np.ndarray:
        """(1, 256, 3) uint8, from low to high."""
        return coloured(np.linspace(0, 1, 256)[None], self.colours)


class Cell(NamedTuple):
    """A picture with its ``bar`` and the words below it, framed where it has a ``colour``."""

    picture: Image.Image
    words: str = ""
    colour: str | None = None
    bar: Bar | None = None


class Row(NamedTuple):
    """Pictures side by side below a title; ``note`` stands where there is none."""

    title: str
    cells: Sequence[Cell] = ()
    note: str = ""


def pictures_export(name: str, rows: Callable[[], Sequence[Row]], key: str) -> None:
    """Export buttons for :func:`print_pictures`; ``rows`` is called only when one of them is clicked."""
    export_buttons(name, lambda format: print_pictures(rows(), format), key=key)


def print_pictures(rows: Sequence[Row], format: str) -> bytes:
    """The rows as PNG (300 dpi), SVG or PDF, 180 mm wide; pictures of all rows are equally wide."""
    from matplotlib.figure import Figure  # takes a second, and few export
    from matplotlib.patches import Rectangle

    most = max(len(row.cells) for row in rows)
    side = min(LARGEST, (WIDTH_MM - 2 * MARGIN - (most - 1) * GAP) / most)
    heights = [_height(row, side) for row in rows]
    height = sum(heights) + 2 * MARGIN
    figure = Figure(figsize=(WIDTH_MM / MM, height / MM), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH_MM), ylim=(0, height))
    axes.axis("off")
    axes.set_autoscale_on(False)  # or each picture would set the limits anew
    top = height - MARGIN
    for row, tall in zip(rows, heights, strict=True):
        y = top
        if row.title:
            axes.text(MARGIN, y, row.title, fontsize=7, weight="bold", va="top", parse_math=False)
            y -= HEADING
        if row.note:
            axes.text(MARGIN, y, "\n".join(textwrap.wrap(row.note, 130)), fontsize=6, va="top", parse_math=False)
        for place, cell in enumerate(row.cells):
            x, low = MARGIN + place * (side + GAP), y - side * _ratio(cell)
            inner = FRAME / 2 if cell.colour else 0.0
            within = (x + inner, x + side - inner, low + inner, y - inner)
            axes.imshow(np.asarray(cell.picture), extent=within, aspect="auto", interpolation="none")
            if cell.colour:
                corner, look = (
                    (x + FRAME / 2, low + FRAME / 2),
                    {"edgecolor": cell.colour, "linewidth": FRAME / MM * 72},
                )
                size = side - FRAME, y - low - FRAME
                axes.add_patch(Rectangle(corner, *size, fill=False, joinstyle="miter", **look))
            if cell.bar:
                extent = (x, x + side, low - 0.4 - BAR, low - 0.4)
                axes.imshow(cell.bar.picture(), extent=extent, aspect="auto", interpolation="none")
                for at, align, number in zip((x, x + side), ("left", "right"), cell.bar.numbers()):
                    axes.text(at, low - 0.8 - BAR, number, fontsize=5, va="top", ha=align, parse_math=False)
                low -= _bar_height(cell)
            words = _wrapped(cell, side)
            axes.text(x, low - 0.5, words, fontsize=5, va="top", linespacing=1.1, parse_math=False)
        top -= tall
    return DrawnFigure(figure, (), "", height).export(format)


def from_uri(uri: str) -> Image.Image:
    """The picture in a data URI."""
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")


def _height(row: Row, side: float) -> float:
    pictures = max(
        (side * _ratio(cell) + _bar_height(cell) + LINE * _wrapped(cell, side).count("\n") for cell in row.cells),
        default=0.0,
    )
    words = LINE * len(textwrap.wrap(row.note, 130))
    return bool(row.title) * HEADING + pictures + words + (LINE + 2 if row.cells else 1.5)


def _bar_height(cell: Cell) -> float:
    return 0.4 + BAR + LINE if cell.bar else 0.0


def _ratio(cell: Cell) -> float:
    return cell.picture.height / cell.picture.width


def _wrapped(cell: Cell, side: float) -> str:
    most = max(4, int(side / LETTER))
    return "\n".join(part for line in cell.words.split("\n") for part in textwrap.wrap(line, most))
