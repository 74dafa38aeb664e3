"""Captures with one mark on and off: what each model and each branch makes of it, and where Grad-CAM says so."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import plotly.graph_objects as go
import streamlit as st
from PIL import Image

from app.widgets.curves import COLOURS
from app.widgets.export import chart, table
from app.widgets.fragment import fragment
from app.widgets.prints import Cell, Row, pictures_export
from app.widgets.progress import run_with_progress
from app.widgets.source import Selection
from app.workbench import Report, Services
from app.workbench import probes as kept
from ssrnet.data.parts import AS_IT_IS, MOVED, REMOVED
from ssrnet.explain.branch_cosines import branch_cosines
from ssrnet.explain.cam import WHOLE, map_title
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.studies.explanations.sample import Pair

BRANCHES = {WHOLE: "all branches", "G": "global", "attn": "attention", "token": "token"}
METHODS = ("grad-cam", "hires-cam")
MODEL_COLOURS = COLOURS[:2]
"""Of the first and the second model, the baseline first."""


@fragment
def mark_pairs(services: Services, selection: Selection) -> None:
    """All pairs as a table, then one of them; drawn anew by itself."""
    _draw_marks(services, selection, kept.pairs(selection.opened))


def _draw_marks(services: Services, selection: Selection, pairs: Mapping[str, Pair]) -> None:
    """All pairs, then one of them: its photographs, its numbers and where Grad-CAM says they came from."""
    rows, names = _all_pairs(services, selection, pairs), list(pairs)

    def take_row() -> None:
        chosen = st.session_state["probes_table"].selection.rows
        if chosen:
            st.session_state["probes_pair"] = names[chosen[0]]

    table(
        rows,
        "probes-pairs",
        key="probes_table",
        on_select=take_row,
        selection_mode="single-row",
        height=248,
        column_config={name: st.column_config.NumberColumn(format="%+.4f") for name in rows[0] if name.startswith("Δ")},
    )
    name = st.selectbox("Pair (or choose a row above)", names, key="probes_pair", bind="query-params")
    pair = pairs[name]
    photographs = pair.probe.photographs
    pictures = {f"Reference: {pair.reference.name}": pair.reference} | {
        f"The {pair.probe.kind} {change}": image for change, image in photographs.items()
    }
    for column, (caption, image) in zip(st.columns(4), pictures.items()):
        column.image(services.thumbnail(image, 240), caption=caption, width="stretch")

    def cosines(report: Report) -> dict[str, dict[str, dict[str, float]]]:
        found = {}
        for done, (title, checkpoint) in enumerate(selection.models.items()):
            report(done, len(selection.models))
            found[title] = kept.pair_cosines(services, checkpoint, pair)
        return found

    _changes(run_with_progress("Looking at the pair", "probes_pair_bar", cosines), name, pair)
    _maps(services, selection, pair)


def _all_pairs(services: Services, selection: Selection, pairs: Mapping[str, Pair]) -> list[dict[str, object]]:
    """A row a pair; with the change by removal once all pairs have been embedded."""
    images = kept.pair_images(pairs.values())
    asked = f"probes_asked_{selection.opened.hash}_" + "_".join(each.hash for each in selection.models.values())
    features: dict[str, FeatureSet] = {}
    for number, (title, checkpoint) in enumerate(selection.models.items()):
        own = kept.stored(checkpoint, selection.opened, "marks", images)
        if own is None and st.session_state.get(asked):
            own = run_with_progress(
                f"Embedding all pairs with {title}",
                f"probes_marks_{number}",
                partial(kept.embeddings, services, checkpoint, selection.opened, "marks", images),
            )
        if own is not None:
            features[title] = own
    if len(features) < len(selection.models):
        st.button(
            f"Measure all {len(pairs)} pairs",
            key="probes_measure",
            icon=":material/monitoring:",
            help="Embeds every photograph of every pair once; that is kept for the next time.",
            on_click=lambda: st.session_state.__setitem__(asked, True),
        )
    rows = []
    for pair in pairs.values():
        row: dict[str, object] = {"Vehicle": pair.vehicle, "Mark": pair.probe.mark}
        for title, own in features.items():
            here, gone = (pair.probe.photographs[change].name for change in (AS_IT_IS, REMOVED))
            for branch, values in branch_cosines(own, pair.reference.name).items():
                at = own.names.index
                row[f"Δ {line_name(title, branch)}"] = float(values[at(gone)] - values[at(here)])
        rows.append(row)
    return rows


def _changes(found: Mapping[str, Mapping[str, Mapping[str, float]]], name: str, pair: Pair) -> None:
    """The change of the likeness as bars, and the numbers behind them."""
    rows = [
        {
            "Model": title,
            "Branch": BRANCHES.get(branch, branch),
            "Mark on": own[AS_IT_IS],
            "Mark off": own[REMOVED],
            "Change": own[REMOVED] - own[AS_IT_IS],
        }
        | ({"Moved": own[MOVED], "Change when moved": own[MOVED] - own[AS_IT_IS]} if MOVED in own else {})
        for title, branches in found.items()
        for branch, own in branches.items()
    ]
    figure = go.Figure()
    labels = [f"{row['Model']}, {row['Branch']}" for row in rows]
    colours = [colour for colour, branches in zip(MODEL_COLOURS, found.values()) for _ in branches]
    for column, pattern, words in (("Change", "", "removed"), ("Change when moved", "/", "moved")):
        if column in rows[0]:
            figure.add_bar(
                y=labels,
                x=[row[column] for row in rows],
                orientation="h",
                name=f"The {pair.probe.kind} {words}",
                marker={"color": colours, "pattern": {"shape": pattern}},
                texttemplate="%{x:+.4f}",
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{y}: %{x:+.4f}",
            )
    changes = [0.0, *(bar for trace in figure.data for bar in trace.x)]
    room = 0.15 * (max(changes) - min(changes)) or 1e-4  # for the numbers beside the bars
    figure.update_xaxes(range=(min(changes) - room, max(changes) + room))
    figure.update_layout(
        height=80 + 46 * len(rows),
        margin={"l": 0, "r": 60, "t": 30, "b": 0},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        xaxis_title="Change of the cosine to the reference",
        yaxis={"autorange": "reversed"},
    )
    chart(figure, "probes-mark-change", f"Change of the cosine for {name}, by model and branch.", key="probes_bars")
    numbers = st.column_config.NumberColumn
    formats = {c: numbers(format="%.4f") for c in ("Mark on", "Mark off", "Moved")}
    formats |= {c: numbers(format="%+.4f") for c in ("Change", "Change when moved")}
    table(rows, "probes-mark-numbers", column_config=formats, key="probes_numbers")


def _maps(services: Services, selection: Selection, pair: Pair) -> None:
    """Where each model's likeness comes from, with the mark and without it."""
    st.subheader("Where it came from", anchor=False)
    left, right = st.columns(2)
    branches = list(services.model(selection.ssrnet).branches)
    branch = left.segmented_control(
        "Branch of SSR-Net",
        [WHOLE, *(branches if len(branches) > 1 else [])],
        default=WHOLE,
        required=True,
        key="probes_branch",
        bind="query-params",
        format_func=lambda each: BRANCHES.get(each, each),
    )
    method = right.segmented_control(
        "Map",
        METHODS,
        default="grad-cam",
        required=True,
        key="probes_method",
        bind="query-params",
        format_func=map_title,
    )
    places = {title: st.container() for title in selection.models}

    def draw(report: Report) -> dict[str, tuple[str, kept.MarkMaps]]:
        maps = {}
        for done, (title, checkpoint) in enumerate(selection.models.items()):
            report(done, len(places))
            own = branch if checkpoint is selection.ssrnet else WHOLE
            maps[title] = own, kept.mark_maps(services, checkpoint, selection.opened, pair, own, method)
        return maps

    printed = []
    for title, (own, drawn) in run_with_progress("Drawing the maps", "probes_maps_bar", draw).items():
        with places[title]:
            st.markdown(f"**{line_name(title, own)}**")
            columns = st.columns(4)
            pictures = {
                f"{map_title(method)}, mark on": drawn.with_mark,
                "Mark off, same colours": drawn.without_mark,
                "What changed, in colours of its own": drawn.change,
            }
            for column, (caption, picture) in zip(columns, pictures.items()):
                column.image(picture, caption=caption, width="stretch")
            cells = [Cell(Image.fromarray(picture), words) for words, picture in pictures.items()]
            printed.append(Row(line_name(title, own), cells))
            columns[3].metric("Of what changed, on the mark", f"{drawn.change_share:.1%}")
            columns[3].caption(
                f"Of the map with the mark on: {drawn.share:.1%}. The mark covers {drawn.area:.2%} of the picture; "
                "it is outlined in white."
            )
    pictures_export("mark maps", lambda: printed, key="probes_maps_export")


def line_name(title: str, branch: str) -> str:
    """A model, or one of its branches, as charts and tables call it."""
    return title if branch == WHOLE else f"{title}, {BRANCHES.get(branch, branch)}"
