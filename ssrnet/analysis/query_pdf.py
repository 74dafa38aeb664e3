"""Queries as a PDF to print: each with the first images of both models, four to an A4 page."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.paper_figures import BLUE, GREEN, RED
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.ranking import Hit

PER_PAGE, LISTED = 4, 5
"""Queries per page, and images listed per model."""
WIDTH, HEIGHT, MARGIN = 210.0, 297.0, 12.0
"""An A4 page in mm, as all lengths below."""
CELL, GAP, PICTURE = 28.0, 3.4, 20.0
"""A picture's largest width, the space beside it, and its largest height."""
ROW, BLOCK, TOP = 27.5, 66.0, 24.0
"""Height of one model's row and of one query, and where the first query begins."""
PIXELS = 260
"""The longer side of a printed picture: 240 dots an inch."""
FRAMES = {"query": BLUE, "hit": GREEN, "error": RED}
POINTS_PER_MM, RECORD_SIZE = 72 / 25.4, 6.4

Progress = Callable[[Iterable, int], Iterable]


@dataclass(frozen=True)
class QueryPDF:
    """A PDF file of ``queries`` queries out of the ``requested`` ones, and its number of pages."""

    pdf: bytes
    queries: int
    requested: int
    pages: int


def draw_query_pdf(
    comparison: Comparison,
    titles: tuple[str, str],
    queries: Sequence[int],
    heading: str,
    most: int,
    progress: Progress | None = None,
) -> QueryPDF:
    """The first ``most`` of ``queries`` (positions in the split), then both protocol records.

    Each query has one row per model with its first five images that are not junk, framed green (✓, a match) or red (✗).
    ``titles`` name the models; ``heading`` is printed on every page. ``progress(pages, total)`` wraps the iteration over
    the pages, as tqdm does. An image that cannot be read becomes a grey box that says so.
    """
    drawn = list(queries)[:most]
    starts = range(0, len(drawn), PER_PAGE)
    pages = len(starts) + 1  # with that of the records
    buffer = io.BytesIO()
    with PdfPages(buffer, metadata={"Title": heading, "Creator": f"ssrnet {comparison.a.record.version}"}) as pdf:
        for page, start in enumerate(progress(starts, len(starts)) if progress else starts, 1):
            axes = _page(heading, _protocol_line(comparison), page, pages)
            for place, query in enumerate(drawn[start : start + PER_PAGE]):
                _draw_query(axes, HEIGHT - TOP - place * BLOCK, comparison, titles, query)
            pdf.savefig(axes.figure)
        axes = _page("Protocol records", _protocol_line(comparison), pages, pages)
        _draw_records(axes, dict(zip(titles, (comparison.a, comparison.b), strict=True)))
        pdf.savefig(axes.figure)
    return QueryPDF(buffer.getvalue(), len(drawn), len(queries), pages)


def _draw_query(axes: Axes, top: float, comparison: Comparison, titles: tuple[str, str], query: int) -> None:
    """One query below ``top``: its name and outcome, its picture, and a row per model."""
    image = comparison.split.query[query]
    camera = f", camera {image.camera_id}" if image.camera_id else ""
    _text(axes, MARGIN, top, f"{image.name}: vehicle {image.vehicle_id}{camera}", 8, weight="bold")
    outcome, delta = comparison.outcomes[query], comparison.delta_ap[query]
    change = "" if np.isnan(delta) else f", ΔAP {delta:+.3f}"
    _text(axes, WIDTH - MARGIN, top, f"{outcome}{change}", 8, ha="right")
    first_row = top - 6
    middle = first_row - (2 * ROW - PICTURE) / 2 + 2
    _picture(axes, MARGIN, middle, image, "query", "Query")
    for row, (title, evaluation) in enumerate(zip(titles, (comparison.a, comparison.b), strict=True)):
        ranking, y = evaluation.ranking, first_row - row * ROW
        ap, first = ranking.average_precision[query], int(ranking.first_hit[query])
        left = MARGIN + CELL + GAP + 1
        text = f"{title}: AP {ap:.3f}, first match at rank {first}" if first else f"{title}: no match in the gallery"
        _text(axes, left, y, text, 7)
        for place, hit in enumerate(_listed(ranking.hits(query))):
            stored = comparison.split.gallery[hit.index]
            label = f"{hit.rank} {'✓' if hit.match else '✗'} {stored.vehicle_id}"
            label += f" · {stored.camera_id}" if stored.camera_id else ""
            kind = "hit" if hit.match else "error"
            _picture(axes, left + place * (CELL + GAP), y - 3.6, stored, kind, label)


def _listed(hits: Sequence[Hit]) -> list[Hit]:
    return [hit for hit in hits if hit.rank is not None][:LISTED]


def _picture(axes: Axes, x: float, y: float, image: VehicleImage, kind: str, label: str) -> None:
    """A framed picture as large as its cell allows, its top at ``y``, with ``label`` below it."""
    pixels = _read(str(image.path))
    if pixels is None:
        width, height = CELL, PICTURE * 0.8
        axes.add_patch(Rectangle((x, y - height), width, height, facecolor="#d4d4d8"))
        _text(axes, x + width / 2, y - height / 2 + 1, "cannot be read", 6, ha="center")
    else:
        scale = min(CELL / pixels.shape[1], (PICTURE - 1) / pixels.shape[0])
        width, height = pixels.shape[1] * scale, pixels.shape[0] * scale
        axes.imshow(pixels, extent=(x, x + width, y - height, y), interpolation="none", aspect="auto", zorder=2)
    frame = Rectangle((x, y - height), width, height, fill=False, edgecolor=FRAMES[kind], linewidth=2.2, zorder=3)
    axes.add_patch(frame)
    _text(axes, x, y - height - 0.9, label, 6, color=FRAMES[kind])


@lru_cache(maxsize=256)  # queries on one page list the same images
def _read(path: str) -> np.ndarray | None:
    """(H, W, 3) uint8 of at most 256 colours, a third of the bytes in a PDF; None for an unreadable image."""
    try:
        picture = read_image(path)
    except DataError:
        return None
    picture.thumbnail((PIXELS, PIXELS))
    return np.asarray(picture.quantize(256, Image.Quantize.FASTOCTREE).convert("RGB"))


def _page(heading: str, footer: str, page: int, pages: int) -> Axes:
    """An empty page whose axes are in mm."""
    figure = Figure(figsize=(WIDTH / 25.4, HEIGHT / 25.4))
    figure.suppressComposite = True  # each picture stays a separate object, with a palette of 256 colours
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    _text(axes, MARGIN, HEIGHT - 11, heading, 11, weight="bold")
    _text(axes, WIDTH - MARGIN, HEIGHT - 11, f"{page} of {pages}", 8, ha="right")
    _text(axes, MARGIN, 9, footer, 6)
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(0, HEIGHT)
    axes.set_autoscale_on(False)
    return axes


def _text(axes: Axes, x: float, y: float, text: str, size: float, **options: object) -> None:
    # parse_math=False: a name with two dollar signs is not a formula
    axes.text(x, y, text, fontsize=size, va="top", parse_math=False, **options)


def _protocol_line(comparison: Comparison) -> str:
    record = comparison.a.record
    seed = "" if record.seed is None else f" (seed {record.seed}, n = {record.shots})"
    return (
        f"{record.dataset} {record.dataset_hash} · {record.protocol}{seed} · junk (left out here): {record.junk_rule} "
        f"· {record.queries:,} queries, {record.gallery:,} gallery images · {record.distance} distance · "
        f"ssrnet {record.version}"
    )


def _draw_records(axes: Axes, evaluations: Mapping[str, Evaluation]) -> None:
    y = HEIGHT - TOP
    for title, evaluation in evaluations.items():
        _text(axes, MARGIN, y, title, 9, weight="bold")
        lines = [part for line in evaluation.record.json().splitlines() for part in wrap(line, 110) or [line]]
        step = RECORD_SIZE / POINTS_PER_MM * 1.3
        for number, line in enumerate(lines, 1):
            _text(axes, MARGIN, y - 2 - number * step, line, RECORD_SIZE, family="monospace")
        y -= (len(lines) + 4) * step + 2
