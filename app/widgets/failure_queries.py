"""Queries on the Failures page: a sortable table, sheets on paper, and one query beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st

from app.widgets.components.image_picker import choose, chosen_image
from app.widgets.controls import one_of
from app.widgets.export import download, table
from app.widgets.progress import run_with_progress
from app.widgets.query_panel import ModelOnQuery, query_panel
from app.widgets.selection import link_selection, positions_in_selection
from app.workbench.failures import MOST_QUERIES, Failures, archive, cached_pdf, query_pdf
from ssrnet.analysis.causes import Causes
from ssrnet.analysis.csv_rows import Row
from ssrnet.analysis.verdict import short_titles
from ssrnet.data.records import VehicleImage
from ssrnet.retrieval.feature_files import slug

GROUPS = {
    "failed": "One of them wrong, or both",
    "fixed": "Fixed",
    "broken": "Broken",
    "both wrong": "Both wrong",
    "both right": "Both right",
    "all": "All",
}
"""Queries by what the models list first."""
ON_MAP = "on the map"


def queries_table(pair: Failures) -> None:
    """The table of one group of queries, its sheets, and the row that is chosen."""
    help = "Fixed: the first model lists a wrong vehicle first, the second a right one. Broken: the other way round."
    on_map = positions_in_selection([image.name for image in pair.comparison.split.query])
    groups = GROUPS | ({ON_MAP: f"Selected on the map ({len(on_map):,})"} if on_map else {})
    group = one_of("At rank 1", groups, "failures_group", help=help)
    queries = pair.comparison.by_change("all" if group == ON_MAP else group)
    if group == ON_MAP:
        queries = queries[np.isin(queries, on_map)]
        link_selection()
    if not len(queries):
        st.info("No query in this group: choose another.")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        rows = [pair.rows[q] for q in queries]
        table(
            rows,
            f"queries {group}",
            _columns(short_titles(*pair.titles)),
            key="failures_table",
            height=520,
            on_row=lambda row: choose("query", rows[row]["query"]),
            column_order=_order(rows[0]),
        )
        st.caption(
            f"{len(rows):,} of {len(pair.rows):,} queries, largest change of AP first; a click on a column's name sorts "
            f"by it, one at the left end of a row shows its query. In CSV files a is {pair.titles[0]} and b is {pair.titles[1]}."
        )
        _sheets(pair, groups[group], queries)
    with right:
        query_at(pair, query_in(pair))


def query_in(pair: Failures) -> VehicleImage:
    """The chosen query; the first one where what was chosen on another page is none of this protocol."""
    before = st.session_state.get("query_kept")
    query = chosen_image("query", pair.comparison.split.query)
    if before not in (None, query.name):
        st.rerun()  # the sidebar shows the one before
    return query


def query_at(pair: Failures, query: VehicleImage, same_point: bool = False) -> None:
    """The chosen query in small, and with ``same_point`` a choice among those with the same two APs."""
    q = pair.positions[query.name]
    row, comparison = pair.rows[q], pair.comparison
    if same_point:
        _same_point(pair, q)
    attributes = [f"vehicle {query.vehicle_id}"] + ([f"camera {query.camera_id}"] if query.camera_id else [])
    shown = ("type", "vehicle_type", "colour", "color")
    attributes += [query.attributes[name] for name in shown if name in query.attributes]
    sentences = [", ".join(attributes), _outcome(row)]
    sides = zip("ab", pair.titles, (comparison.a, comparison.b), strict=True)
    models = [ModelOnQuery(title, _note(row, side), evaluation) for side, title, evaluation in sides]
    query_panel(q, sentences, models)


def all_tables(pair: Failures, causes: tuple[Causes, Causes]) -> None:
    """One download with the queries, the confusions and the causes of both models, and the protocol records."""

    def make() -> bytes:
        tables: dict[str, Sequence[Row]] = {"queries": pair.rows}
        for side, of_model in zip("ab", causes, strict=True):
            tables[f"confusions-{side}"] = of_model.rows()
            tables[f"confused-vehicles-{side}"] = [one._asdict() for one in of_model.confusions.pairs()]
            tables[f"causes-{side}"] = of_model.count_rows()
        return archive(tables, pair)

    label = "All queries and confusions, with protocol records (ZIP of CSV)"
    download(label, make, "failures.zip", "failures_zip", icon=":material/folder_zip:", type="tertiary")


def _order(row: Row) -> list[str]:
    """What is compared first, then what is known of the query."""
    sides = ("ap_a", "ap_b", "first_hit_a", "first_hit_b", "confused_with_a", "confused_with_b")
    first = ["query", "outcome", "delta_ap", *sides]
    return [*first, *(column for column in row if column not in first)]


def _columns(titles: tuple[str, str]) -> dict:
    number = st.column_config.NumberColumn
    config = {"delta_ap": number("ΔAP", format="%+.3f"), "has_sibling": "sibling in the gallery"}
    for side, title in zip("ab", titles, strict=True):
        config |= {
            f"ap_{side}": number(f"AP, {title}", format="%.3f"),
            f"first_hit_{side}": number(f"first match, {title}"),
            f"confused_with_{side}": f"taken by, {title}",
            f"confused_image_{side}": f"first image, {title}",
            f"images_before_{side}": number(f"its images before, {title}"),
            f"causes_{side}": f"causes, {title}",
            f"confused_with_sibling_{side}": f"a sibling, {title}",
        }
    return config


def _sheets(pair: Failures, title: str, queries: np.ndarray) -> None:
    """A PDF of the group of this title, drawn on request."""
    group = title, tuple(queries.tolist())
    drawn = cached_pdf(pair, group)
    if drawn is None and st.session_state.get("failures_drawing") == (group, pair.key):
        heading = title if title.startswith("Selected") else f"{title} at rank 1"
        draw = partial(query_pdf, pair, group, queries.tolist(), heading)
        drawn = run_with_progress("Drawing the sheets", "failures_sheets", draw)
        st.session_state.pop("failures_drawing")
    if drawn is None:
        most = min(len(queries), MOST_QUERIES)
        total = "" if most == len(queries) else f" of {len(queries):,}"
        st.button(
            f"Draw sheets of {most}{total} queries (PDF)",
            icon=":material/picture_as_pdf:",
            on_click=_draw,
            args=((group, pair.key),),
            help="A4 pages of four queries: each with both models' first five images, framed green and red.",
        )
        return
    cut = "" if drawn.queries == drawn.requested else f", those with the largest change of AP of {drawn.requested:,}"
    label, file = (f"Sheets of {drawn.queries} queries, {drawn.pages} pages (PDF)", f"failures-{slug(title)}.pdf")
    download(label, drawn.pdf, file, "failures_pdf", icon=":material/download:")
    st.caption(f"{drawn.queries} queries{cut}; the last page has the protocol records.")


def _draw(what: tuple) -> None:
    st.session_state["failures_drawing"] = what
    st.session_state.pop("failures_sheets_cancelled", None)


def _same_point(pair: Failures, q: int) -> None:
    """A point may be many queries, of which a click finds one."""
    same = pair.comparison.same_precision(q)
    if len(same) < 2:
        return
    names = [pair.comparison.split.query[i].name for i in same]
    key = f"failures_same_{same[0]}"
    st.session_state[key] = pair.comparison.split.query[q].name
    st.selectbox(
        f"{len(names):,} queries lie on this point",
        names,
        key=key,
        on_change=lambda: choose("query", st.session_state[key]),
    )


def _outcome(row: Row) -> str:
    if row["delta_ap"] is None:
        return "no match in the gallery"
    return f"{row['outcome']} at rank 1, ΔAP {row['delta_ap']:+.3f}"


def _note(row: Row, side: str) -> str:
    """How one model did, in words."""
    if row[f"first_hit_{side}"] is None:
        return "no match in the gallery"
    note = f"AP {row[f'ap_{side}']:.3f}, first match at rank {row[f'first_hit_{side}']}"
    if row[f"confused_with_{side}"] is None:
        return note
    before = row[f"images_before_{side}"]
    images = f"{before} image{'s' if before > 1 else ''}"
    causes = f" ({row[f'causes_{side}']})" if row[f"causes_{side}"] else ""
    return f"{note}; {images} of vehicle {row[f'confused_with_{side}']}{causes} before it"
