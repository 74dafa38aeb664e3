"""Figures of six queries as the paper's Figs. 5 and 6, at print size.

Each query has a panel: the query, framed blue, and to its right the first K images of the first model above those of
the second, framed green where they show the query's vehicle and red where they do not. The caption says how the
queries were chosen and how they were ranked.
"""

from __future__ import annotations

import io
import textwrap
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.picture_cells import cell_ratio, on_ground
from ssrnet.data.images import read_image
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, GREEN, RED, GREY = "#2563eb", "#16a34a", "#dc2626", "#9ca3af"
"""Frames of the query, of hits, of errors and of junk."""
WIDTH_MM, HEIGHT_MM, DPI, MM = 180.0, 257.0, 300, 25.4
"""A text block's width, and the most height on A4; dots an inch of the PNG and of all photographs; millimetres an inch."""
MARGIN, GAP, PANEL_GAP, ROW_GAP, FRAME, LABEL, TITLE, RANK = 3.0, 1.0, 5.0, 2.5, 0.7, 3.2, 4.0, 2.8
"""Millimetres: around the figure; between pictures, panels and rows of panels; a frame; beside, above, below pictures."""
QUERIES = 6
PANEL_LETTERS = "abcdefghijklmnopqrstuvwxyz"

RuleName = Literal["sample", "differ", "fixed"]
RULES: dict[RuleName, str] = {
    "sample": "drawn at random (seed {seed}) from the {count:,} queries that have a match",
    "differ": "those whose AP differs most between the two models, either way, of the {count:,} whose AP differs",
    "fixed": "drawn at random (seed {seed}) from the {count:,} whose first image is right with {b} alone",
}
"""How the queries are chosen, in the words of the caption."""

_DRAWING = threading.Lock()
"""Matplotlib is not thread-safe, and the app has one thread per viewer."""


class FigureLayout(NamedTuple):
    """A figure of the paper: its title, protocol, images listed per model, and panels side by side."""

    title: str
    protocol: Protocol
    top_k: int
    columns: int


def fig5(seed: int = 0) -> FigureLayout:
    """Single-gallery-shot, top-5."""
    return FigureLayout("Fig. 5", Protocol("single_gallery_shot", seed=seed), 5, 2)


def fig6(seed: int = 0) -> FigureLayout:
    """Multi-gallery-shot with n = 6, top-10."""
    return FigureLayout("Fig. 6", Protocol("multi_gallery_shot", seed=seed, n=6), 10, 1)


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
    """A figure ready for :meth:`export`. ``pictures`` says where each picture is, by panel, then by row."""

    figure: Figure
    pictures: tuple[FramedPicture, ...]
    caption: str
    height_mm: float

    def export(self, format: Literal["png", "svg", "pdf"], dpi: int = DPI) -> bytes:
        """The figure as a file, 180 mm wide; the same figure gives the same bytes."""
        import matplotlib

        # Without these, a date and random names would be in the files.
        metadata = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[format]
        buffer = io.BytesIO()
        with _DRAWING, matplotlib.rc_context({"svg.hashsalt": "ssrnet"}):
            self.figure.savefig(buffer, format=format, dpi=dpi, metadata=metadata)
        return buffer.getvalue()


def choose_queries(comparison: Comparison, rule: RuleName, seed: int = 0, count: int = QUERIES) -> np.ndarray:
    """Positions of up to ``count`` queries, at most one per vehicle, by a reproducible rule.

    Random choices come from numpy's PCG64, seeded by ``seed``, over the queries in the split's order. Raises
    :class:`DataError` where no query fits the rule.
    """
    candidates = _candidates(comparison, rule)
    if not len(candidates):
        raise DataError(f"no query fits the rule “{_rule_text(rule, comparison, seed, 0)}”; choose another rule.")
    if rule == "differ":
        order = np.argsort(-np.abs(comparison.delta_ap[candidates]), kind="stable")
    else:
        order = np.random.Generator(np.random.PCG64(seed)).permutation(len(candidates))
    chosen: dict[str, int] = {}
    for query in candidates[order].tolist():
        chosen.setdefault(comparison.split.query[query].vehicle_id, query)
        if len(chosen) == count:
            break
    return np.array(list(chosen.values()))


def caption(
    comparison: Comparison, titles: tuple[str, str], layout: FigureLayout, rule: RuleName, seed: int, queries: int
) -> str:
    """Everything needed to judge the figure and to reproduce it."""
    record = comparison.a.record
    shots = f"{layout.protocol.name.replace('_', '-')}, seed {record.seed}" + (
        f", n = {record.shots}" if layout.protocol.name == "multi_gallery_shot" else ""
    )
    hashes = ", ".join(str(each.record.features.get("checkpoint_hash", "?")) for each in (comparison.a, comparison.b))
    number = len(_candidates(comparison, rule))
    return (
        f"As the paper's {layout.title}, on {record.dataset}: top-{layout.top_k} of {queries} queries, {shots}, gallery "
        f"of {record.gallery:,} images. Upper rows: {titles[0]}; lower rows: {titles[1]}. Blue: query; green ✓: the same "
        f"vehicle; red ✗: another one; numbers: ranks. Queries: {_rule_text(rule, comparison, seed, number, titles[1])}, at "
        f"most one a vehicle. {_ranking_text(comparison)} Checkpoints {hashes}; data {record.dataset_hash}; ssrnet "
        f"{record.version}."
    )


def draw_figure(
    comparison: Comparison,
    titles: tuple[str, str],
    layout: FigureLayout,
    queries: Sequence[int],
    text: str,
    progress_callback: Callable[[int, int], None] | None = None,
) -> DrawnFigure:
    """Draws ``queries`` (positions in the split) with ``text`` beneath.

    ``progress_callback(done, total)`` is called after each query. Raises :class:`DataError` for an image that cannot
    be read.
    """
    from matplotlib.figure import Figure  # here: it takes a second to import, and the page opens without it

    width = (WIDTH_MM - 2 * MARGIN - (layout.columns - 1) * PANEL_GAP) / layout.columns  # of a panel
    cell = (width - LABEL - layout.top_k * GAP) / (layout.top_k + 1)
    lines = textwrap.wrap(text, 138)
    text_height = 2.9 * len(lines) + 1.5
    rows = -(-len(queries) // layout.columns)
    highest = (HEIGHT_MM - 2 * MARGIN - text_height) / rows - ROW_GAP - TITLE
    shown = [comparison.split.query[query] for query in queries]
    picture = min(cell / cell_ratio([read_image(image.path).size for image in shown]), highest / 2 - RANK)
    panel = TITLE + 2 * (picture + RANK)
    height = 2 * MARGIN + rows * (panel + ROW_GAP) + text_height
    with _DRAWING:
        drawn = Figure(figsize=(WIDTH_MM / MM, height / MM), facecolor="white")
        axes = drawn.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, WIDTH_MM), ylim=(0, height))
        axes.axis("off")
        axes.set_autoscale_on(False)  # else each picture would change the limits
    pictures: list[FramedPicture] = []
    for i, query in enumerate(queries):
        row, column = divmod(i, layout.columns)
        x = MARGIN + column * (width + PANEL_GAP)
        top = height - MARGIN - row * (panel + ROW_GAP)
        image = comparison.split.query[query]
        camera = f", camera {image.camera_id}" if image.camera_id else ""
        with _DRAWING:
            axes.text(
                x,
                top - TITLE + 1.3,
                f"({PANEL_LETTERS[i]})  vehicle {image.vehicle_id}{camera}",
                fontsize=6,
                va="bottom",
                parse_math=False,
            )
        upper = top - TITLE - picture
        lower = upper - RANK - picture
        pictures.append(
            _draw_picture(axes, image, FramedPicture("query", x, (upper + lower) / 2, cell, picture), "query")
        )
        for y, evaluation, title in zip((upper, lower), (comparison.a, comparison.b), titles, strict=True):
            with _DRAWING:
                axes.text(
                    x + cell + LABEL / 2 + GAP / 2,
                    y + picture / 2,
                    short(title),
                    fontsize=4.5,
                    rotation=90,
                    ha="center",
                    va="center",
                    parse_math=False,
                )
            hits = [hit for hit in evaluation.ranking.hits(query) if hit.rank is not None and hit.rank <= layout.top_k]
            for place, hit in enumerate(hits):
                left = x + LABEL + (place + 1) * (cell + GAP)
                frame = FramedPicture("hit" if hit.match else "error", left, y, cell, picture)
                label = f"{hit.rank} {'✓' if hit.match else '✗'}"
                pictures.append(_draw_picture(axes, evaluation.split.gallery[hit.index], frame, label))
        if progress_callback:
            progress_callback(i + 1, len(queries))
    with _DRAWING:
        top, wrapped = MARGIN + text_height - 1.5, "\n".join(lines)
        axes.text(MARGIN, top, wrapped, fontsize=6.5, va="top", linespacing=1.25, parse_math=False)
    return DrawnFigure(drawn, tuple(pictures), text, height)


def short(title: str) -> str:
    """A row's label: a model's title without its branches or file name."""
    return title.split(":")[0] if ":" in title else title.split(" (")[0]


def _draw_picture(axes: Axes, image: VehicleImage, frame: FramedPicture, label: str) -> FramedPicture:
    """Draws the whole image within its frame, and ``label`` below; returns ``frame``."""
    from matplotlib.patches import Rectangle

    pixels = tuple(round(side / MM * DPI) for side in (frame.width, frame.height))
    shown = np.asarray(on_ground(read_image(image.path), pixels))
    x, y, width, height = frame[1:]
    with _DRAWING:
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
        axes.text(x + width / 2, y - 0.4, label, fontsize=5, color=frame.colour, ha="center", va="top")
    return frame


def _candidates(comparison: Comparison, rule: RuleName) -> np.ndarray:
    if rule == "fixed":
        return np.sort(comparison.select("fixed"))
    delta = comparison.delta_ap
    return np.flatnonzero(~np.isnan(delta) & (delta != 0) if rule == "differ" else ~np.isnan(delta))


def _rule_text(rule: RuleName, comparison: Comparison, seed: int, count: int, b: str = "the second model") -> str:
    return RULES[rule].format(seed=seed, count=count, b=short(b))


def _ranking_text(comparison: Comparison) -> str:
    """Distance and ranking options in words; branches per model, since they may differ."""
    record = comparison.b.record
    parts = [f"Distance: {record.distance}"]
    if record.camera_alignment != "none":
        parts.append("features aligned by camera")
    if record.features.get("flip_test"):
        parts.append("flip test")
    for title, each in zip(("upper", "lower"), (comparison.a, comparison.b), strict=True):
        if each.record.features.get("branches"):
            parts.append(f"{title} rows only of the branches {', '.join(each.record.features['branches'])}")
    if record.query_expansion != "none":
        parts.append(f"query expansion ({record.query_expansion})")
    if record.re_ranking != "none":
        parts.append("k-reciprocal re-ranking")
    return "; ".join(parts) + "."
