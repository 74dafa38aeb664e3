"""Probes: one thing changes, all else stays; what each model and each branch makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app.widgets.controls import one_of
from app.widgets.export import COLOURS, chart, lay_out, table
from app.widgets.mark_pairs import MODEL_COLOURS, line_name, mark_pairs
from app.widgets.page import explain
from app.widgets.problems import fragment
from app.widgets.progress import run_with_progress
from app.widgets.source import with_raw_features
from app.workbench import Workbench, probes
from app.workbench.images import thumbnail
from ssrnet.data.probes import ProbeSeries
from ssrnet.explain.branch_cosines import branch_cosines, nearest_other
from ssrnet.explain.cam import WHOLE, similarity_cam
from ssrnet.explain.faithfulness import region_share

SERIES = {
    "turn": ("Azimuth", "Side that the camera sees (0 deg: the front)"),
    "sun": ("Sun", "Hour of the day"),
    "light": ("Light", "Weather, and lamps at night"),
    "distance": ("Blur and distance", "Share of the pixels that are left, then blur"),
    "occluder": ("Occlusion", "Where a post stands (-1: one edge, 1: the other)"),
}
"""Titles, and what the axis counts, of the city's series; others go by their names."""
DASHES = {"G": "dash", "attn": "dot", "token": "dashdot"}
MARKERS = {WHOLE: "circle", "G": "square", "attn": "diamond", "token": "triangle-up"}
STRIP, PLOT = 110, 330
"""Most pixels of height that the strip of photographs gets, and those of the curves above it."""
PICTURE = 110
VIEWS = {"series": "One thing changes", "marks": "Mark on, mark off"}
INTRO = r"""
One thing changes from photograph to photograph, the vehicle stays: how similar does each model still find it?
The lines show ${s(x) = \cos\big(f(x), f(x_{\mathrm{ref}})\big)}$.
"""
EQUATIONS = (
    r"s(x) = \cos\big(f(x), f(x_{\mathrm{ref}})\big), \qquad s_b(x) = \cos\big(f_b(x), f_b(x_{\mathrm{ref}})\big)",
    r"\Delta s = s(x_{\mathrm{mark\ off}}) - s(x_{\mathrm{mark\ on}})",
)
LOOK_FOR = """
The photographs of a series are one vehicle under one camera, with one thing changed from each to the next. $f$ is a
model's embedding and $f_b$ one branch's part of it; each line compares that part alone with the reference's.

- **Azimuth**: how far a model recognises a vehicle from one side to the other. Below the thin line of its colour,
  *nearest other vehicle*, a rank list for the reference has another vehicle before this one.
- **Light, blur, occlusion**: a branch whose line stays up is the one to trust there.
- **Mark on, mark off**: the same capture with one mark and without it. The reference is a photograph of the vehicle
  that shows such a mark, so taking it away should lower the likeness; near 0 the model does not look at it.
- **Grad-CAM** on the mark: the mark's share of the map beside its share of the picture, which is what a map without
  any knowledge would give. Grad-CAM weighs a channel the same everywhere and so leaks out of the relation branch's crops; HiResCAM
  does not.
"""


def render(bench: Workbench) -> None:
    """The series of the data set's probes, or the pairs with a mark on and off."""
    _page(bench)
    explain(EQUATIONS, LOOK_FOR, (branch_cosines, nearest_other, similarity_cam, region_share))


def _page(bench: Workbench) -> None:
    series = probes.series(bench.data)
    usable = [name for name, probed in (("series", series), ("marks", probes.pairs(bench.data))) if probed]
    if not usable:
        st.info(
            f"{bench.dataset.name} has no probes: they need a `probes.csv` beside the images, as the "
            "bundled city has it."
        )
        return
    bench = with_raw_features(bench)
    view = one_of("Show", {name: VIEWS[name] for name in usable}, "probes_view")
    if view == "series":
        _series(bench, series)
    else:
        mark_pairs(bench)


@fragment
def _series(bench: Workbench, every_series: list[ProbeSeries]) -> None:
    """Likeness to the reference over one series, with its photographs beneath."""
    titles = {each.name: SERIES.get(each.name, (each.name,))[0] for each in every_series}
    left, middle, right = st.columns([4, 2, 2], vertical_alignment="bottom")
    name = one_of("What changes", titles, "probes_series", place=left)
    vehicles = [each.vehicle_id for each in every_series if each.name == name]
    if st.session_state.get("probes_vehicle") not in vehicles:
        st.session_state.pop("probes_vehicle", None)
    vehicle = middle.selectbox("Vehicle", vehicles, key="probes_vehicle", bind="query-params")
    series = next(each for each in every_series if (each.name, each.vehicle_id) == (name, vehicle))
    key = f"probes_reference_{name}"
    value = right.selectbox("Reference (or click a point)", series.values, key=key, bind="query-params")
    at = series.values.index(value)
    reference = series.photographs[at]

    cosines: dict[str, dict[str, np.ndarray]] = {}
    levels: dict[str, float | None] = {}
    for number, (title, model) in enumerate(bench.networks.items()):
        embed = partial(probes.embeddings, model, f"{name} {vehicle}", series.photographs)
        features = run_with_progress(f"Embedding the series with {title}", f"probes_embed_{number}", embed)
        cosines[title] = branch_cosines(features, reference.name)
        levels[title] = probes.nearest_other_vehicle(model, features, reference)

    def take_point(point: Mapping) -> None:
        """The clicked photograph becomes the reference."""
        st.session_state[key] = series.values[round(point["x"])]

    axis, figure = titles[name], _figure(series, cosines, levels, at)
    alt = f"{axis}: cosine to the reference {value}, by model and branch."
    chart(figure, f"probes-{name}-{vehicle}", alt, key="probes_chart", on_point=take_point)
    if any(level is None for level in levels.values()):
        st.caption("The level of the nearest other vehicle appears once Retrieval has embedded the gallery.")
    _least_alike(series, cosines, at)
    lines = {line_name(title, branch): row for title, rows in cosines.items() for branch, row in rows.items()}
    rows = [
        {axis: step, "image": image.name} | {line: float(row[i]) for line, row in lines.items()}
        for i, (step, image) in enumerate(zip(series.values, series.photographs))
    ]
    with st.expander("Numbers", icon=":material/table:"):
        table(rows, f"probes-{name}-{vehicle}-numbers")


def _figure(
    series: ProbeSeries,
    cosines: Mapping[str, Mapping[str, np.ndarray]],
    levels: Mapping[str, float | None],
    reference: int,
) -> go.Figure:
    """Lines above, and each step's photograph beneath its point."""
    figure, count = go.Figure(), len(series.values)
    strip = min(STRIP, 900 / count)
    cut = strip / (PLOT + strip)
    for (title, by_branch), colour in zip(cosines.items(), MODEL_COLOURS):
        for branch, values in by_branch.items():
            figure.add_scatter(
                x=list(range(count)),
                y=values,
                name=line_name(title, branch),
                mode="lines+markers",
                customdata=series.values,
                hovertemplate="%{customdata}: %{y:.3f}",
                line={"color": colour, "dash": DASHES.get(branch, "solid"), "width": 3 if branch == WHOLE else 1.5},
                marker={"symbol": MARKERS.get(branch, "circle"), "size": 8 if branch == WHOLE else 6},
                unselected={"marker": {"opacity": 1}},
            )
        if levels[title] is not None:
            ends, level = [-0.5, count - 0.5], [levels[title]] * 2
            name, line = f"{title}: nearest other vehicle", {"color": colour, "width": 1}
            figure.add_scatter(x=ends, y=level, name=name, mode="lines", line=line, hoverinfo="skip")
    for i, image in enumerate(series.photographs):
        place = {"x": i, "y": 0.5, "xref": "x", "yref": "y2", "xanchor": "center", "yanchor": "middle"}
        figure.add_layout_image(source=thumbnail(image, PICTURE), sizex=0.96, sizey=1, sizing="contain", **place)
    line = {"color": COLOURS[7], "dash": "dot", "width": 2}
    figure.add_vline(x=reference, line=line, annotation_text="reference", annotation_position="top")
    axis = SERIES.get(series.name, (series.name, series.name))[1]
    ticks = [value.replace(" deg", "°") for value in series.values]
    return lay_out(
        figure,
        round(PLOT + strip + 90),
        30,
        clickmode="event+select",
        xaxis={
            "title": axis,
            "tickvals": list(range(count)),
            "ticktext": ticks,
            "range": [-0.5, count - 0.5],
            "anchor": "y2",
            "showgrid": False,
        },
        yaxis={"title": "Cosine to the reference", "domain": [cut + 0.02, 1]},
        yaxis2={"domain": [0, cut], "range": [0, 1], "visible": False, "fixedrange": True},
        legend={"orientation": "h", "y": 1.06, "yanchor": "bottom"},
    )


def _least_alike(series: ProbeSeries, cosines: Mapping[str, Mapping[str, np.ndarray]], reference: int) -> None:
    """The reference beside the photograph that each model finds least like it."""
    shown = {"Reference": (reference, f"{series.values[reference]}")}
    for title, by_branch in cosines.items():
        whole = by_branch[WHOLE].tolist()
        at = whole.index(min(whole))
        shown[f"Least alike for {title}"] = (at, f"{series.values[at]}, cosine {whole[at]:.3f}")
    for column, (title, (at, words)) in zip(st.columns(4), shown.items()):
        words = f"{title}: {words}"
        column.image(thumbnail(series.photographs[at], 240), caption=words, alt=words, width="stretch")
