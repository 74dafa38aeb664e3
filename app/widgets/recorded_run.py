"""The recorded training run, epoch by epoch: maps, nodes, hardest pair and first ranks; the frame of its losses."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from app.widgets.components.image_rows import Figure, ImageRow, image_rows
from app.widgets.controls import one_of
from app.widgets.export import COLOURS, chart, lay_out
from app.widgets.hardest_pairs import GREY, distance_bars, role, term_in_words
from app.widgets.map_colours import STYLE as BAR_STYLE
from app.widgets.map_colours import bar_html, map_colours_button
from app.widgets.matrices import Matrix, matrices
from app.widgets.prints import Cell, Row, from_uri, pictures_export
from app.widgets.problems import fragment
from app.widgets.ranking_options import branch_title
from app.widgets.recorded_losses import EQUATIONS, balance, classifier, curves
from app.widgets.symbols import typeset
from app.workbench.learning import RECORD, SHOW, SHOWN, RecordedRun, recorded_run
from ssrnet.explain.relations import mean_of_pairs
from ssrnet.studies.learning.record import LearningRecord

PICTURE = "recorded_picture"
RANKS = 4


@fragment
def recorded_epochs() -> None:
    """The whole section, redrawn by itself when the epoch, the image or beta changes."""
    run = recorded_run()
    if run is None:
        st.info(
            f"No recorded run is in `{RECORD}`; `ssrnet study learning --data DIR --publish assets` makes one in minutes."
        )
        return
    record = run.record
    with st.container(key="recorded_source"):
        st.caption(_provenance(record))
    last = record.states - 1
    epoch = "Epoch (0: before training)"
    state = st.slider(epoch, 0, last, last, key="recorded_epoch", bind="query-params", help="Arrow keys move it.")
    if SHOW not in st.session_state and SHOW not in st.query_params:
        st.session_state[SHOW] = _shown_by_link()
    shown = one_of("What of it", list(SHOWN.values()), SHOW, label_visibility="collapsed")
    number = _number(record)
    anchor = int(record.looked_at[number])
    if shown == SHOWN["inside"]:
        with st.container(key="recorded_inside"):
            _inside(run, state, number)
    elif shown == SHOWN["curves"]:
        curves(record, state)
    else:
        branches = {branch: branch_title(branch) for branch in record.branches}
        branch = one_of("Branch of the losses", branches, "recorded_branch")
        ranks = shown == SHOWN["ranks"]
        with st.container(key="recorded_ranks" if ranks else "recorded_losses"):
            (_pair_and_ranks if ranks else _losses)(run, state, branch, anchor)


def _shown_by_link() -> str:
    """What to show for a link that does not say it, from when everything stood on one page."""
    if "recorded_beta" in st.query_params:
        return SHOWN["losses"]
    return SHOWN["ranks" if "recorded_branch" in st.query_params else "inside"]


def _provenance(record: LearningRecord) -> str:
    about = record.about
    return (
        f"A recorded run of its own, **not the loaded pair**, whose checkpoints keep no classifier: {about['network']}, from "
        f"random weights, {len(record.vehicles)} vehicles with {about['training_images']} images at {about['image_size']} px, "
        f"{record.states - 1} epochs. The batch below is of its training images, so first ranks show how the losses work, and not "
        "how well an unseen vehicle is found."
    )


def _number(record: LearningRecord) -> int:
    """Which of the images looked at is chosen."""
    text = st.query_params.get(PICTURE, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) < len(record.looked_at) else 0


def _choose(number: str) -> None:
    st.query_params[PICTURE] = number


def _inside(run: RecordedRun, state: int, number: int) -> None:
    """M_s over each image looked at, and the chosen one's cosines between nodes."""
    record = run.record
    row, tools = st.container(), st.container(horizontal=True, vertical_alignment="center")
    with tools:
        colours = map_colours_button("all maps of the run, at every epoch")
    figures, cells = [], []
    for each, position in enumerate(record.looked_at.tolist()):
        label = record.images[position]
        bar = colours.bar(run.scale() if colours.same_scale else run.scale(state, each))
        uri = run.map_uri(state, each, bar.scale, colours.name)
        alt = f"M_s at epoch {state} over {label}"
        figures.append(Figure(uri, alt, label, picks=str(each), bar=BAR_STYLE + bar_html(bar)))
        cells.append(Cell(from_uri(uri), label, bar=bar))
    with row:
        drawn = ImageRow("Spatial attention over four images", "click one to follow it", figures)
        image_rows([drawn], "ranks", "recorded_images", str(number), _choose, tooltip="Follow this image")
    with tools:
        pictures_export("recorded-maps", lambda: [Row(f"M_s at epoch {state}", cells)], key="recorded_maps")
    layers = record.node_cosine[state, :, number]
    means = ", ".join(f"H({layer}) {mean:.2f}" for layer, mean in enumerate(mean_of_pairs(layers.float())))
    panels = {f"Cosine, H({layer})": Matrix(values.numpy()) for layer, values in enumerate(layers)}
    alt = f"Cosines between the nodes of {record.images[record.looked_at[number]]} at epoch {state}. Means: {means}."
    matrices(panels, record.nodes, "recorded-nodes", alt)
    st.caption(typeset(f"Mean cosine over pairs of different nodes of the followed image: {means}."))


def _first_ranks(run: RecordedRun, state: int, branch: str, anchor: int) -> None:
    """The anchor, its hardest pair, and what the embedding ranks first in the batch."""
    record = run.record
    batch = record.mined(state, branch)
    hardest = [anchor, int(batch.pairs.positive[anchor]), int(batch.pairs.negative[anchor])]
    figures = []
    for position in hardest:
        mark, kind = role(batch, anchor, position)
        caption = "" if position == anchor else f" {batch.distance[anchor, position]:.3f}"
        alt = f"{mark}: {record.images[position]}"
        figures.append(Figure(run.uri(position), alt, f"{caption}\n{record.images[position]}", kind, mark=mark))
    listed = []
    for rank, (position, cosine) in enumerate(record.first_ranks(state, anchor, RANKS), 1):
        same = bool(record.labels[position] == record.labels[anchor])
        mark = f"{rank} {'✓' if same else '✗'}"
        alt = f"rank {rank}, {'same' if same else 'another'} vehicle: {record.images[position]}"
        kind = "hit" if same else "error"
        listed.append(Figure(run.uri(position), alt, f" {cosine:.3f}\n{record.images[position]}", kind, mark=mark))
    pair = f"{branch_title(branch).lower()} branch before its neck, with distances"
    rows = [
        ImageRow("Hardest pair in the batch", pair, figures),
        ImageRow("First ranks in the batch", "by cosine", listed),
    ]
    image_rows(rows, "ranks")


def _reach(record: LearningRecord, state: int, branch: str, anchor: int) -> float:
    pairs = record.mined(state, branch).pairs
    return max(float(pairs.nearest[anchor]), float(pairs.farthest[anchor]) + float(record.about["margin"]))


def _plane(record: LearningRecord, state: int, anchor: int) -> None:
    """Every embedding of the batch as a point; axes hold still over the epochs."""
    figure = go.Figure()
    for order, label in enumerate(dict.fromkeys(record.labels.tolist())):
        rows = (record.labels == label).numpy()
        x, y = record.plane[state, rows].T.tolist()
        marker = {"size": 10, "color": COLOURS[order % len(COLOURS)]}
        figure.add_scatter(x=x, y=y, mode="markers", name=record.vehicles[label], marker=marker)
    x, y = record.plane[state, anchor].tolist()
    ring = {"size": 18, "symbol": "circle-open", "color": GREY, "line": {"width": 2}}
    figure.add_scatter(x=[x], y=[y], mode="markers", name="followed image", marker=ring)
    lay_out(figure, 420, 36, "Embeddings of the batch", legend={"orientation": "h", "y": -0.12})
    reach = 1.1 * float(record.plane.abs().max())
    figure.update_xaxes(range=[-reach, reach], showticklabels=False)
    figure.update_yaxes(range=[-reach, reach], showticklabels=False)
    chart(figure, "recorded_plane", f"The batch's embeddings at epoch {state} in a plane", key="recorded plane")
    st.caption(
        "Embeddings of unit length, on the two principal axes of the last epoch's; the axes are the same at every epoch."
    )


def _pair_and_ranks(run: RecordedRun, state: int, branch: str, anchor: int) -> None:
    """The followed image among the batch: by its hardest pair, its first ranks, and its place in the plane."""
    record = run.record
    _first_ranks(run, state, branch, anchor)
    left, right = st.columns(2, gap="medium")
    with left:
        margin = float(record.about["margin"])
        top = max(_reach(record, each, branch, anchor) for each in range(record.states))
        distance_bars(record.mined(state, branch), anchor, margin, "recorded_hardest", 1.05 * top)
        st.markdown(term_in_words(record.mined(state, branch), anchor, margin))
    with right:
        _plane(record, state, anchor)


def _losses(run: RecordedRun, state: int, branch: str, anchor: int) -> None:
    """Eqs. 5 and 7 at the epoch."""
    record = run.record
    left, right = st.columns(2, gap="medium")
    with left:
        st.latex(EQUATIONS[0])
        classifier(record, state, branch, anchor)
    with right:
        st.latex(EQUATIONS[1])
        balance(record, state)
