"""A PK batch, one anchor in it with its hardest positive and negative, and the anchor's term of Eq. 6."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from app.widgets.components.image_rows import Figure, ImageRow, Kind, image_rows
from app.widgets.controls import one_of
from app.widgets.export import chart, lay_out
from app.widgets.problems import fragment
from app.widgets.ranking_options import branch_title
from app.workbench import Workbench
from app.workbench.images import image_label, thumbnail
from app.workbench.learning import WHOLE, mined_batch
from ssrnet.data.records import VehicleImage
from ssrnet.explain.batch import MinedBatch, draw_batch
from ssrnet.losses import LossSettings

P, K = 8, 4
"""The paper's batch (Sec. 4.2)."""
ANCHOR = "anchor"
GREEN, RED, ORANGE, GREY = "#16a34a", "#dc2626", "#f97316", "#94a3b8"


@fragment
def hardest_pairs_of_batch(bench: Workbench) -> None:
    """The choice of model, features and batch; its images; the distances of the chosen anchor's hardest pair.

    The models' features must be there already.
    """
    first, third = st.columns([4, 1], vertical_alignment="bottom")
    titles = {title: model.raw.title for title, model in bench.networks.items()}
    model = bench.networks[one_of("Model", titles, "batch_model", default=bench.ssrnet.title, place=first)]
    seed = third.number_input("Batch (seed)", 0, 10_000, 0, key="batch_seed", bind="query-params")
    images = draw_batch(bench.dataset.test, P, K, seed)
    if not images:
        st.info("A batch needs two vehicles with two images each, which the test images do not have.")
        return
    mined = mined_batch(model, images)
    spaces = {name: "All, after the necks" if name == WHOLE else branch_title(name) for name in mined}
    space = one_of("Branch, before its neck", spaces, "batch_branch")
    batch = mined[space]
    anchor = _anchor(batch)
    vehicles = len({image.vehicle_id for image in images})
    _pictures(images, batch, anchor)
    left, right = st.columns([3, 2], gap="medium")
    with right:
        margin = st.slider("Margin α", 0.0, 2.0, LossSettings.margin, 0.05, key="batch_margin", bind="query-params")
    with left:
        distance_bars(batch, anchor, margin, f"hardest_{images[anchor].name}")
    with right:
        terms = batch.pairs.terms(margin)
        st.markdown(term_in_words(batch, anchor, margin))
        st.markdown(
            f"Over the batch: **{int((terms > 0).sum())} of {len(images)}** anchors have a term above 0; their mean, with "
            f"the zeros, is **{terms.mean():.3f}**."
        )
        st.caption(_provenance(bench, vehicles, len(images) // vehicles, space))


def term_in_words(batch: MinedBatch, anchor: int, margin: float) -> str:
    """The anchor's term of Eq. 6 as a sum in LaTeX, and what it asks for."""
    farthest, nearest = (float(side[anchor]) for side in (batch.pairs.farthest, batch.pairs.nearest))
    term = float(batch.pairs.terms(margin)[anchor])
    asks = (
        "the loss pulls the positive closer and pushes the negative away."
        if term > 0
        else "the negative is farther than the positive by more than the margin, so this anchor has no gradient."
    )
    return rf"$({farthest:.3f} - {nearest:.3f} + {margin:.2f})_+ = \mathbf{{{term:.3f}}}$: {asks}"


def distance_bars(batch: MinedBatch, anchor: int, margin: float, name: str, top: float | None = None) -> None:
    """The two distances as bars, the margin on top of the positive's, and what of it reaches past the negative.

    top: the axis's end, for charts that follow each other.
    """
    farthest, nearest = (float(side[anchor]) for side in (batch.pairs.farthest, batch.pairs.nearest))
    term = float(batch.pairs.terms(margin)[anchor])
    rows = ["hardest negative", "hardest positive"]
    figure = go.Figure()
    figure.add_bar(
        y=rows, x=[nearest, farthest], orientation="h", marker_color=[RED, GREEN], showlegend=False, name="distance"
    )
    figure.add_bar(
        y=rows,
        x=[None, margin],
        orientation="h",
        marker={
            "color": "rgba(0,0,0,0)",
            "line": {"color": GREY, "width": 1.5},
            "pattern": {"shape": "/", "fgcolor": GREY},
        },
        name="margin α",
    )
    if term > 0:
        figure.add_vrect(nearest, farthest + margin, fillcolor=ORANGE, opacity=0.25, line_width=0)
        words = {"text": f"term {term:.3f}", "showarrow": False}
        figure.add_annotation(**words, x=1, xref="paper", xanchor="right", y=1.02, yref="paper", yanchor="bottom")
    lay_out(figure, 210, 26, barmode="stack", legend={"orientation": "h", "y": -0.6}, showlegend=True)
    figure.update_xaxes(title="Euclidean distance", range=[0, top or max(nearest, farthest + margin) * 1.05])
    alt = (
        f"Distance {farthest:.3f} to the hardest positive plus the margin {margin:.2f}, against {nearest:.3f} to the "
        f"hardest negative: a term of {term:.3f}."
    )
    chart(figure, name, alt, key=f"bars {name}")


def _anchor(batch: MinedBatch) -> int:
    """The position that the URL names, else that of the largest term."""
    text = st.query_params.get(ANCHOR, "")
    if text.isascii() and text.isdigit() and int(text) < len(batch.labels):
        return int(text)
    return int(batch.pairs.terms(LossSettings.margin).argmax())


def _choose(position: str) -> None:
    st.query_params[ANCHOR] = position


def _pictures(images: Sequence[VehicleImage], batch: MinedBatch, anchor: int) -> None:
    """A row of pictures a vehicle; a click makes a picture the anchor."""
    rows = {}
    for position, image in enumerate(images):
        mark, kind = role(batch, anchor, position)
        caption = f" {batch.distance[anchor, position]:.3f}" if position != anchor else ""
        alt = f"{mark or 'image'}: vehicle {image.vehicle_id}, {image.name}"
        figure = Figure(thumbnail(image), alt, caption, kind, str(position), mark)
        rows.setdefault(image.vehicle_id, []).append(figure)
    drawn = [ImageRow(f"Vehicle {vehicle}", "", figures) for vehicle, figures in rows.items()]
    image_rows(drawn, "batch", "batch_images", str(anchor), _choose, tooltip="Make this image the anchor")
    st.caption(
        ":blue[■] anchor  :green[■] its hardest positive  :red[■] its hardest negative. Numbers: distance to the anchor, "
        f"{image_label(images[anchor])}. Click a picture, or reach it with Tab, the arrows and Enter, to make it the anchor."
    )


def role(batch: MinedBatch, anchor: int, position: int) -> tuple[str, Kind]:
    """What an image of the batch is to the anchor: its mark, and its frame."""
    if position == anchor:
        return "anchor", "query"
    if position == int(batch.pairs.positive[anchor]):
        return "hardest +", "hit"
    if position == int(batch.pairs.negative[anchor]):
        return "hardest −", "error"
    return "", "plain"


def _provenance(bench: Workbench, vehicles: int, images: int, space: str) -> str:
    """Which features these are, and what differs from a step of training."""
    which = (
        "The embedding that ranking compares, all branches after their necks: no loss acts on it, and it is here to compare."
        if space == WHOLE
        else "Features before the neck, where Eq. 6 acts, computed back from the stored ones after it."
    )
    raw = " They are not aligned by camera: training knows no alignment." * bench.is_aligned
    return (
        f"{vehicles} vehicles × {images} test images, drawn by training's own sampler. {which}{raw} In training, images are "
        "also augmented, and batch norms take the batch's own statistics."
    )
