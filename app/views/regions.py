"""Regions: the crop ratio lambda and what it does (paper Eq. 2, Fig. 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from app.widgets.explain import explain
from app.widgets.features import ensure_features
from app.widgets.fragment import fragment
from app.widgets.image_picker import image_picker
from app.widgets.lambda_curves import cosine_curves, score_curves
from app.widgets.matrices import Matrix, matrices
from app.widgets.prints import pictures_export
from app.widgets.progress import run_with_progress
from app.widgets.rank_list import RankRow, legend, rank_list, ranks_export
from app.widgets.record import metrics_table
from app.widgets.region_boxes import crop_ratios, region_boxes_slider
from app.widgets.region_prints import printed_regions
from app.widgets.source import Selection
from app.workbench import Report, Services
from app.workbench import regions as kept
from app.workbench.runs import StudyCurve, study_curves
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.explain.gallery_graphs import GalleryGraphs
from ssrnet.explain.graph import edit_trace, no_graph
from ssrnet.explain.overlaps import overlap
from ssrnet.explain.relations import region_cosines, smoothness
from ssrnet.model.regions import REGION_NAMES, region_boxes
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.training.checkpoint import StoredCheckpoint

TOP_K = 5
LAMBDA, SLIDER, WITH = "regions_lambda", "regions_slider", "regions_with"
AT_ONCE = 5e10
"""Multiply-adds of ranking the whole split at every lambda that need no asking: twice the demo's."""
EQUATIONS = (
    r"H_L = \lfloor \lambda \times H \rfloor, \qquad W_L = \lfloor \lambda \times W \rfloor \tag{Eq. 2}",
    r"\mathrm{IoU}(a, b) = \frac{|a \cap b|}{|a \cup b|}",
    r"\cos(a, b) = \frac{h_a \cdot h_b}{\lVert h_a \rVert \, \lVert h_b \rVert}",
)
LOOK_FOR = r"""
Each region is cut out of $F_{Attn}$, $H \times W$ cells, and pooled to one node of the graph. The paper wants them to
overlap, $\lambda > \frac{1}{2}$, so that a part that is shifted by pose still lies whole in one of them, and takes
$\lambda = \frac{2}{3}$.

- **Small λ**: the regions see little, cells between them belong to none, and the cosines between regions are low.
- **Large λ**: the regions become one and the same. Their cosines near 1 in H(0), and with each layer, which takes up
  the neighbours, still more: the paper's over-smoothing (Sec. 4.3).
- **The ranks at another λ** come from a network trained at one λ and asked at another. The paper's Fig. 4 trains a
  network anew for each λ, so the two curves answer different questions.

Only $\lfloor \lambda H \rfloor$ counts: several λ make the same boxes, and the same ranks. The cosines lie in [0, 1],
since every region's row comes from a ReLU.
"""


def render(services: Services, selection: Selection) -> None:
    """A query, the slider with boxes and crops, the top-5, cosines, and curves over lambda."""
    found = _with_graph(selection)
    split = kept.split(selection.opened, selection.protocol)
    if found is None:
        settings = selection.ssrnet.info.model
        st.info(no_graph(settings.title, settings.has_stripes))
    elif not split.query:
        st.info("The protocol leaves no query to look at; choose another protocol or another data set.")
    else:
        image = image_picker("query", split.query, services.thumbnail)
        _explore(services, selection, *found, image, study_curves())
    explain(EQUATIONS, LOOK_FOR, (region_boxes, overlap, region_cosines, smoothness, edit_trace, GalleryGraphs))


@fragment
def _explore(
    services: Services,
    selection: Selection,
    title: str,
    checkpoint: StoredCheckpoint,
    image: VehicleImage,
    studies: Mapping[str, StudyCurve],
) -> None:
    """All that follows lambda, drawn anew by itself when the slider is let go."""
    whole = kept.trace(services, checkpoint, image)
    size, own = tuple(whole.F_attn.shape[2:]), checkpoint.info.model.crop_ratio
    listed = crop_ratios(*size, own)
    ratio = _chosen(listed, own)
    region_boxes_slider(SLIDER, services.thumbnail(image, 320), f"Query {image.name}", size, listed, ratio, own)
    pictures_export(
        f"regions_lambda_{ratio:.3f}_{image.name}",
        lambda: printed_regions(read_image(image.path), size, ratio),
        key="regions_boxes",
    )
    if listed[0] > kept.LEAST_RATIO + 1e-9:
        st.caption(f"The feature map has {size[0]} × {size[1]} cells, so λ starts where a region has one.")
    graphs = _ranks(services, selection, title, checkpoint, image, ratio)
    _matrices(services, selection, checkpoint, image, ratio, size)
    _over_lambda(services, selection, title, checkpoint, image, ratio, graphs, studies)


def _with_graph(selection: Selection) -> tuple[str, StoredCheckpoint] | None:
    """The model whose regions are shown: SSR-Net, else the other one, by its row title."""
    for title, checkpoint in reversed(selection.models.items()):
        if checkpoint.info.model.has_graph:
            return title, checkpoint
    return None


def _chosen(listed: Sequence[float], own: float) -> float:
    """Lambda where the slider was let go, else as the URL says, else the network's own; the URL names it then."""
    asked = st.session_state.get(SLIDER, {}).get("ratio")
    for value in (asked, st.query_params.get(LAMBDA), st.session_state.get(f"{LAMBDA}_kept")):
        try:
            wanted = float(value)
        except (TypeError, ValueError):
            continue
        break
    else:
        wanted = own
    ratio = min(listed, key=lambda each: abs(each - wanted))
    st.session_state[f"{LAMBDA}_kept"] = ratio
    if st.query_params.get(LAMBDA) != f"{ratio:.3f}":
        st.query_params[LAMBDA] = f"{ratio:.3f}"
    return ratio


def _ranks(
    services: Services,
    selection: Selection,
    title: str,
    checkpoint: StoredCheckpoint,
    image: VehicleImage,
    ratio: float,
) -> GalleryGraphs | None:
    """The query's top-5 as trained and at ``ratio``; the gallery's graphs, where they are there or were asked for."""
    opened, protocol = selection.opened, selection.protocol
    model, own = services.model(checkpoint), checkpoint.info.model.crop_ratio
    size = tuple(kept.trace(services, checkpoint, image).F_attn.shape[2:])
    asked = f"regions_asked_{checkpoint.hash}_{opened.hash}"
    st.subheader(f"Top-{TOP_K} at λ = {ratio:.3g}", anchor=False)
    graphs = kept.stored_graphs(services, checkpoint, opened)
    if graphs is None and st.session_state.get(asked):
        graphs = run_with_progress(
            "Cutting the gallery's regions at every λ",
            "regions_graphs",
            lambda report: kept.gallery_graphs(services, checkpoint, opened, report),
        )
    if graphs is None:
        words, button = st.columns([3, 1], vertical_alignment="center")
        words.caption(
            f"The gallery is kept as the network was trained, at λ = {own:.3g}. To rank it at every other λ as well, "
            "each of its images goes through the network once; that is kept for the next time."
        )
        button.button(
            "Rank the gallery at this λ",
            icon=":material/format_list_numbered:",
            width="stretch",
            key="regions_rank",
            on_click=lambda: st.session_state.__setitem__(asked, True),
        )
        if services.stored_features(checkpoint, opened) is None:
            return None
    else:
        ensure_features(services, selection)
    split = kept.split(opened, protocol)
    query = next(i for i, each in enumerate(split.query) if each.name == image.name)
    trained = kept.rank_as_trained(services, checkpoint, opened, protocol, query, TOP_K)
    rows = [RankRow(f"λ = {own:.3g}, as trained", trained.hits, _note(trained))]
    sentences: tuple[str, ...] = ()
    if not kept.is_own(model, size, ratio):
        changed = kept.rank_at(services, checkpoint, opened, protocol, query, ratio, TOP_K, graphs)
        where = "query and gallery" if graphs else "query alone"
        rows.append(RankRow(f"λ = {ratio:.3g} at test time, {where}", changed.hits, _note(changed)))
        sentences = changed.label.sentences
    shown = {image, *(split.gallery[hit.index] for row in rows for hit in row.hits)}
    rank_list(image, rows, split.gallery, {one.name: services.thumbnail(one) for one in shown})
    legend()
    ranks_export(f"ranks_lambda_{ratio:.3f}_{image.name}", image, rows, split.gallery)
    if sentences:
        st.caption(" ".join(sentences))
    else:
        st.caption(f"These are the boxes that {title} was trained with; move λ to see what other regions would list.")
    return graphs


def _note(ranked: kept.RankedAt) -> str:
    if ranked.first_hit == 0:
        return "the gallery has no image that counts as a match"
    return f"first hit at rank {ranked.first_hit}, AP {ranked.average_precision:.3f}"


def _matrices(
    services: Services,
    selection: Selection,
    checkpoint: StoredCheckpoint,
    image: VehicleImage,
    ratio: float,
    size: tuple[int, int],
) -> None:
    """Overlap of the boxes beside the cosines of what they hold, layer by layer."""
    st.subheader("How alike the regions are", anchor=False)
    others = {"itself": image} | {other.name: other for other in _same_vehicle(image, selection.opened.dataset.test)}
    if st.session_state.get(WITH) not in others:
        st.session_state.pop(WITH, None)  # of the query before
    name = st.selectbox(
        f"Regions of {image.name} (rows) against those of (columns)",
        others,
        key=WITH,
        bind="query-params",
        format_func=lambda each: "itself" if each == "itself" else f"{each} (same vehicle)",
    )
    layers = kept.cosines(services, checkpoint, image, others[name], ratio).cosine[:, 0].numpy(force=True)
    panels = {"Overlap of the boxes (IoU)": Matrix(overlap(region_boxes(*size, ratio)))}
    panels |= {f"Cosine, H({layer})": Matrix(values) for layer, values in enumerate(layers)}
    different = ~np.eye(len(REGION_NAMES), dtype=bool)
    means = ", ".join(f"H({layer}) {values[different].mean():.2f}" for layer, values in enumerate(layers))
    what = f"Region overlaps and cosines of {image.name} and {name} at λ = {ratio:.3g}."
    matrices(panels, REGION_NAMES, "region-cosines", f"{what} Mean over different regions: {means}.", "region-cosines")
    st.caption(f"Mean cosine over pairs of different regions: {means}. 1 means that they all say the same.")


def _same_vehicle(image: VehicleImage, images: Sequence[VehicleImage]) -> list[VehicleImage]:
    """Other images of the vehicle, other cameras first."""
    others = [other for other in images if other.vehicle_id == image.vehicle_id and other.name != image.name]
    return sorted(others, key=lambda other: (other.camera_id == image.camera_id, other.name))


def _over_lambda(
    services: Services,
    selection: Selection,
    title: str,
    checkpoint: StoredCheckpoint,
    image: VehicleImage,
    ratio: float,
    graphs: GalleryGraphs | None,
    studies: Mapping[str, StudyCurve],
) -> None:
    """What the whole range of lambda does: to the cosines, to the ranks of this network, and as a study trained it."""
    st.subheader("Over all λ", anchor=False)
    listed, means = kept.smoothing(services, checkpoint, image)
    measured = _measure(services, selection, checkpoint, graphs, listed)
    left, right = st.columns(2)
    with left:
        cosine_curves(listed, means, ratio, image.name)
    with right:
        if measured:
            scores = [each.metrics for each in measured.values()]
            curves = {"Rank-1": [each.rank(1) for each in scores], "mAP": [each.mAP for each in scores]}
            heading = f"{title}, λ changed at test time"
            score_curves({title: (list(measured), curves)}, ratio, "regions-test-time", heading)
        elif graphs is None:
            st.info("Rank-1 and mAP of this network over λ appear here once the gallery is ranked at every λ (above).")
    if measured:
        at = min(measured, key=lambda each: (each > ratio + 1e-9, abs(each - ratio)))
        own = services.evaluation(checkpoint, selection.opened, selection.protocol)
        metrics_table(
            {
                f"{title}, λ = {checkpoint.info.model.crop_ratio:.3g}, as trained": own,
                f"λ = {ratio:.3g} at test time": measured[at],
            }
        )
    _study(studies, ratio)


def _measure(
    services: Services,
    selection: Selection,
    checkpoint: StoredCheckpoint,
    graphs: GalleryGraphs | None,
    listed: Sequence[float],
) -> dict[float, Evaluation]:
    """Every lambda's evaluation, without asking where that is quick; empty until it is asked for."""
    if graphs is None:
        return {}
    opened, protocol = selection.opened, selection.protocol
    features, split = services.features(checkpoint, opened), kept.split(opened, protocol)
    cost = len(split.query) * len(split.gallery) * features.features.shape[1] * len(listed)
    asked = f"regions_measure_{checkpoint.hash}_{opened.hash}"
    if cost > AT_ONCE and not st.session_state.get(asked):
        st.button(
            "Measure Rank-1 and mAP at every λ",
            key="regions_measure",
            icon=":material/monitoring:",
            on_click=lambda: st.session_state.__setitem__(asked, True),
        )
        return {}

    def measure(report: Report) -> dict[float, Evaluation]:
        measured = {}
        for done, ratio in enumerate(listed):
            report(done, len(listed))
            measured[ratio] = kept.metrics_at(checkpoint, opened, protocol, features, graphs, ratio)
        return measured

    return run_with_progress("Ranking all queries at every λ", "regions_metrics", measure)


def _study(studies: Mapping[str, StudyCurve], ratio: float) -> None:
    """Fig. 4 as a study measured it."""
    if not studies:
        st.caption(
            "No `crop-ratio` study is here, so Fig. 4, whose networks are trained anew for each λ, cannot be drawn; "
            "`ssrnet study crop-ratio --data DIR --out runs/study` makes one."
        )
        return
    folder = next(iter(studies))
    if len(studies) > 1:
        folder = st.selectbox("Study", studies, key="regions_study", bind="query-params")
    study = studies[folder]
    series = {}
    for test_set in dict.fromkeys(point.test_set for point in study.points):
        own = [point for point in study.points if point.test_set == test_set]
        curves = {"Rank-1": [point.rank_1 / 100 for point in own], "mAP": [point.mAP / 100 for point in own]}
        series[test_set] = ([point.ratio for point in own], curves)
    score_curves(series, ratio, "regions-study", "Trained anew for each λ (Fig. 4), as measured here")
    left, right = st.columns([4, 1])
    left.caption("  \n".join(study.notes))
    with right.popover("Protocol records", icon=":material/receipt_long:"):
        for record in study.records:
            st.json(record, expanded=False)
