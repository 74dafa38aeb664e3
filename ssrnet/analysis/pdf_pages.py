"""Pages to print: A4 sheets with text, framed pictures and protocol records, in mm."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.paper_figures import BLUE, GREEN, RED
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError
from ssrnet.retrieval.evaluation import Evaluation

WIDTH, HEIGHT, MARGIN = 210.0, 297.0, 12.0
"""An A4 page in mm, as all lengths below."""
CELL, GAP, PICTURE = 28.0, 3.4, 20.0
"""A picture's largest width, the space beside it, and its largest height."""
TOP = 24.0
"""How far below the page's upper edge its contents begin."""
PIXELS = 260
"""The longer side of a printed picture: 240 dots an inch."""
FRAMES = {"query": BLUE, "hit": GREEN, "error": RED}
POINTS_PER_MM, RECORD_SIZE = 72 / 25.4, 6.4


def picture(axes: Axes, x: float, y: float, image: VehicleImage, kind: str, label: str) -> None:
    """A framed picture as large as its cell allows, its top at ``y``, with ``label`` below it."""
    pixels = _read(str(image.path))
    if pixels is None:
        width, height = CELL, PICTURE * 0.8
        axes.add_patch(Rectangle((x, y - height), width, height, facecolor="#d4d4d8"))
        write(axes, x + width / 2, y - height / 2 + 1, "cannot be read", 6, ha="center")
    else:
        scale = min(CELL / pixels.shape[1], (PICTURE - 1) / pixels.shape[0])
        width, height = pixels.shape[1] * scale, pixels.shape[0] * scale
        axes.imshow(pixels, extent=(x, x + width, y - height, y), interpolation="none", aspect="auto", zorder=2)
    frame = Rectangle((x, y - height), width, height, fill=False, edgecolor=FRAMES[kind], linewidth=2.2, zorder=3)
    axes.add_patch(frame)
    write(axes, x, y - height - 0.9, label, 6, color=FRAMES[kind])


@lru_cache(maxsize=256)  # queries on one page list the same images
def _read(path: str) -> np.ndarray | None:
    """(H, W, 3) uint8 of at most 256 colours, a third of the bytes in a PDF; None for an unreadable image."""
    try:
        photograph = read_image(path)
    except DataError:
        return None
    photograph.thumbnail((PIXELS, PIXELS))
    return np.asarray(photograph.quantize(256, Image.Quantize.FASTOCTREE).convert("RGB"))


def new_page(heading: str, footer: str, page: int, pages: int) -> Axes:
    """An empty page whose axes are in mm."""
    figure = Figure(figsize=(WIDTH / 25.4, HEIGHT / 25.4))
    figure.suppressComposite = True  # each picture stays a separate object, with a palette of 256 colours
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    write(axes, MARGIN, HEIGHT - 11, heading, 11, weight="bold")
    write(axes, WIDTH - MARGIN, HEIGHT - 11, f"{page} of {pages}", 8, ha="right")
    write(axes, MARGIN, 9, footer, 6)
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(0, HEIGHT)
    axes.set_autoscale_on(False)
    return axes


def write(axes: Axes, x: float, y: float, text: str, size: float, **options: object) -> None:
    """Text whose upper left corner is at (x, y), in points; ``options`` of ``Axes.text``."""
    # parse_math=False: a name with two dollar signs is not a formula
    axes.text(x, y, text, fontsize=size, va="top", parse_math=False, **options)


def protocol_line(comparison: Comparison) -> str:
    """The protocol in one line, for the foot of a page."""
    record = comparison.a.record
    seed = "" if record.seed is None else f" (seed {record.seed}, n = {record.shots})"
    return (
        f"{record.dataset} {record.dataset_hash} · {record.protocol}{seed} · junk (left out here): {record.junk_rule} "
        f"· {record.queries:,} queries, {record.gallery:,} gallery images · {record.distance} distance · "
        f"ssrnet {record.version}"
    )


def draw_records(axes: Axes, evaluations: Mapping[str, Evaluation]) -> None:
    """The protocol record of each model, below each other."""
    y = HEIGHT - TOP
    for title, evaluation in evaluations.items():
        write(axes, MARGIN, y, title, 9, weight="bold")
        lines = [part for line in evaluation.record.json().splitlines() for part in wrap(line, 110) or [line]]
        step = RECORD_SIZE / POINTS_PER_MM * 1.3
        for number, line in enumerate(lines, 1):
            write(axes, MARGIN, y - 2 - number * step, line, RECORD_SIZE, family="monospace")
        y -= (len(lines) + 4) * step + 2
