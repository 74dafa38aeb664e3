"""Figures of ranked queries at print size, as the paper's Figs. 5 and 6.

Each query has a panel: the query, framed blue, and to its right a row a model, of its first K images that are not
junk, framed green where they show the query's vehicle and red where they do not. Every photograph is whole.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ssrnet.analysis.figure_layout import (
    DPI,
    DRAWING,
    FRAME,
    GAP,
    MARGIN,
    MM,
    PANEL_GAP,
    ROW_GAP,
    FigureSettings,
    Plan,
    label_of,
    listed,
    plan_figure,
    short,
)
from ssrnet.analysis.picture_cells import on_ground
from ssrnet.data.images import read_image
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import VehicleImage
from ssrnet.retrieval.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, GREEN, RED, GREY = "#2563eb", "#16a34a", "#dc2626", "#9ca3af"
"""Frames of the query, of hits, of errors and of junk."""


class PaperFigure(NamedTuple):
    """A figure of the paper: its title, protocol, images listed per model, and panels side by side."""

    title: str
    protocol: Protocol
    top_k: int
    columns: int


def fig5(seed: int = 0) -> PaperFigure:
    """Single-gallery-shot, top-5."""
    return PaperFigure("Fig. 5", Protocol("single_gallery_shot", seed=seed), 5, 2)


def fig6(seed: int = 0) -> PaperFigure:
    """Multi-gallery-shot with n = 6, top-10."""
    return PaperFigure("Fig. 6", Protocol("multi_gallery_shot", seed=seed, n=6), 10, 1)


class FramedPicture(NamedTuple):
    """Where a picture is: its lower left corner, from the figure's lower left, and its size, in millimetres."""

    kind: Literal["query", "hit", "error"]
    x: float
    y: float
    width: float
    height: float

    @property
    def colour(self) -> str:
        return {"query": BLUE, "hit": GREEN, "error": RED}[self.kind]


@dataclass(frozen=True)
class DrawnFigure:
    """A figure ready for :meth:`export`. ``pictures`` says where each picture is, by panel, then by row.

    label_pt: the font size of the labels below pictures, 0 where there are none.
    """

    figure: Figure
    pictures: tuple[FramedPicture, ...]
    caption: str
    height_mm: float
    label_pt: float = 0.0

    def export(self, format: Literal["png", "svg", "pdf"], dpi: int = DPI) -> bytes:
        """The figure as a file of its own size; the same figure gives the same bytes."""
        import matplotlib

        # Without these, a date and random names would be in the files. Type 42 embeds fonts as journals want them.
        metadata = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[format]
        buffer = io.BytesIO()
        with DRAWING, matplotlib.rc_context({"svg.hashsalt": "ssrnet", "pdf.fonttype": 42}):
            self.figure.savefig(buffer, format=format, dpi=dpi, metadata=metadata)
        return buffer.getvalue()


def draw_figure(
    rows: Mapping[str, Evaluation],
    queries: Sequence[int],
    settings: FigureSettings = FigureSettings(),
    text: str = "",
    progress_callback: Callable[[int, int], None] | None = None,
) -> DrawnFigure:
    """Draws ``queries`` (positions in the split) with a row for each model's evaluation, and ``text`` beneath.

    ``progress_callback(done, total)`` is called after each query. Raises :class:`DataError` for an image that cannot
    be read, and :class:`SettingsError` where the panels do not fit on a page.
    """
    from matplotlib.figure import Figure  # here: it takes a second to import, and the page opens without it

    settings = replace(settings, columns=min(settings.columns, max(1, len(queries))))
    plan = plan_figure(rows, queries, settings, text)
    with DRAWING:
        drawn = Figure(figsize=(settings.width_mm / MM, plan.height / MM), facecolor="white")
        axes = drawn.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, settings.width_mm), ylim=(0, plan.height))
        axes.axis("off")
        axes.set_autoscale_on(False)  # else each picture would change the limits
    pictures: list[FramedPicture] = []
    for i, query in enumerate(queries):
        row, column = divmod(i, settings.columns)
        x = MARGIN + column * (plan.panel_width + PANEL_GAP)
        top = plan.height - MARGIN - row * (plan.panel + ROW_GAP)
        pictures += _draw_panel(axes, x, top, plan.titles[i], rows, query, settings, plan)
        if progress_callback:
            progress_callback(i + 1, len(queries))
    with DRAWING:
        at, wrapped = MARGIN + plan.text_height - 1.5, "\n".join(plan.lines)
        axes.text(MARGIN, at, wrapped, fontsize=settings.font_pt, va="top", linespacing=1.25, parse_math=False)
    return DrawnFigure(drawn, tuple(pictures), text, plan.height, plan.label_pt)


def _draw_panel(
    axes: Axes,
    x: float,
    top: float,
    panel_title: str,
    rows: Mapping[str, Evaluation],
    query: int,
    settings: FigureSettings,
    plan: Plan,
) -> Iterator[FramedPicture]:
    """Draws one query with its upper left corner at ``x`` and ``top``."""
    image = next(iter(rows.values())).split.query[query]
    with DRAWING:
        axes.text(x, top - plan.title + 1.3, panel_title, fontsize=plan.title_pt, va="bottom", parse_math=False)
    first = top - plan.title - plan.picture
    bottom = first - (len(rows) - 1) * (plan.picture + plan.label)
    frame = FramedPicture("query", x, (first + bottom) / 2, plan.cell, plan.picture)
    yield _draw_picture(axes, image, frame, "query", plan.label_pt)
    for at, (title, evaluation) in enumerate(rows.items()):
        y = first - at * (plan.picture + plan.label)
        with DRAWING:
            look = {"rotation": 90, "ha": "center", "va": "center", "parse_math": False}
            place = x + plan.cell + (plan.side + GAP) / 2, y + plan.picture / 2
            axes.text(*place, short(title), fontsize=plan.side_pt, **look)
        for place, (hit, stored) in enumerate(listed(evaluation, query, settings.top_k), 1):
            left = x + plan.side + place * (plan.cell + GAP)
            frame = FramedPicture("hit" if hit.match else "error", left, y, plan.cell, plan.picture)
            yield _draw_picture(axes, stored, frame, label_of(hit, stored, settings), plan.label_pt)


def _draw_picture(axes: Axes, image: VehicleImage, frame: FramedPicture, label: str, label_pt: float) -> FramedPicture:
    """Draws the whole image within its frame, and ``label`` below; returns ``frame``."""
    from matplotlib.patches import Rectangle

    pixels = tuple(round(side / MM * DPI) for side in (frame.width, frame.height))
    shown = np.asarray(on_ground(read_image(image.path), pixels))
    x, y, width, height = frame[1:]
    with DRAWING:
        within = (x + FRAME / 4, x + width - FRAME / 4, y + FRAME / 4, y + height - FRAME / 4)
        axes.imshow(shown, extent=within, aspect="auto", interpolation="none", zorder=1)
        axes.add_patch(
            Rectangle(
                (x + FRAME / 2, y + FRAME / 2),
                width - FRAME,
                height - FRAME,
                fill=False,
                edgecolor=frame.colour,
                linewidth=FRAME / MM * 72,
                joinstyle="miter",
                zorder=2,
            )
        )
        look = {"color": frame.colour, "ha": "center", "va": "top", "linespacing": 1.1, "parse_math": False}
        axes.text(x + width / 2, y - 0.4, label, fontsize=label_pt, **look)
    return frame
