"""A verdict to take along: numbers, slices, and pictures of what was fixed and broken, with the protocol records."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages

from ssrnet.analysis.comparison import Comparison, Outcome
from ssrnet.analysis.inspection import Inspection
from ssrnet.analysis.pdf_pages import (
    CELL,
    GAP,
    HEIGHT,
    MARGIN,
    TOP,
    WIDTH,
    draw_records,
    new_page,
    picture,
    protocol_line,
    write,
)
from ssrnet.analysis.slice_extremes import look_at_slices
from ssrnet.analysis.verdict import Verdict, compare_evaluations, direction, interval, short_titles, signed
from ssrnet.errors import ProtocolError
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.metric_intervals import CONFIDENCE, REPLICATES, Estimate

METRICS = {"Rank-1": "rank-1", "Rank-5": "rank-5", "mAP": "mAP", "mINP": "mINP"}
RIGHT_ENDS = (104.0, 135.0, 166.0, WIDTH - MARGIN)
"""Where the table's columns end, in mm."""
ROW, LINE = 8.0, 5.2
"""Height in mm of a table's row and of a line of text."""
STRIP, PER_LINE, CARD = 6, 2, 31.0
"""Queries of an outcome that are pictured, how many stand side by side, and the height of each in mm."""
SENTENCE, NOTE, LABEL, TITLE = 70, 118, 38, 36
"""Characters in a line of the sentence, of a note, of a chart's label, and of a row's title."""
GREY, INK = "#64748b", "#0f172a"


def draw_verdict_pdf(titles: tuple[str, str], *pairs: tuple[Inspection, Inspection]) -> bytes:
    """Three A4 pages for each pair, the second model against the first: numbers, pictures, both protocol records.

    A pair is of one protocol; one under which no query has a match is left out. Raises :class:`ProtocolError` where
    all are, or where the two did not rank the same queries.
    """
    verdicts = [compare_evaluations(titles, a.evaluation, b.evaluation) for a, b in pairs]
    drawn = [(verdict, *pair) for verdict, pair in zip(verdicts, pairs, strict=True) if verdict is not None]
    if not drawn:
        raise ProtocolError(
            "no query has a match in the gallery, so there is no verdict to draw; choose another protocol."
        )
    verdict, a, _ = drawn[0]
    record = a.evaluation.record
    heading = f"{verdict.label} on {record.dataset}"
    buffer = io.BytesIO()
    with PdfPages(buffer, metadata={"Title": heading, "Creator": f"ssrnet {record.version}"}) as pdf:
        for before, (verdict, a, b) in enumerate(drawn):
            for page in _pages(heading, verdict, a, b, 3 * before, 3 * len(drawn)):
                pdf.savefig(page.figure)
    return buffer.getvalue()


def _pages(heading: str, verdict: Verdict, a: Inspection, b: Inspection, before: int, total: int) -> Iterator[Axes]:
    """The three pages of one protocol; ``before``: how many come before them."""
    comparison, titles = Comparison(a.evaluation, b.evaluation), (verdict.first, verdict.second)
    footer = protocol_line(comparison)
    axes = new_page(heading, footer, before + 1, total)
    _draw_numbers(axes, verdict, comparison)
    _draw_slices(axes, verdict, a, b)
    yield axes
    axes, y = new_page("Fixed and broken at rank 1", footer, before + 2, total), HEIGHT - TOP
    for outcome in ("fixed", "broken"):
        y = _draw_strip(axes, y, comparison, short_titles(*titles), outcome)
    yield axes
    axes = new_page("Protocol records", footer, before + 3, total)
    draw_records(axes, dict(zip(titles, (comparison.a, comparison.b), strict=True)))
    yield axes


def _draw_numbers(axes: Axes, verdict: Verdict, comparison: Comparison) -> None:
    """The sentence, then a row a model and the difference."""
    y = HEIGHT - TOP
    for line in wrap(verdict.sentence, SENTENCE):
        write(axes, MARGIN, y, line, 12, weight="bold")
        y -= 6.4
    y -= 4
    for name, right in zip(METRICS, RIGHT_ENDS, strict=True):
        write(axes, right, y, name, 9, ha="right", color=GREY)
    for title, evaluation in ((verdict.first, comparison.a), (verdict.second, comparison.b)):
        y -= ROW
        _write_title(axes, y, title)
        for value, right in zip(_values(evaluation), RIGHT_ENDS, strict=True):
            write(axes, right, y, f"{100 * value:.2f} %", 10, ha="right")
    y -= ROW
    _write_title(axes, y, verdict.label, weight="bold")
    for metric, right in zip(METRICS.values(), RIGHT_ENDS, strict=True):
        one = verdict.differences[metric]
        weight = "bold" if direction(one) and not verdict.few else "normal"
        write(axes, right, y, signed(100 * one.value, 2), 10, ha="right", weight=weight)
        write(axes, right, y - 4.6, interval(one, 2), 8, ha="right", color=GREY)
    y -= ROW + 4
    metrics, record = comparison.a.metrics, comparison.a.record
    _write_lines(
        axes,
        y,
        f"{record.protocol.replace('_', '-').capitalize()}: {metrics.queries:,} queries of {verdict.vehicles:,} vehicles in a "
        f"gallery of {record.gallery:,} images; without a match, and not counted: {metrics.excluded:,}. Differences in percentage "
        f"points, with {CONFIDENCE:.0%} intervals from {REPLICATES:,} draws of the query vehicles, the same for both "
        "models; bold: the interval leaves out 0.",
    )


def _draw_slices(axes: Axes, verdict: Verdict, a: Inspection, b: Inspection) -> None:
    """The difference on all queries by metric, and that of mAP on the slices at both ends, with their intervals."""
    _forest(axes, (0.46, 0.18), {name: verdict.differences[metric] for name, metric in METRICS.items()}, verdict.label)
    ends = look_at_slices(a, b)
    if not ends.best:
        write(axes, MARGIN, 105, "No two slices of the queries have enough vehicles for an interval.", 9, color=GREY)
        return
    rows = {"all queries": verdict.differences["mAP"]}
    for one in (*ends.best, *reversed(ends.worst)):
        rows[f"{one.label} ({one.slice.queries:,} queries)"] = one.slice.difference["mAP"]
    _forest(axes, (0.15, 0.23), rows, f"{verdict.label}, mAP")
    _write_lines(axes, 27, ends.sentence)


def _forest(axes: Axes, place: tuple[float, float], rows: Mapping[str, Estimate], label: str) -> None:
    """Rows of points with intervals; ``place``: the lower end and the height in shares of the page."""
    chart = axes.figure.add_axes((0.36, place[0], 0.58, place[1]))
    for at, one in enumerate(rows.values()):
        low, value, high = (100 * each for each in (one.low, one.value, one.high))
        chart.errorbar(value, -at, xerr=[[value - low], [high - value]], fmt="o", color=INK, capsize=3, lw=1.4, ms=5)
    chart.axvline(0, color=GREY, lw=0.8, ls=":")
    chart.set_ylim(-len(rows) + 0.4, 0.6)
    # parse_math=False: a name with two dollar signs is not a formula
    chart.set_yticks(
        [-at for at in range(len(rows))], ["\n".join(wrap(name, LABEL)) for name in rows], parse_math=False
    )
    chart.set_xlabel(f"{label}, percentage points", fontsize=8, parse_math=False)
    chart.tick_params(labelsize=8, left=False)
    for side in ("top", "right", "left"):
        chart.spines[side].set_visible(False)


def _draw_strip(axes: Axes, y: float, comparison: Comparison, titles: tuple[str, str], outcome: Outcome) -> float:
    """The queries of the outcome whose AP changes most, each with both models' first image; returns where they end."""
    queries = comparison.select(outcome)
    right, wrong = reversed(titles) if outcome == "fixed" else titles
    shown = f"; the {STRIP} whose AP changes most" if len(queries) > STRIP else ""
    write(axes, MARGIN, y, f"{outcome.capitalize()}: {len(queries):,}", 11, weight="bold")
    _write_lines(axes, y - LINE, f"{right} lists a right image first, {wrong} a wrong one{shown}.")
    y -= 2.4 * LINE
    for at, q in enumerate(queries[:STRIP].tolist()):
        query, left = comparison.split.query[q], MARGIN + at % PER_LINE * 3.1 * (CELL + GAP)
        top = y - at // PER_LINE * (CARD + 4)
        write(axes, left, top, f"{query.name}, ΔAP {signed(comparison.delta_ap[q], 3)}", 6.5)
        picture(axes, left, top - 4, query, "query", f"query {query.vehicle_id}")
        for place, (title, evaluation) in enumerate(zip(titles, (comparison.a, comparison.b), strict=True), 1):
            hit = next(hit for hit in evaluation.ranking.hits(q) if hit.rank == 1)
            image = comparison.split.gallery[hit.index]
            kind, sign = ("hit", "✓") if hit.match else ("error", "✗")
            label = f"{title} {sign} {image.vehicle_id}"
            picture(axes, left + place * (CELL + GAP), top - 4, image, kind, label)
    lines = -(-min(len(queries), STRIP) // PER_LINE)
    return y - lines * (CARD + 4) - 6


def _values(evaluation: Evaluation) -> Sequence[float]:
    metrics = evaluation.metrics
    return metrics.rank(1), metrics.rank(5), metrics.mAP, metrics.mINP


def _write_title(axes: Axes, y: float, title: str, **options: str) -> None:
    write(axes, MARGIN, y, "\n".join(wrap(title, TITLE)[:2]), 9, **options)


def _write_lines(axes: Axes, y: float, text: str) -> None:
    for number, line in enumerate(wrap(text, NOTE)):
        write(axes, MARGIN, y - number * LINE * 0.8, line, 8, color=GREY)
