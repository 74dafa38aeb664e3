"""How a figure of ranked queries is laid out: what it shows of them, and the sizes of its parts in millimetres."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ssrnet.analysis.picture_cells import cell_ratio
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.errors import SettingsError
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.ranking import Hit

WIDTH_MM, COLUMN_MM, HEIGHT_MM, DPI, MM = 180.0, 85.0, 257.0, 300, 25.4
"""Widths of a text block and of one of its two columns, and A4's height within margins; dots and millimetres an inch."""
MARGIN, GAP, PANEL_GAP, ROW_GAP, FRAME = 3.0, 1.0, 5.0, 2.5, 0.7
"""Millimetres: around the figure; between pictures, panels and rows of panels; a frame."""
LEAST_MM = 4.0
"""A picture's least height."""
POINT = MM / 72
"""Millimetres of a point."""
LETTER = 0.55
"""A letter's mean width in a caption, of its font size."""
PANEL_LETTERS = "abcdefghijklmnopqrstuvwxyz"

Label = Literal["rank", "vehicle", "camera", "distance"]

DRAWING = threading.Lock()
"""Matplotlib is not thread-safe, and the app has one thread per viewer."""


@dataclass(frozen=True)
class FigureSettings:
    """How a figure looks. ``labels`` stand below each ranked picture, beside its ✓ or ✗.

    columns: most panels side by side. font_pt: of titles and caption; labels take a point less, or what fits. captioned:
    whether the caption is drawn below the panels.
    """

    top_k: int = 5
    columns: int = 2
    width_mm: float = WIDTH_MM
    font_pt: float = 6.0
    labels: tuple[Label, ...] = ("rank",)
    captioned: bool = True


class Plan(NamedTuple):
    """Sizes in millimetres: of the figure, a panel, its parts and the caption, whose ``lines`` are wrapped.

    ``titles`` of the panels; fonts, in points, are as large as asked for, or as fits.
    """

    height: float
    panel_width: float
    panel: float
    title: float
    side: float
    cell: float
    picture: float
    label: float
    titles: list[str]
    title_pt: float
    side_pt: float
    label_pt: float
    lines: list[str]
    text_height: float


def plan_figure(rows: Mapping[str, Evaluation], queries: Sequence[int], settings: FigureSettings, text: str) -> Plan:
    """Sizes everything so that labels fit below their pictures, and the panels on a page.

    Raises :class:`DataError` for an image that cannot be read, :class:`SettingsError` where a page does not hold the panels.
    """
    width = settings.width_mm - 2 * MARGIN
    panel_width = (width - (settings.columns - 1) * PANEL_GAP) / settings.columns
    letter = settings.font_pt * POINT
    title, side = letter + 1.9, 1.1 * letter + 0.9
    cell = (panel_width - side - settings.top_k * GAP) / (settings.top_k + 1)
    hits = (pair for query in queries for row in rows.values() for pair in listed(row, query, settings.top_k))
    labels = [label_of(hit, image, settings) for hit, image in hits]
    label_pt = _fitting(labels, settings.font_pt - 1, cell)
    label = 0.6 + label_pt * POINT * 1.2 * max(1, *(each.count("\n") + 1 for each in labels)) if labels else 0.6
    lines = textwrap.wrap(text, int(width / (LETTER * letter))) if settings.captioned else []
    text_height = 1.25 * letter * len(lines) + 1.5 if lines else 0.0
    down = -(-len(queries) // settings.columns)
    query_images = [next(iter(rows.values())).split.query[query] for query in queries]
    titles = [_title(PANEL_LETTERS[i], image) for i, image in enumerate(query_images)]
    ratio = cell_ratio([read_image(image.path).size for image in query_images])
    panel = (HEIGHT_MM - 2 * MARGIN - text_height) / down - ROW_GAP  # the highest that fits on a page
    picture = min(cell / ratio, (panel - title) / len(rows) - label)
    if picture < LEAST_MM or cell < LEAST_MM:
        raise SettingsError(
            f"{len(queries)} queries with {len(rows)} rows of {settings.top_k} do not fit on a page: pictures would be "
            f"{max(0.0, min(cell, picture)):.1f} mm. Choose fewer queries, images or columns, or a smaller font."
        )
    panel = title + len(rows) * (picture + label)
    height = 2 * MARGIN + down * (panel + ROW_GAP) + text_height
    title_pt = _fitting(titles, settings.font_pt, panel_width)
    side_pt = _fitting([short(each) for each in rows], 0.75 * settings.font_pt, picture + label)
    fonts = title_pt, side_pt, label_pt
    return Plan(height, panel_width, panel, title, side, cell, picture, label, titles, *fonts, lines, text_height)


def listed(evaluation: Evaluation, query: int, top_k: int) -> Iterator[tuple[Hit, VehicleImage]]:
    """The first ``top_k`` images of one query that are not junk."""
    for hit in evaluation.ranking.top(query, top_k):
        if hit.rank is not None:
            yield hit, evaluation.split.gallery[hit.index]


def label_of(hit: Hit, image: VehicleImage, settings: FigureSettings) -> str:
    """What stands below a ranked picture, a line each."""
    sign = "✓" if hit.match else "✗"
    words = {"vehicle": image.vehicle_id, "camera": image.camera_id, "distance": f"{hit.distance:.3f}"}
    first = f"{hit.rank} {sign}" if "rank" in settings.labels else sign
    return "\n".join([first, *(words[name] for name in words if name in settings.labels and words[name])])


def _title(letter: str, image: VehicleImage) -> str:
    return f"({letter})  vehicle {image.vehicle_id}{f', camera {image.camera_id}' if image.camera_id else ''}"


def _fitting(labels: Sequence[str], points: float, width: float) -> float:
    """The font size in points, at most ``points``, at which each line of the labels is at most ``width`` mm wide."""
    from matplotlib.textpath import TextPath

    lines = sorted({line for label in labels for line in label.split("\n")}, key=len)[-8:]
    with DRAWING:
        widest = max(
            (TextPath((0, 0), line.replace("$", "S"), size=points).get_extents().width * POINT for line in lines),
            default=0.0,
        )
    return points * min(1.0, width / widest) if widest else 0.0


def short(title: str) -> str:
    """A row's label: a model's title without its branches or file name."""
    return title.split(":")[0] if ":" in title else title.split(" (")[0]
