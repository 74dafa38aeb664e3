"""A verdict in full: the slices at both ends, and the queries that were fixed and broken, as pictures."""

from __future__ import annotations

import streamlit as st

from app.widgets.components.image_rows import Figure, ImageRow
from app.widgets.controls import one_of
from app.widgets.export import chart, download
from app.widgets.page import page_link
from app.widgets.query_panel import rows_of_queries
from app.widgets.verdict_charts import differences_figure, extremes_figure
from app.workbench import Workbench
from app.workbench.failures import Failures, extremes, failures, figure
from app.workbench.images import image_label, thumbnail
from app.workbench.verdicts import pairs_of, verdicts
from ssrnet.analysis.comparison import Outcome
from ssrnet.analysis.verdict import short_titles, signed
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.feature_files import slug

MOST_PICTURED = 4
STRIPS: dict[Outcome, str] = {
    "fixed": "{b} lists a right image first, {a} a wrong one",
    "broken": "{a} lists a right image first, {b} a wrong one",
}


def verdict_details(bench: Workbench) -> None:
    """Differences of all models as a chart, beside it the slices of two of them; below, what is fixed and broken."""
    pairs = pairs_of(bench)
    found = verdicts(pairs)[-len(pairs) :]
    if not found:
        return  # no query has a match
    chosen = 0
    if len(found) > 1:
        labels = [verdict.label for verdict in found]
        chosen = labels.index(one_of("Look closer at", labels, "verdict_of"))
    a, b = pairs[chosen]
    first, second = map(list(bench.models).index, (a.title, b.title))
    pair, verdict = failures(a, b, (first, second)), found[chosen]
    _sheet(pair)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**The differences**, with 95 % intervals")
        alt = "Differences of rank-1, rank-5, mAP and mINP, with 95 % intervals: " + "; ".join(
            one.sentence_against for one in found
        )
        places = [list(bench.models).index(model.title) for model, _ in pairs]
        chart(differences_figure(found, places), "differences", alt)
    with right:
        _slices(pair, verdict.label)
    for outcome in STRIPS:
        _strip(pair, outcome)


def _sheet(pair: Failures) -> None:
    """One download with all of this, and the protocol records."""

    def draw() -> bytes:
        from ssrnet.analysis.verdict_pdf import draw_verdict_pdf  # imports matplotlib, which takes seconds

        return draw_verdict_pdf(pair.titles, (pair.a, pair.b))

    name = f"{slug(pair.titles[1])}-against-{slug(pair.titles[0])}.pdf"
    download("This comparison to take along (PDF)", draw, name, "verdict_pdf", icon=":material/picture_as_pdf:")


def _slices(pair: Failures, label: str) -> None:
    ends = extremes(pair)
    st.markdown("**mAP by slices of the queries**: largest and smallest difference")
    if not ends.best:
        st.info("There are no two slices of the queries with enough vehicles for an interval.")
        return
    names = [one.label for one in (*ends.best, *ends.worst)]
    alt = f"{label}, difference of mAP with 95 % intervals, on all queries and on {', '.join(names)}"
    chart(figure(pair, extremes_figure, ends, label, key=label), "slices", alt, key="verdict_slices")
    st.caption(ends.sentence, help="In brackets: queries. All slices stand on Failures, under *Slices*.")


def _strip(pair: Failures, outcome: Outcome) -> None:
    """The queries of this outcome whose AP changes most, each with what both models list first."""
    comparison, titles = pair.comparison, short_titles(*pair.titles)
    queries = comparison.select(outcome)
    words = STRIPS[outcome].format(a=titles[0], b=titles[1])
    shown = f"; the {MOST_PICTURED} whose AP changes most" if len(queries) > MOST_PICTURED else ""
    st.markdown(f"**{outcome.capitalize()}: {len(queries):,}** ({words}{shown})")
    rows = []
    for q in queries[:MOST_PICTURED]:
        query = comparison.split.query[q]
        pictures = [
            Figure(thumbnail(query), f"query {query.name}", f"\n{image_label(query)}", "query", query.name, "query")
        ]
        pictures += [_first(one, q, title) for one, title in zip((comparison.a, comparison.b), titles, strict=True)]
        rows.append(ImageRow(query.name, f"ΔAP {signed(comparison.delta_ap[q], 3)}", pictures))
    if rows:
        rows_of_queries(rows, f"verdict_{outcome}")
    if len(queries) > MOST_PICTURED:
        group = {"failures_show": "Queries", "failures_group": outcome.capitalize()}
        page_link("failures", f"All {len(queries):,}", **group)


def _first(evaluation: Evaluation, query: int, title: str) -> Figure:
    """The first image that is not junk, below it whose list it is first in."""
    hit = next(hit for hit in evaluation.ranking.hits(query) if hit.rank == 1)
    image = evaluation.split.gallery[hit.index]
    kind, sign, same = ("hit", "✓", "same") if hit.match else ("error", "✗", "another")
    alt = f"{title}: rank 1, {same} vehicle: {image.vehicle_id}, {image.name}"
    return Figure(thumbnail(image), alt, f"\n{image_label(image)}", kind, mark=f"{title} {sign}")
