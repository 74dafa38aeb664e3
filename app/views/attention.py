"""Attention: where SSR-Net looks (M_s, |F_attn|, paper Fig. 3), and where each model's similarity comes from (CAMs)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import streamlit as st

from app import ahead
from app.widgets.controls import one_of
from app.widgets.export import COLOURS, chart
from app.widgets.health_notes import health_notes
from app.widgets.images_beside import images_ahead, images_beside
from app.widgets.map_captions import PartMasses, map_captions, part_masses
from app.widgets.map_colours import MapColours, choose_map_colours
from app.widgets.map_sheet import MapColumn, map_sheet
from app.widgets.page import explain
from app.widgets.problems import show_problem
from app.widgets.progress import run_with_progress
from app.widgets.query_picker import query_picker
from app.widgets.source import with_raw_features
from app.widgets.symbols import typeset
from app.workbench import OpenedModel, Progress, Workbench
from app.workbench.attention import similarity_maps, study_verdicts
from app.workbench.images import SIDE, image_label, thumbnail
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError
from ssrnet.explain.attention import (
    NETWORK_MAPS,
    attended_length,
    spatial_attention,
    strongest_channels,
    why_no_attended_length,
    why_no_spatial_attention,
)
from ssrnet.explain.cam import CAMS, map_title, similarity_cam
from ssrnet.explain.image_maps import channel_maps, network_map
from ssrnet.model.health import attention_health
from ssrnet.studies.verdicts import MapVerdict, ModelVerdicts

BRANCHES = {"": "All branches", "G": "Global", "attn": "Attention", "token": "Relation"}
CHANNELS = 8
MOST_PARTS = 12

INTRO = r"""
Where SSR-Net looks, and which places of an image make it similar to another one. The attention branch weighs the channels of
$F_G$ by $M_c$, then its cells by $M_s$:
${F_{\mathrm{attn}} = M_s(F_c) \otimes F_c}$, ${F_c = M_c(F_G) \otimes F_G}$ (Eq. 1).
"""
EQUATIONS = (
    r"F_c = M_c(F_G) \otimes F_G, \qquad F_{\mathrm{attn}} = M_s(F_c) \otimes F_c \qquad (1)",
    r"\text{Grad-CAM}(p) = \mathrm{ReLU} \sum_c \Big( \frac{1}{HW} \sum_{p'} \frac{\partial s}{\partial F_G^c(p')} "
    r"\Big) F_G^c(p), \qquad s = f \cdot \frac{f_{ref}}{\lVert f_{ref} \rVert}",
)
LOOK_FOR = typeset(f"""
**M_s** belongs to the image alone: SSR-Net's attention branch weighs each cell of F_G with it. The baseline has none.
**M_c** weighs the channels in the same branch, before M_s. **|F_attn|** is what the two leave of F_G: the length of
F_attn's channels at each cell, of the image alone too; the paper does not say whether its Fig. 3 shows this or M_s.
Without a branch that changes F_G it is **|F_G|**. A map that is the same for every image explains none of them: the
sentences below the maps say whether M_c and M_s are.

**A CAM** exists for both models and shows something else: which cells raise the similarity *s* between this image's
embedding and the query's? (The query itself is explained by the second image.) No classifier is needed.
{" ".join(f"{cam.title} {cam.note}." for cam in CAMS.values() if cam.note)}

The bar below each map says which colours stand for which values. Maps have one value a cell of F_G and are brought to the
image bilinearly. The sentences below the maps are computed from them. Ask: is the same part of the vehicle lit in several
images? Is the background? On the city, are look-alikes told apart by their marks?
""")


def render(bench: Workbench) -> None:
    """A picker, a grid of maps over up to twelve images, the channels of M_c, and the maps' mass by part."""
    bench = with_raw_features(bench)
    images = bench.dataset.test
    image = query_picker(images)
    shown = images_beside(bench, image)
    verdicts, measured_on = _verdicts(bench)
    left, middle, right = st.columns([2, 3, 2])
    first = list(CAMS).index(_first_cam(verdicts))
    method = left.selectbox(
        "CAM", list(CAMS), index=first, format_func=map_title, key="attention_cam", bind="query-params"
    )
    branches = {"", *(branch for model in bench.networks.values() for branch in model.network.branches)}
    offered = {name: title for name, title in BRANCHES.items() if name in branches}
    branch = one_of("Of the similarity by", offered, "attention_branch", place=middle)
    opacity = right.slider("Opacity of the maps", 0.0, 1.0, 0.5, 0.05, key="opacity", bind="query-params")

    colours = choose_map_colours("all maps of one kind, over all images and both models")
    if verdicts:
        st.caption(typeset(_claim(verdicts, measured_on)))
    columns, absent = _columns(bench, shown, method, branch, verdicts)
    captions = [f"{'Query · ' * (each == image)}{_caption(each)}" for each in shown]
    map_sheet(
        "shown", {caption: thumbnail(one, SIDE) for caption, one in zip(captions, shown)}, columns, opacity, colours
    )
    if absent:
        st.caption(typeset(" ".join(absent)))
    by_title = {f"{column.title}: {column.kind}": column.maps for column in columns}
    masses = part_masses(bench.dataset, shown, by_title)
    map_captions(by_title, verdicts, masses, len(shown))
    st.subheader("Does the attention look at the image?", anchor=False)
    place = st.container()
    _parts(shown, masses)
    _strongest(bench, image, opacity, colours)
    functions = [spatial_attention, attended_length, strongest_channels, similarity_cam, attention_health]
    explain(EQUATIONS, LOOK_FOR, functions)
    with place:
        health_notes(bench.networks.values(), ("M_c", "M_s", "F_G"), "attention")


def prepare(bench: Workbench) -> None:
    """Takes what the viewer may look at next through both networks."""
    networks, images = bench.networks.values(), images_ahead(bench.raw)
    ahead.begin(lambda m=model, i=image: m.view(i).trace for image in images for model in networks)


def _verdicts(bench: Workbench) -> tuple[dict[str, ModelVerdicts], str]:
    """What the explanations study measured of the checkpoints in view, by their titles, and on which data."""
    try:
        published = study_verdicts()
    except DataError as error:
        show_problem(error)
        return {}, ""
    if published is None:
        return {}, ""
    by_title = {title: published.of(model.hash) for title, model in bench.networks.items()}
    dataset = str(published.record.get("dataset", ""))
    return {title: verdicts for title, verdicts in by_title.items() if verdicts is not None}, dataset


def _first_cam(verdicts: dict[str, ModelVerdicts]) -> str:
    """The CAM that the page opens with: the last model's best, Grad-CAM where the study trusts none."""
    trusted = [one.name for model in reversed(verdicts.values()) for one in model.trusted]
    return next((name for name in trusted if name in CAMS and not CAMS[name].masks_images), next(iter(CAMS)))


def _first_map(model: ModelVerdicts) -> MapVerdict | None:
    """The map of this model that stands first: the largest gain of those that pass; None where none does.

    A map that masks the image takes ten seconds an image: no page opens on it.
    """
    quick = {*NETWORK_MAPS, *(name for name, cam in CAMS.items() if not cam.masks_images)}
    return next((one for one in model.trusted if one.name in quick), None)


def _claim(verdicts: dict[str, ModelVerdicts], dataset: str) -> str:
    """Which map the page opens on and why; then which share of it lies on the vehicle."""
    (title, model), *others = reversed(verdicts.items())
    first = _first_map(model)
    if first is None:
        sentence = f"No map passes the explanations study's tests on {title}"
    else:
        best = model.trusted[0]
        gain = f"{best.gain:.2f}, 95 % interval {best.low:.2f} to {best.high:.2f}"
        sentence = (
            f"Of the maps that pass the explanations study's tests on {title}, {map_title(best.name)} has "
            f"the largest gain ({gain}, {best.photographs} photographs of {dataset}), "
        )
        sentence += (
            "so it stands first"
            if best == first
            else (f"but takes ten seconds an image; {map_title(first.name)} ({first.gain:.2f}) stands first")
        )
    for other, its_verdicts in others:
        best = _first_map(its_verdicts)
        has = f"{map_title(best.name)} has it ({best.gain:.2f})" if best else "none passes"
        sentence += f"; on {other} {has}"
    blob = model.of("centre")
    if first is None or first.on_vehicle is None or blob is None or blob.on_vehicle is None:
        return f"{sentence}."
    return (
        f"{sentence}. {map_title(first.name)} has {100 * first.on_vehicle:.0f} % of its mass on the vehicle, a blob in "
        f"the middle {100 * blob.on_vehicle:.0f} %: this share decides nothing."
    )


def _caption(image: VehicleImage) -> str:
    return image.name if image.vehicle_id is None else f"{image_label(image)} · {image.name}"


def _columns(
    bench: Workbench, shown: Sequence[VehicleImage], method: str, branch: str, verdicts: dict[str, ModelVerdicts]
) -> tuple[list[MapColumn], list[str]]:
    """The grid's columns, M_s, |F_attn| and a CAM of each model; then, in sentences, what a model does not have.

    The map that the explanations study trusts most of the last model stands first; where it measured none, M_s.
    """
    columns: list[MapColumn] = []
    absent: list[str] = []
    references = [shown[min(1, len(shown) - 1)], *[shown[0]] * (len(shown) - 1)]
    # Score-CAM takes ten seconds an image, each of which should move the bar; the others are quicker together.
    at_once = 1 if CAMS[method].masks_images else len(shown)
    parts = [slice(start, start + at_once) for start in range(0, len(shown), at_once)]
    trusted = [best for title in bench.networks if title in verdicts and (best := _first_map(verdicts[title]))]
    first = trusted[-1].name if trusted else "M_s"

    def network_columns(model: OpenedModel) -> None:
        if reason := why_no_spatial_attention(model.settings):
            absent.append(reason)
        why_no_length = why_no_attended_length(model.settings)
        if why_no_length:
            absent.append(why_no_length)
        length = "F_G" if why_no_length or first == "F_G" else "F_attn"
        for name in [*(["M_s"] if reason is None else []), length]:
            maps = [network_map(view.trace, name) for view in model.views(shown)]
            columns.append(MapColumn(map_title(name), model.title, maps, [""] * len(maps)))

    def cam_column(model: OpenedModel, step: Callable[[int], None]) -> None:
        branches = model.network.branches
        if branch and branch not in branches:
            absent.append(f"{model.title} has no {BRANCHES[branch].lower()} branch.")
            return
        maps = []
        for done, part in enumerate(parts, start=1):
            explained = branch if len(branches) > 1 else ""
            maps += similarity_maps(model, shown[part], references[part], method, explained)
            step(done)
        captions = [
            f"similarity to {'itself' if of is to else image_label(to)}: {one.similarity:.3f}"
            + ("" if one.map.cells.any() else "; nothing raises it")
            for of, to, one in zip(shown, references, maps, strict=True)
        ]
        columns.append(MapColumn(map_title(method), model.title, [one.map for one in maps], captions))

    def compute(progress_callback: Progress) -> None:
        total = len(bench.networks) * len(parts)
        for at, model in enumerate(bench.networks.values()):
            network_columns(model)
            cam_column(model, lambda done, at=at: progress_callback(at * len(parts) + done, total))

    run_with_progress("Computing the maps", "attention", compute)
    # A CAM that was chosen in place of the best one stands in its place.
    first = map_title(first if first in NETWORK_MAPS else method)
    kinds = [first, *(map_title(name) for name in ("M_s", "F_G", "F_attn", method))]
    return sorted(columns, key=lambda column: kinds.index(column.kind)), absent


def _parts(shown: Sequence[VehicleImage], measured: PartMasses) -> None:
    """Where part masks exist: how much of each map lies on each part, beside the part's share of the image."""
    if not measured.masked:
        return
    masses, area = measured.mass, measured.area
    parts = sorted(area, key=lambda part: max(mass[part] for mass in masses.values()), reverse=True)
    parts = parts[:MOST_PARTS]
    figure = go.Figure()
    figure.add_bar(y=parts, x=[area[part] for part in parts], name="area", orientation="h", marker_color="#94a3b8")
    for colour, (title, mass) in zip(COLOURS, masses.items()):
        figure.add_bar(y=parts, x=[mass[part] for part in parts], name=title, orientation="h", marker_color=colour)
    figure.update_layout(
        barmode="group",
        height=90 + (16 + 6 * (1 + len(masses))) * len(parts),
        margin={"t": 10, "b": 10},
        legend={"orientation": "h", "y": 1.08},
        xaxis={"tickformat": ".0%", "title": "share of the map, and of the image"},
        yaxis={"title": "", "autorange": "reversed"},  # from top to bottom as in the legend
    )
    st.subheader("Mass by part", anchor=False)
    st.caption(
        f"Mean over the {measured.masked} of {len(shown)} images that have a part mask. A bar longer than the part's area is "
        "attention beyond chance."
    )
    chart(figure, "mass-by-part", f"Share of each map on {len(parts)} parts of the vehicle, beside the parts' areas.")


def _strongest(bench: Workbench, image: VehicleImage, opacity: float, colours: MapColours) -> None:
    """The channels that M_c lets through most of the query, for the models that have it."""
    for at, (title, model) in enumerate(bench.networks.items()):
        channels = channel_maps(model.view(image).trace, CHANNELS)
        if not channels:
            continue
        heading = typeset(f"{title}: the {len(channels)} channels that M_c lets through most")
        st.subheader(heading, anchor=False)
        columns = [
            MapColumn("F_c of the query", f"channel {one.number}", [one.map], [f"M_c {one.weight:.3f}"])
            for one in channels
        ]
        map_sheet(f"channel-{at}", {f"Query · {image.name}": thumbnail(image, SIDE)}, columns, opacity, colours)
