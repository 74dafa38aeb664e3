"""Failures: the two models query by query, slice by slice, and where the labels themselves may be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import streamlit as st

from app.widgets.alignment_note import show_cautions
from app.widgets.components.image_picker import choose
from app.widgets.controls import one_of
from app.widgets.evaluations import evaluations, metrics_table
from app.widgets.export import chart, table
from app.widgets.failure_causes import causes_section, findings
from app.widgets.failure_charts import METRICS, MOST_SLICES_DRAWN, forest, histogram, largest_slices, scatter
from app.widgets.failure_confusions import first_places
from app.widgets.failure_labels import copies_alone, labels_and_copies
from app.widgets.failure_queries import all_tables, queries_table, query_at, query_in
from app.widgets.needs_labels import needs_labels
from app.widgets.page import QUERY_LINKED, explain
from app.widgets.problems import fragment
from app.workbench import OpenedModel, Workbench
from app.workbench.failures import (
    Failures,
    cached_suspicions,
    failures,
    figure,
    model_causes,
    opening_query,
    slicing,
    slicings,
)
from ssrnet.analysis.causes import causes, count_cause
from ssrnet.analysis.comparison import LARGEST_LOSS, Comparison
from ssrnet.analysis.confusions import confusions
from ssrnet.analysis.csv_rows import Row
from ssrnet.analysis.inspection import inspect
from ssrnet.analysis.query_slices import FEW_VEHICLES, by_attribute
from ssrnet.analysis.suspected_labels import suspected_labels
from ssrnet.analysis.verdict import short_titles
from ssrnet.retrieval.metric_intervals import differences

SECTIONS = ("Causes", "AP against AP", "Queries", "Slices", "Who took the first place", "Labels and copies")

INTRO = r"""
Two models query by query: which queries one puts right and the other does not, and what wrong first images have in common.
The change of a query's average precision is ${\Delta AP_q = AP_q^{\,b} - AP_q^{\,a}}$; its mean over the queries is the difference
of mAP.
"""
EQUATIONS = (
    r"mAP = \frac{1}{Q} \sum_{q=1}^{Q} AP_q \quad \text{(paper, Eq. 9)}",
    r"\Delta AP_q = AP_q^{\,b} - AP_q^{\,a}, \qquad \Delta mAP = \frac{1}{Q} \sum_{q=1}^{Q} \Delta AP_q",
)
LOOK_FOR = (
    """
- **AP against AP**: points above the dotted line are queries on which the second model is better. *Fixed* and *broken*
  go by rank 1: wrong first image before and right after, or the other way round. A cloud along the line means that
  both find the same queries hard.
- **Slices**: an interval that leaves out 0 in the right-hand chart. Intervals come from 2,000 draws of the vehicles
  (not the queries) with replacement, the same draws for both models. Hollow marks stand for fewer than 20 vehicles,
  where intervals are too narrow. Of many slices one in twenty leaves out 0 by chance.
- **Causes**: what wrong first images show far more often than chance is what the model goes by; what they show more
  rarely, it tells apart. *Siblings* are vehicles that differ by their marks alone. Where far more show the query's own
  camera, the models go by what a camera's images have in common, which *Align cameras* in the sidebar takes off. Causes are
  of the first image, or of the pair; what the query alone shows, as its own size, is under *Slices*. Where a model's raw
  features are compared with its aligned ones, raw has the lighter colour.
- **Who took the first place**: whether a few vehicles take many first places.
- **Labels and copies**: a suspicion is worth a look and nothing more.

Without a query in its link, the page opens on the largest loss. """
    + LARGEST_LOSS
)
FUNCTIONS = (Comparison, inspect, differences, by_attribute, confusions, causes, count_cause, suspected_labels)


def render(bench: Workbench) -> None:
    """The strongest finding, metrics of two models, then one of the sections, of which only the visible one is computed."""
    if not bench.dataset.is_labelled:
        needs_labels("A failure")
        copies_alone(bench)
        return
    a, b = _pair(bench)
    titles = a.raw.title, b.raw.title
    with_raw = [model for model in bench.with_raw.values() if model.raw.title in titles]
    measured = evaluations(with_raw)
    first, second = map(list(bench.raw.models).index, titles)
    pair = failures(a, b, (first, second))
    _open_on_loss(pair)
    looked = cached_suspicions(bench, pair)
    causes_of_pair = model_causes(a, looked), model_causes(b, looked)
    findings(pair, causes_of_pair)
    metrics_table(measured, [(a, b)], lead=False)
    show_cautions(bench)
    section = one_of("Show", SECTIONS, "failures_show", label_visibility="collapsed")
    if pair.gain is None and section != SECTIONS[-1]:
        st.info("No query has a match in the gallery, so there is nothing to compare under this protocol.")
    elif section == SECTIONS[0]:
        causes_section(pair, causes_of_pair)
    elif section == SECTIONS[1]:
        _ap_against_ap(pair)
    elif section == SECTIONS[2]:
        queries_table(pair)
    elif section == SECTIONS[3]:
        _slices(pair)
    elif section == SECTIONS[4]:
        first_places(pair, causes_of_pair)
    else:
        labels_and_copies(bench, pair)
    all_tables(pair, causes_of_pair)
    explain(EQUATIONS, LOOK_FOR, FUNCTIONS)


def _open_on_loss(pair: Failures) -> None:
    """Chooses the largest loss where the link named no query; the sidebar then shows it too."""
    if not st.session_state.pop(QUERY_LINKED, True):
        choose("query", opening_query(pair).name)
        st.rerun()


def _pair(bench: Workbench) -> tuple[OpenedModel, OpenedModel]:
    """The two networks; where there is a third model, or features are aligned by camera, the two that are chosen."""
    # A link goes by the sidebar's words for the networks, since their titles change with the checkpoints.
    roles = ("Baseline", "SSR-Net", *([bench.third.raw.title] if bench.third else []))
    models = dict(zip(roles, bench.models.values(), strict=True))
    choices = {f"{a} against {b}": (models[a], models[b]) for a, b in combinations(models, 2)}
    if bench.is_aligned:
        choices |= {f"{role}, raw against aligned": (model.raw, model) for role, model in models.items()}
    if len(choices) == 1:
        return bench.baseline, bench.ssrnet
    return choices[st.selectbox("Compare", list(choices), key="failures_compare", bind="query-params", width=420)]


def _ap_against_ap(pair: Failures) -> None:
    left, right = st.columns([3, 2], gap="medium")
    query = query_in(pair)
    with left:
        marked = _drawn_large(query.name)
        drawn = figure(pair, scatter, marked, key=marked)
        alt = f"AP of {pair.titles[1]} over AP of {pair.titles[0]} for {len(pair.rows):,} queries: {_outcomes(pair)}"
        chart(drawn, "ap-against-ap", alt, key="failures_scatter", on_point=_point_clicked)
        st.caption(
            "A click on a point shows its query beside the chart. Fixed and broken: right at rank 1 in one model alone."
        )
    with right:
        query_at(pair, query, same_point=True)
    spread, gain = pair.histogram, pair.gain
    st.markdown(
        f"**ΔAP** of the queries: {spread.better:,} rise, {spread.worse:,} fall, {spread.same:,} do not change. "
        f"Mean {gain.value:+.4f} (95 % interval {gain.low:+.4f} to {gain.high:+.4f}), which is the difference of mAP."
    )
    alt = f"Histogram of ΔAP: {spread.better:,} queries rise, {spread.worse:,} fall, mean {gain.value:+.3f}"
    chart(figure(pair, histogram), "delta-ap", alt, key="failures_histogram")


def _outcomes(pair: Failures) -> str:
    outcomes = pair.comparison.outcomes.tolist()
    return ", ".join(f"{outcomes.count(name):,} {name}" for name in dict.fromkeys(outcomes))


def _point_clicked(point: Mapping) -> None:
    name = point["customdata"][0]
    st.session_state["failures_clicked"] = name
    choose("query", name)


def _drawn_large(name: str) -> str:
    """The query that the figure marks from the start: the chosen one, until another is clicked in the chart.

    Plotly marks what is clicked by itself; a figure that changed would be drawn anew and forget how far it is zoomed.
    """
    if name != st.session_state.get("failures_clicked"):
        st.session_state["failures_marked"] = name
    return st.session_state.setdefault("failures_marked", name)


@fragment
def _slices(pair: Failures) -> None:
    """A forest plot and a table of the slices by one property."""
    titles = slicings(pair)
    if not titles:
        st.info(
            "This data set has nothing to slice the queries by: no cameras, and no attributes with 2 to 20 values or "
            "with numbers. Columns of a manifest.csv appear here."
        )
        return
    left, right = st.columns([2, 1])
    name = left.selectbox(
        "Slices by", list(titles), format_func=titles.__getitem__, key="failures_by", bind="query-params"
    )
    metric = one_of("Metric", METRICS, "failures_metric", place=right)
    done = slicing(pair, name)
    if not done.slices:
        st.info("No query with a match has a value here.")
        return
    few = sum(one.few for one in done.slices)
    notes = [f"In a slice, {done.rule}. In brackets: queries."]
    if few:
        notes.append(f"{few} of {len(done.slices)} slices have fewer than {FEW_VEHICLES} vehicles (hollow marks).")
    if done.unplaced:
        notes.append(f"{done.unplaced:,} queries are in no slice.")
    if len(done.slices) > MOST_SLICES_DRAWN:
        notes.append(f"The chart has the {MOST_SLICES_DRAWN} with the most queries, the table all {len(done.slices)}.")
    st.caption(" ".join(notes))
    shown = largest_slices(done.slices)
    alt = f"{METRICS[metric]} of both models on {len(shown)} slices by {titles[name]}, with 95 % intervals"
    drawn = figure(pair, forest, done.slices, metric, key=(name, metric))
    chart(drawn, f"slices-{name}", alt, key="failures_forest")
    rows = done.rows(list(METRICS))
    columns = _columns(rows[0], short_titles(*pair.titles))
    order = [column for column in rows[0] if column.startswith(f"{metric}_") or column.split("_")[0] not in METRICS]
    table(rows, f"slices {name}", columns, column_order=order[1:])


def _columns(row: Row, titles: tuple[str, str]) -> dict:
    """Column titles in words; the CSV keeps the short names, and has every metric."""
    sides = {"a": titles[0], "b": titles[1], "delta": "difference"}
    config = {"pairs": "query-match pairs", "few_vehicles": f"fewer than {FEW_VEHICLES} vehicles"}
    for column in row:
        metric, *parts = column.split("_")
        if metric in METRICS:
            bound = {"low": ", from", "high": ", to"}[parts[1]] if len(parts) > 1 else ""
            label = f"{METRICS[metric]}, {sides[parts[0]]}{bound}"
            config[column] = st.column_config.NumberColumn(label, format="percent")
    return config
