"""Regions: the crop ratio lambda and what it does (paper Eq. 2, Fig. 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from app.widgets.components.region_boxes import chosen_ratio, crop_ratios, printed_regions, region_boxes_slider
from app.widgets.evaluations import ensure_features, metrics_table
from app.widgets.lambda_curves import cosine_curves, score_curves
from app.widgets.matrices import Matrix, matrices
from app.widgets.needs_labels import needs_labels
from app.widgets.page import explain
from app.widgets.prints import pictures_export
from app.widgets.problems import fragment
from app.widgets.progress import run_with_progress
from app.widgets.query_picker import query_picker
from app.widgets.rank_list import EDITS_ALIGNED, RankRow, legend, rank_list, ranks_export, standing
from app.widgets.readings import readings_box
from app.widgets.symbols import typeset
from app.workbench import OpenedModel, Progress, Workbench, regions
from app.workbench.queries import query_of
from app.workbench.runs import StudyCurve, study_curves
from app.workbench.uploaded_data import uploads_beside
from ssrnet.analysis.attributes import same_vehicle
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage
from ssrnet.explain.captions import ratio_caption, smoothing_caption
from ssrnet.explain.gallery_graphs import GalleryGraphs
from ssrnet.explain.graph import edit_trace, no_graph
from ssrnet.explain.overlaps import overlap, ratio_at_boxes
from ssrnet.explain.relations import mean_of_pairs, region_cosines, smoothness
from ssrnet.model import BACKBONES
from ssrnet.model.regions import REGION_NAMES, region_boxes
from ssrnet.retrieval.alignment import ALIGNED
from ssrnet.retrieval.evaluation import Evaluation

TOP_K = 5
SLIDER, WITH, WITH_UPLOAD = "regions_slider", "regions_with", "regions_with_upload"
AT_ONCE = 5e10
"""Multiply-adds up to which the whole split is ranked at every lambda without a click: twice the demo's."""
INTRO = r"""
The relation branch cuts five regions out of $F_{\mathrm{attn}}$, each of which becomes a node of its graph. The crop ratio
λ says how large they are: ${H_L = \lfloor \lambda H \rfloor}$, ${W_L = \lfloor \lambda W \rfloor}$ (Eq. 2).
"""
EQUATIONS = (
    r"H_L = \lfloor \lambda \times H \rfloor, \qquad W_L = \lfloor \lambda \times W \rfloor \tag{Eq. 2}",
    r"\mathrm{IoU}(a, b) = \frac{|a \cap b|}{|a \cup b|}",
    r"\cos(a, b) = \frac{h_a \cdot h_b}{\lVert h_a \rVert \, \lVert h_b \rVert}",
)
LOOK_FOR = r"""
Each region is cut out of $F_{\mathrm{attn}}$, $H \times W$ cells, and pooled to one node of the graph. The paper wants them to
overlap, $\lambda > \frac{1}{2}$, so that a part that is shifted by pose still lies whole in one of them, and takes
$\lambda = \frac{2}{3}$.

- **Small λ**: the regions see little, and below $\frac{1}{2}$ cells between them belong to none.
- **Large λ**: the regions become one and the same, at $\lambda = 1$ with cosines of 1. Each layer of the graph takes up the
  neighbours: where that makes the regions still more alike, the paper calls it over-smoothing (Sec. 4.4). The sentences
  below the matrices and the curve say whether it does on this image.
- **The ranks at another λ** come from a network trained at one λ and used at another. The paper's Fig. 4 trains a
  network from the start for each λ, so the two curves answer different questions.

Only $\lfloor \lambda H \rfloor$ counts: several λ make the same boxes, and the same ranks.
"""
NON_NEGATIVE = "The cosines lie in [0, 1], since every region's row comes from a ReLU.\n"


def render(bench: Workbench) -> None:
    """A query, the slider with boxes and crops, the top-5, cosines, and curves over lambda."""
    model, split = bench.with_graph, bench.split
    if model is None:
        settings = bench.ssrnet.settings
        st.info(no_graph(settings.title, settings.has_stripes))
    elif not split.query:
        st.info("The protocol leaves no query to look at; choose another protocol or another data set.")
    else:
        _explore(model, query_picker(split.query), study_curves())
    signed = model is not None and not BACKBONES[model.settings.backbone].family.non_negative
    look_for = LOOK_FOR if signed else LOOK_FOR + NON_NEGATIVE
    explain(EQUATIONS, look_for, (region_boxes, overlap, region_cosines, smoothness, edit_trace, GalleryGraphs))
    readings_box("regions", list(bench.networks.values()))


@fragment
def _explore(model: OpenedModel, image: VehicleImage, studies: Mapping[str, StudyCurve]) -> None:
    """All that follows lambda, redrawn by itself when the slider is released."""
    size, trained = tuple(model.view(image).trace.F_attn.shape[2:]), model.settings.crop_ratio
    listed = crop_ratios(*size, trained)
    ratio = chosen_ratio(SLIDER, listed, trained)
    region_boxes_slider(SLIDER, image, size, listed, ratio, trained)
    pictures_export(
        f"regions_lambda_{ratio:.3f}_{image.name}",
        lambda: printed_regions(image.read(), size, ratio),
        key="regions_boxes",
    )
    if listed[0] > regions.LEAST_RATIO + 1e-9:
        st.caption(f"The feature map has {size[0]} × {size[1]} cells, so λ starts where a region has one.")
    graphs = _ranks(model, image, ratio, size)
    _matrices(model, image, ratio, size)
    _over_lambda(model, image, ratio, graphs, studies)


def _ranks(model: OpenedModel, image: VehicleImage, ratio: float, size: tuple[int, int]) -> GalleryGraphs | None:
    """The query's top-5 as trained and at ``ratio``; the gallery's graphs, where they exist or were requested."""
    trained_ratio = model.settings.crop_ratio
    requested = f"regions_requested_{model.hash}_{model.data.hash}"
    st.subheader(f"Top-{TOP_K} at λ = {ratio:.3g}", anchor=False)
    graphs = regions.stored_graphs(model)
    if graphs is None and st.session_state.get(requested):
        label, compute = "Cutting the gallery's regions at every λ", partial(regions.gallery_graphs, model)
        graphs = run_with_progress(label, "regions_graphs", compute)
    if graphs is None:
        shipped = regions.shipped_graphs(model)
        words, button = st.columns([3, 1], vertical_alignment="center")
        words.caption(_what_is_stored(trained_ratio, shipped) + _how_long(model))
        button.button(
            "Rank the gallery at this λ",
            icon=":material/format_list_numbered:",
            width="stretch",
            key="regions_rank",
            on_click=st.session_state.update,
            args=({requested: True},),
        )
        if model.stored_features() is None:
            return None
        graphs = shipped
    else:
        ensure_features([model])
    split = model.split
    query = query_of(split, image)
    trained = regions.rank_as_trained(model, query, TOP_K)
    how = ALIGNED * model.is_aligned
    rows = [RankRow(f"λ = {trained_ratio:.3g}, as trained{how}", trained.hits, standing(trained.ranking, 0))]
    sentences: tuple[str, ...] = ()
    if not regions.has_trained_boxes(model.network, size, ratio):
        both = regions.has_ratio(graphs, ratio)
        changed = regions.rank_at(model, query, ratio, TOP_K, graphs if both else None)
        where = "query and gallery" if both else "query alone"
        rows.append(RankRow(f"λ = {ratio:.3g} at test time, {where}{how}", changed.hits, standing(changed.ranking, 0)))
        sentences = changed.label.sentences
    rank_list(image, rows, split.gallery)
    legend(EDITS_ALIGNED * model.is_aligned, split.is_labelled, image)
    ranks_export(f"ranks_lambda_{ratio:.3f}_{image.name}", image, rows, split.gallery)
    as_trained = (
        f"These are the boxes that {model.raw.title} was trained with; move λ to see what other regions would list."
    )
    st.caption(" ".join(sentences) or as_trained)
    return graphs


def _what_is_stored(trained_ratio: float, shipped: GalleryGraphs | None) -> str:
    if shipped is None:
        return f"The gallery is stored as the network was trained, at λ = {trained_ratio:.3g}. "
    listed = ", ".join(f"{ratio:.3g}" for ratio in shipped.ratios)
    return f"The demo's gallery is stored at the λ of Fig. 4, here with the boxes of {listed}. "


def _how_long(model: OpenedModel) -> str:
    """What ranking at every other lambda takes, before the click."""
    images, seconds = len(model.data.dataset.test), regions.seconds_for_graphs(model)
    time = f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"
    where = "kept in this session" if model.data.is_uploaded else "stored for the next time"
    return (
        f"To rank it at every other λ as well, each of its {images:,} images goes through the network once: about {time}, "
        f"estimated from a blank one. The result is {where}."
    )


def _matrices(model: OpenedModel, image: VehicleImage, ratio: float, size: tuple[int, int]) -> None:
    """Overlap of the boxes beside the cosines of what they hold, layer by layer."""
    st.subheader("How alike the regions are", anchor=False)
    others = {"itself": image} | {other.name: other for other in _others(model, image)}
    is_upload = isinstance(image, UploadedImage)
    key = WITH_UPLOAD if is_upload else WITH
    if st.session_state.get(key) not in others:
        st.session_state.pop(key, None)  # of the query before
    beside = "another of yours" if is_upload else "same vehicle"
    name = st.selectbox(
        f"Regions of {image.name} (rows) against those of (columns)",
        others,
        key=key,
        bind=None if is_upload else "query-params",
        format_func=lambda each: "itself" if each == "itself" else f"{each} ({beside})",
    )
    layers = regions.region_cosines_at(model, image, others[name], ratio).cosine[:, 0].cpu()
    panels = {"Overlap of the boxes (IoU)": Matrix(overlap(region_boxes(*size, ratio)))}
    panels |= {f"Cosine, H({layer})": Matrix(values.numpy()) for layer, values in enumerate(layers)}
    by_layer = mean_of_pairs(layers)
    means = ", ".join(f"H({layer}) {mean:.2f}" for layer, mean in enumerate(by_layer))
    what = f"Region overlaps and cosines of {image.name} and {name} at λ = {ratio:.3g}."
    matrices(panels, REGION_NAMES, "region-cosines", f"{what} Mean over different regions: {means}.")
    whose = "of this image" if name == "itself" else "of the two images"
    st.markdown(typeset(smoothing_caption(by_layer, f"Different regions {whose}")))
    st.caption("Means over all pairs of different regions. At 1 the regions are the same to the network.")


def _others(model: OpenedModel, image: VehicleImage) -> Sequence[VehicleImage]:
    """Images whose regions may stand beside this image's: of its vehicle; of an upload, whose vehicle nobody knows, the others."""
    if isinstance(image, UploadedImage):
        return [other for other in uploads_beside() if other != image]
    return same_vehicle(image, model.data.dataset.test)


def _over_lambda(
    model: OpenedModel,
    image: VehicleImage,
    ratio: float,
    graphs: GalleryGraphs | None,
    studies: Mapping[str, StudyCurve],
) -> None:
    """What the whole range of lambda does: to the cosines, to the ranks of this network, and as a study trained it."""
    st.subheader("Over all λ", anchor=False)
    listed, means = regions.smoothness_over_ratios(model, image)
    reached = [each for each in listed if regions.has_ratio(graphs, each)]
    labelled = model.split.is_labelled
    measured = _measure(model, graphs, reached) if reached and labelled else {}
    left, right = st.columns(2)
    with left:
        cosine_curves(listed, means, ratio, image.name)
        st.caption(typeset(ratio_caption(listed, means)))
    with right:
        if measured:
            scores = [each.metrics for each in measured.values()]
            curves = {"Rank-1": [each.rank(1) for each in scores], "mAP": [each.mAP for each in scores]}
            heading = f"{model.title}, λ changed at test time"
            score_curves({model.title: (list(measured), curves)}, ratio, "regions-test-time", heading)
        elif not labelled:
            needs_labels("A curve of rank-1 and mAP over λ")
        elif graphs is None:
            st.info("Rank-1 and mAP of this network over λ appear here once the gallery is ranked at every λ (above).")
    if measured:
        rows = {f"{model.title}, λ = {model.settings.crop_ratio:.3g}, as trained": model.evaluation()}
        if regions.has_ratio(graphs, ratio):
            at = ratio_at_boxes(tuple(measured), *graphs.size, ratio)
            rows[f"λ = {ratio:.3g} at test time{ALIGNED * model.is_aligned}"] = measured[at]
        metrics_table(rows)
    _study(studies, ratio, model.is_aligned)


def _measure(model: OpenedModel, graphs: GalleryGraphs, listed: Sequence[float]) -> dict[float, Evaluation]:
    """Every lambda's evaluation, at once where that is quick; else empty until it is requested."""
    cost = len(model.split.query) * len(model.split.gallery) * model.features().features.shape[1] * len(listed)
    requested = f"regions_measure_{model.hash}_{model.data.hash}"
    if cost > AT_ONCE and not st.session_state.get(requested):
        st.button(
            "Measure Rank-1 and mAP at every λ",
            key="regions_measure",
            icon=":material/monitoring:",
            on_click=st.session_state.update,
            args=({requested: True},),
        )
        return {}

    def measure(progress_callback: Progress) -> dict[float, Evaluation]:
        measured = {}
        for done, ratio in enumerate(listed):
            progress_callback(done, len(listed))
            measured[ratio] = regions.metrics_at(model, graphs, ratio)
        return measured

    return run_with_progress("Ranking all queries at every λ", "regions_metrics", measure)


def _study(studies: Mapping[str, StudyCurve], ratio: float, aligned: bool) -> None:
    """Fig. 4 as a study measured it; of raw features, which is said where the other curves are ``aligned``."""
    if not studies:
        st.caption(
            "No `crop-ratio` study is here, so Fig. 4, for which a network is trained at each λ, cannot be drawn; "
            "`ssrnet study crop-ratio --data DIR --out runs/study` makes one."
        )
        return
    folder = next(iter(studies))
    if len(studies) > 1:
        folder = st.selectbox("Study", studies, key="regions_study", bind="query-params")
    study = studies[folder]
    series = {}
    for test_set in dict.fromkeys(point.test_set for point in study.points):
        points = [point for point in study.points if point.test_set == test_set]
        curves = {"Rank-1": [point.rank_1 / 100 for point in points], "mAP": [point.mAP / 100 for point in points]}
        series[test_set] = ([point.ratio for point in points], curves)
    heading = "Trained anew for each λ (Fig. 4), as measured here"
    score_curves(series, ratio, "regions-study", heading + ", raw features" * aligned)
    left, right = st.columns([4, 1])
    left.caption("  \n".join(study.notes))
    with right.popover("Protocol records", icon=":material/receipt_long:"):
        for record in study.records:
            st.json(record, expanded=False)
