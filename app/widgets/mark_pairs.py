"""Captures with one mark on and off: how each model and each branch changes, and where a CAM places the change."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import plotly.graph_objects as go
import streamlit as st
from PIL import Image

from app.widgets.controls import one_of
from app.widgets.export import COLOURS, chart, table
from app.widgets.map_colours import choose_map_colours, map_figure, show_maps
from app.widgets.prints import Cell, Row, pictures_export
from app.widgets.problems import fragment
from app.widgets.progress import run_with_progress
from app.workbench import Progress, Workbench, probes
from app.workbench.images import data_uri, thumbnail
from ssrnet.data.probes import AS_IT_IS, MOVED, REMOVED
from ssrnet.explain.branch_cosines import branch_cosines
from ssrnet.explain.cam import WHOLE, map_title
from ssrnet.explain.overlay import Scale, scale_of
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.studies.explanations.mark_maps import MarkMaps
from ssrnet.studies.explanations.sample import Pair

BRANCHES = {WHOLE: "all branches", "G": "global", "attn": "attention", "token": "token"}
METHODS = ("grad-cam", "hires-cam")
MODEL_COLOURS = COLOURS[:2]
"""Of the first and the second model, the baseline first."""


@fragment
def mark_pairs(bench: Workbench) -> None:
    """All pairs as a table; then one of them: its photographs, its numbers and where a CAM says they came from."""
    pairs = probes.pairs(bench.data)
    rows, names = _all_pairs(bench, pairs), list(pairs)

    def take_row(row: int) -> None:
        st.session_state["probes_pair"] = names[row]

    changes = [name for name in rows[0] if name.startswith("Δ")]
    formats = dict.fromkeys(changes, st.column_config.NumberColumn(format="%+.4f"))
    table(rows, "probes-pairs", formats, key="probes_table", on_row=take_row, height=248)
    name = st.selectbox("Pair (or choose a row above)", names, key="probes_pair", bind="query-params")
    pair = pairs[name]
    photographs = pair.probe.photographs
    pictures = {f"Reference: {pair.reference.name}": pair.reference} | {
        f"The {pair.probe.kind} {change}": image for change, image in photographs.items()
    }
    for column, (caption, image) in zip(st.columns(4), pictures.items()):
        column.image(thumbnail(image, 240), caption=caption, alt=caption, width="stretch")

    def cosines(progress_callback: Progress) -> dict[str, dict[str, dict[str, float]]]:
        by_title = {}
        for done, (title, model) in enumerate(bench.networks.items()):
            progress_callback(done, len(bench.networks))
            by_title[title] = probes.pair_cosines(model, pair)
        return by_title

    _changes(run_with_progress("Comparing the pair", "probes_pair_bar", cosines), name, pair)
    _maps(bench, pair)


def _all_pairs(bench: Workbench, pairs: Mapping[str, Pair]) -> list[dict[str, object]]:
    """A row a pair; with the change by removal once all pairs have been embedded."""
    images = probes.pair_images(pairs.values())
    clicked = f"probes_measure_{bench.data.hash}_" + "_".join(model.hash for model in bench.networks.values())
    features: dict[str, FeatureSet] = {}
    for number, (title, model) in enumerate(bench.networks.items()):
        stored = probes.stored_embeddings(model, "marks", images)
        if stored is None and st.session_state.get(clicked):
            label, embed = f"Embedding all pairs with {title}", partial(probes.embeddings, model, "marks", images)
            stored = run_with_progress(label, f"probes_marks_{number}", embed)
        if stored is not None:
            features[title] = stored
    if len(features) < len(bench.networks):
        st.button(
            f"Measure all {len(pairs)} pairs",
            key="probes_measure",
            icon=":material/monitoring:",
            help="Embeds every photograph of every pair once, and stores the result for the next time.",
            on_click=st.session_state.update,
            args=({clicked: True},),
        )
    rows = []
    for pair in pairs.values():
        row: dict[str, object] = {"Vehicle": pair.vehicle, "Mark": pair.probe.mark}
        for title, each in features.items():
            here, gone = (each.names.index(pair.probe.photographs[change].name) for change in (AS_IT_IS, REMOVED))
            for branch, cosines in branch_cosines(each, pair.reference.name).items():
                row[f"Δ {line_name(title, branch)}"] = float(cosines[gone] - cosines[here])
        rows.append(row)
    return rows


def _changes(by_title: Mapping[str, Mapping[str, Mapping[str, float]]], name: str, pair: Pair) -> None:
    """The change of the likeness as bars, and the numbers behind them."""
    rows = [
        {
            "Model": title,
            "Branch": BRANCHES.get(branch, branch),
            "Mark on": cosines[AS_IT_IS],
            "Mark off": cosines[REMOVED],
            "Change": cosines[REMOVED] - cosines[AS_IT_IS],
        }
        | (
            {"Moved": cosines[MOVED], "Change when moved": cosines[MOVED] - cosines[AS_IT_IS]}
            if MOVED in cosines
            else {}
        )
        for title, branches in by_title.items()
        for branch, cosines in branches.items()
    ]
    figure = go.Figure()
    labels = [f"{row['Model']}, {row['Branch']}" for row in rows]
    colours = [colour for colour, branches in zip(MODEL_COLOURS, by_title.values()) for _ in branches]
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


def _maps(bench: Workbench, pair: Pair) -> None:
    """Where each model's likeness comes from, with the mark and without it."""
    st.subheader("Where it came from", anchor=False)
    left, right = st.columns(2)
    branches = bench.ssrnet.network.branches
    offered = {each: BRANCHES.get(each, each) for each in (WHOLE, *(branches if len(branches) > 1 else ()))}
    branch = one_of("Branch of SSR-Net", offered, "probes_branch", place=left)
    method = one_of("Map", {name: map_title(name) for name in METHODS}, "probes_method", place=right)
    colours = choose_map_colours("all maps of both models")
    places = {title: st.container() for title in bench.networks}
    explained = {title: branch if model is bench.ssrnet else WHOLE for title, model in bench.networks.items()}

    def draw(progress_callback: Progress) -> dict[str, MarkMaps]:
        maps = {}
        for done, (title, model) in enumerate(bench.networks.items()):
            progress_callback(done, len(places))
            maps[title] = probes.mark_maps(model, pair, explained[title], method)
        return maps

    printed = []
    drawn = run_with_progress("Drawing the maps", "probes_maps_bar", draw)
    most = max(scale_of([maps.with_mark, maps.without_mark, maps.change]).high for maps in drawn.values())
    for title, maps in drawn.items():
        line = line_name(title, explained[title])
        both = Scale(0.0, most if colours.same_scale else scale_of([maps.with_mark, maps.without_mark]).high)
        change = both if colours.same_scale else Scale(0.0, scale_of([maps.change]).high)
        with places[title]:
            st.markdown(f"**{line}**")
            left, right = st.columns([3, 1])
            figures, cells = [], []
            for caption, name, scale in (
                (f"{map_title(method)}, mark on", "with_mark", both),
                ("Mark off, same colours", "without_mark", both),
                ("What changed" + ", on a separate colour scale" * (not colours.same_scale), "change", change),
            ):
                picture, bar = maps.painted(name, scale, colours.name), colours.bar(scale)
                figures.append(map_figure(data_uri(picture), f"{caption}, {line}", caption, bar))
                cells.append(Cell(Image.fromarray(picture), caption, bar=bar))
            with left:
                show_maps(figures)
            printed.append(Row(line, cells))
            right.metric("Of what changed, on the mark", f"{maps.change_share:.1%}")
            right.caption(
                f"Of the map with the mark on: {maps.share:.1%}. The mark covers {maps.area:.2%} of the picture; "
                "it is outlined in white."
            )
    pictures_export("mark maps", lambda: printed, key="probes_maps_export")


def line_name(title: str, branch: str) -> str:
    """A model, or one of its branches, as charts and tables call it."""
    return title if branch == WHOLE else f"{title}, {BRANCHES.get(branch, branch)}"
