"""Sheets of six queries as in the paper's Figs. 5 and 6, at print size.

A sheet has a part for each query: the query, framed blue, and to its right the first K images of the first
model above those of the second, framed green where they show the query's vehicle and red where they do not. The sheet's
caption says how its queries were chosen and how they were ranked.
"""

from __future__ import annotations

import io
import textwrap
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ssrnet.analysis.comparison import Comparison
from ssrnet.data.images import read_image
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, GREEN, RED, GREY = "#2563eb", "#16a34a", "#dc2626", "#9ca3af"
"""Frames of the query, of hits, of errors and of junk."""
WIDTH_MM, DPI, MM = 180.0, 300, 25.4
"""A text block's width; dots an inch of the PNG and of the photographs in SVG and PDF; millimetres an inch."""
MARGIN, GAP, PART_GAP, ROW_GAP, FRAME, LABEL, TITLE, RANK = 3.0, 1.0, 5.0, 2.5, 0.7, 3.2, 4.0, 2.8
"""Millimetres: around the sheet; between pictures, parts and rows of parts; a frame; beside, above, below pictures."""
ASPECT = 0.85
"""A picture's height over its width."""
QUERIES = 6
PARTS = "abcdefghijklmnopqrstuvwxyz"

RuleName = Literal["sample", "differ", "fixed"]
RULES: dict[RuleName, str] = {
    "sample": "drawn at random (seed {seed}) from the {count:,} queries that have a match",
    "differ": "those whose AP differs most between the two models, either way, of the {count:,} whose AP differs",
    "fixed": "drawn at random (seed {seed}) from the {count:,} whose first image is right with {b} alone",
}
"""How the queries are chosen, as the caption says it."""

_DRAWING = threading.Lock()
"""Matplotlib is not made for threads, and the app draws in as many as it has readers."""


class SheetFigure(NamedTuple):
    """A figure of the paper: its title, protocol, how many images it lists, and parts side by side."""

    title: str
    protocol: Protocol
    top_k: int
    columns: int


def fig5(seed: int = 0) -> SheetFigure:
    """Single-gallery-shot, top-5."""
    return SheetFigure("Fig. 5", Protocol("single_gallery_shot", seed=seed), 5, 2)


def fig6(seed: int = 0) -> SheetFigure:
    """Multi-gallery-shot with n = 6, top-10."""
    return SheetFigure("Fig. 6", Protocol("multi_gallery_shot", seed=seed, n=6), 10, 1)


class Frame(NamedTuple):
    """A framed picture: its lower left corner and size in millimetres from the sheet's lower left, and its colour."""

    kind: Literal["query", "hit", "error"]
    x: float
    y: float
    width: float
    height: float

    @property
    def colour(self) -> str:
        return {"query": BLUE, "hit": GREEN, "error": RED}[self.kind]


@dataclass(frozen=True)
class Sheet:
    """A drawn sheet: :meth:`export` it. ``frames`` says where which picture is, by part, by row."""

    figure: Figure
    frames: tuple[Frame, ...]
    caption: str
    height_mm: float

    def export(self, format: Literal["png", "svg", "pdf"], dpi: int = DPI) -> bytes:
        """The sheet as a file, 180 mm wide; the same sheet gives the same bytes."""
        import matplotlib

        # Without these, a date and random names would be in the files.
        metadata = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[format]
        buffer = io.BytesIO()
        with _DRAWING, matplotlib.rc_context({"svg.hashsalt": "ssrnet"}):
            self.figure.savefig(buffer, format=format, dpi=dpi, metadata=metadata)
        return buffer.getvalue()


def choose_queries(comparison: Comparison, rule: RuleName, seed: int = 0, count: int = QUERIES) -> np.ndarray:
    """Positions of up to ``count`` queries, at most one a vehicle, by a rule that anyone can repeat.

    Random choices are numpy's PCG64's from ``seed``, over the queries in the split's order. Raises
    :class:`DataError` where no query fits the rule.
    """
    candidates = _candidates(comparison, rule)
    if not len(candidates):
        raise DataError(f"no query fits the rule “{_say(rule, comparison, seed, 0)}”; choose another rule.")
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
    comparison: Comparison, titles: tuple[str, str], figure: SheetFigure, rule: RuleName, seed: int, queries: int
) -> str:
    """What a reader must know to judge the sheet, and to make it again."""
    record = comparison.a.record
    shots = f"{figure.protocol.name.replace('_', '-')}, seed {record.seed}" + (
        f", n = {record.shots}" if figure.protocol.name == "multi_gallery_shot" else ""
    )
    hashes = ", ".join(str(each.record.features.get("checkpoint_hash", "?")) for each in (comparison.a, comparison.b))
    number = len(_candidates(comparison, rule))
    return (
        f"As the paper's {figure.title}, on {record.dataset}: top-{figure.top_k} of {queries} queries, {shots}, gallery "
        f"of {record.gallery:,} images. Upper rows: {titles[0]}; lower rows: {titles[1]}. Blue: query; green ✓: the same "
        f"vehicle; red ✗: another one; numbers: ranks. Queries: {_say(rule, comparison, seed, number, titles[1])}, at "
        f"most one a vehicle. {_ranked(comparison)} Checkpoints {hashes}; data {record.dataset_hash}; ssrnet "
        f"{record.version}."
    )


def draw_sheet(
    comparison: Comparison,
    titles: tuple[str, str],
    figure: SheetFigure,
    queries: Sequence[int],
    text: str,
    report: Callable[[int, int], None] | None = None,
) -> Sheet:
    """Draws ``queries`` (positions in the split) with ``text`` beneath; ``report`` hears of each query drawn.

    Raises :class:`DataError` for an image that cannot be read.
    """
    from matplotlib.figure import Figure  # here: it takes a second, and a page is drawn without it

    width = (WIDTH_MM - 2 * MARGIN - (figure.columns - 1) * PART_GAP) / figure.columns  # of a part
    cell = (width - LABEL - figure.top_k * GAP) / (figure.top_k + 1)
    picture = cell * ASPECT
    part = TITLE + 2 * (picture + RANK)
    lines = textwrap.wrap(text, 138)
    words = 2.9 * len(lines) + 1.5
    rows = -(-len(queries) // figure.columns)
    height = 2 * MARGIN + rows * (part + ROW_GAP) + words
    with _DRAWING:
        drawn = Figure(figsize=(WIDTH_MM / MM, height / MM), facecolor="white")
        axes = drawn.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, WIDTH_MM), ylim=(0, height))
        axes.axis("off")
        axes.set_autoscale_on(False)  # or each picture would set the limits anew
    frames: list[Frame] = []
    for at, query in enumerate(queries):
        row, column = divmod(at, figure.columns)
        x = MARGIN + column * (width + PART_GAP)
        top = height - MARGIN - row * (part + ROW_GAP)
        image = comparison.split.query[query]
        camera = f", camera {image.camera_id}" if image.camera_id else ""
        with _DRAWING:
            axes.text(
                x,
                top - TITLE + 1.3,
                f"({PARTS[at]})  vehicle {image.vehicle_id}{camera}",
                fontsize=6,
                va="bottom",
                parse_math=False,
            )
        upper = top - TITLE - picture
        lower = upper - RANK - picture
        frames.append(_picture(axes, image, Frame("query", x, (upper + lower) / 2, cell, picture), "query"))
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
            hits = [hit for hit in evaluation.ranking.hits(query) if hit.rank is not None and hit.rank <= figure.top_k]
            for place, hit in enumerate(hits):
                at_x = x + LABEL + (place + 1) * (cell + GAP)
                frame = Frame("hit" if hit.match else "error", at_x, y, cell, picture)
                sign = f"{hit.rank} {'✓' if hit.match else '✗'}"
                frames.append(_picture(axes, evaluation.split.gallery[hit.index], frame, sign))
        if report:
            report(at + 1, len(queries))
    with _DRAWING:
        said = "\n".join(lines)
        axes.text(MARGIN, MARGIN + words - 1.5, said, fontsize=6.5, va="top", linespacing=1.25, parse_math=False)
    return Sheet(drawn, tuple(frames), text, height)


def short(title: str) -> str:
    """A row's label: a model's name without its branches, or "First" and "Second" for two runs of one network."""
    return title.split(":")[0] if ":" in title else title.split(" (")[0]


def _picture(axes: Axes, image: VehicleImage, frame: Frame, below: str) -> Frame:
    """Draws an image, cut to the frame's shape, its frame, and the words below it."""
    from matplotlib.patches import Rectangle

    pixels = tuple(round(side / MM * DPI) for side in (frame.width, frame.height))
    cut = np.asarray(ImageOps.fit(read_image(image.path), pixels, Image.Resampling.LANCZOS))
    x, y, width, height = frame[1:]
    with _DRAWING:
        within = (x + FRAME / 4, x + width - FRAME / 4, y + FRAME / 4, y + height - FRAME / 4)
        axes.imshow(cut, extent=within, aspect="auto", interpolation="none", zorder=1)
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
        axes.text(x + width / 2, y - 0.4, below, fontsize=5, color=frame.colour, ha="center", va="top")
    return frame


def _candidates(comparison: Comparison, rule: RuleName) -> np.ndarray:
    if rule == "fixed":
        return np.sort(comparison.select("fixed"))
    delta = comparison.delta_ap
    return np.flatnonzero(~np.isnan(delta) & (delta != 0) if rule == "differ" else ~np.isnan(delta))


def _say(rule: RuleName, comparison: Comparison, seed: int, count: int, b: str = "the second model") -> str:
    return RULES[rule].format(seed=seed, count=count, b=short(b))


def _ranked(comparison: Comparison) -> str:
    """Distance and options in words; features may differ in branches, so those of both models."""
    record = comparison.b.record
    parts = [f"Distance: {record.distance}"]
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
