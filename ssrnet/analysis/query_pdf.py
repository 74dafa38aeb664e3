"""Queries as a PDF to print: each with the first images of both models, four to an A4 page."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages

from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.pdf_pages import (
    CELL,
    GAP,
    HEIGHT,
    MARGIN,
    PICTURE,
    TOP,
    WIDTH,
    draw_records,
    new_page,
    picture,
    protocol_line,
    write,
)
from ssrnet.retrieval.ranking import Hit

PER_PAGE, LISTED = 4, 5
"""Queries per page, and images listed per model."""
ROW, BLOCK = 27.5, 66.0
"""Height in mm of one model's row and of one query."""

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
            axes = new_page(heading, protocol_line(comparison), page, pages)
            for place, query in enumerate(drawn[start : start + PER_PAGE]):
                _draw_query(axes, HEIGHT - TOP - place * BLOCK, comparison, titles, query)
            pdf.savefig(axes.figure)
        axes = new_page("Protocol records", protocol_line(comparison), pages, pages)
        draw_records(axes, dict(zip(titles, (comparison.a, comparison.b), strict=True)))
        pdf.savefig(axes.figure)
    return QueryPDF(buffer.getvalue(), len(drawn), len(queries), pages)


def _draw_query(axes: Axes, top: float, comparison: Comparison, titles: tuple[str, str], query: int) -> None:
    """One query below ``top``: its name and outcome, its picture, and a row per model."""
    image = comparison.split.query[query]
    camera = f", camera {image.camera_id}" if image.camera_id else ""
    write(axes, MARGIN, top, f"{image.name}: vehicle {image.vehicle_id}{camera}", 8, weight="bold")
    outcome, delta = comparison.outcomes[query], comparison.delta_ap[query]
    change = "" if np.isnan(delta) else f", ΔAP {delta:+.3f}"
    write(axes, WIDTH - MARGIN, top, f"{outcome}{change}", 8, ha="right")
    first_row = top - 6
    middle = first_row - (2 * ROW - PICTURE) / 2 + 2
    picture(axes, MARGIN, middle, image, "query", "Query")
    for row, (title, evaluation) in enumerate(zip(titles, (comparison.a, comparison.b), strict=True)):
        ranking, y = evaluation.ranking, first_row - row * ROW
        ap, first = ranking.average_precision[query], int(ranking.first_hit[query])
        left = MARGIN + CELL + GAP + 1
        text = f"{title}: AP {ap:.3f}, first match at rank {first}" if first else f"{title}: no match in the gallery"
        write(axes, left, y, text, 7)
        for place, hit in enumerate(_listed(ranking.hits(query))):
            stored = comparison.split.gallery[hit.index]
            label = f"{hit.rank} {'✓' if hit.match else '✗'} {stored.vehicle_id}"
            label += f" · {stored.camera_id}" if stored.camera_id else ""
            kind = "hit" if hit.match else "error"
            picture(axes, left + place * (CELL + GAP), y - 3.6, stored, kind, label)


def _listed(hits: Sequence[Hit]) -> list[Hit]:
    return [hit for hit in hits if hit.rank is not None][:LISTED]
