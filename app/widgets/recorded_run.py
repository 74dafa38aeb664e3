"""The recorded training run, epoch by epoch: maps, nodes, hardest pair, first ranks, Eqs. 5 to 7, learning rate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app.widgets.components.image_rows import Figure, ImageRow, image_rows
from app.widgets.controls import one_of
from app.widgets.export import COLOURS, chart, lay_out
from app.widgets.hardest_pairs import GREEN, GREY, RED, distance_bars, role, term_in_words
from app.widgets.matrices import Matrix, matrices
from app.widgets.problems import fragment
from app.widgets.ranking_options import branch_title
from app.widgets.symbols import typeset
from app.workbench.learning import RECORD, RecordedRun, recorded_run
from ssrnet.explain.relations import mean_of_pairs
from ssrnet.losses import LossSettings
from ssrnet.studies.learning.record import LearningRecord, eq_7
from ssrnet.training.schedule import learning_rate_factor
from ssrnet.training.settings import OptimiserSettings

PICTURE = "recorded_picture"
RANKS = 4
EQUATIONS = (
    r"\mathcal{L}_{ce} = -\frac{1}{B} \sum_b \sum_m y_{bm} \log p_{bm} \quad \text{(Eq. 5)}",
    r"\mathcal{L}_{total} = \sum_{branches} \mathcal{L}_{ce} + \beta \sum_{branches} \mathcal{L}_{triHard} \quad \text{(Eq. 7)}",
)


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
    state = st.slider(
        "Epoch (0: before training)",
        0,
        last,
        last,
        key="recorded_epoch",
        bind="query-params",
        help="Arrow keys move it.",
    )
    branches = {branch: branch_title(branch) for branch in record.branches}
    number = _number(record)
    anchor = int(record.looked_at[number])
    with st.container(key="recorded_inside"):
        _inside(run, state, number)
    branch = one_of("Branch of the losses", branches, "recorded_branch")
    with st.container(key="recorded_pair"):
        _first_ranks(run, state, branch, anchor)
        left, right = st.columns(2, gap="medium")
        with left:
            margin = float(record.about["margin"])
            top = max(_reach(record, each, branch, anchor) for each in range(record.states))
            distance_bars(record.mined(state, branch), anchor, margin, "recorded_hardest", 1.05 * top)
            st.markdown(term_in_words(record.mined(state, branch), anchor, margin))
        with right:
            _plane(record, state, anchor)
    for equation in EQUATIONS:
        st.latex(equation)
    left, right = st.columns(2, gap="medium")
    with left:
        _classifier(record, state, branch, anchor)
    with right:
        _balance(record, state)
    _curves(record, state)


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
    figures = []
    for each, position in enumerate(record.looked_at.tolist()):
        label = record.images[position]
        values = record.M_s[state, each]
        caption = f"{label}\nM_s {values.min():.3f} to {values.max():.3f}"
        figures.append(Figure(run.map_uri(state, each), f"M_s at epoch {state} over {label}", caption, picks=str(each)))
    row = ImageRow("M_s over four images", "click one to follow it", figures)
    image_rows([row], "ranks", "recorded_images", str(number), _choose, tooltip="Follow this image")
    st.caption("Each map is stretched to its own range, which stands below it.")
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


def _classifier(record: LearningRecord, state: int, branch: str, anchor: int) -> None:
    """The classifier's probabilities for the followed image, and its part of Eq. 5."""
    p = record.probabilities(state, branch, anchor)
    true = int(record.labels[anchor])
    colours = [GREEN if label == true else RED if label == int(p.argmax()) else GREY for label in range(len(p))]
    figure = go.Figure(go.Bar(x=list(record.vehicles), y=p.tolist(), marker_color=colours))
    lay_out(figure, 260, 36, f"p of each vehicle, {branch_title(branch).lower()}")
    figure.update_xaxes(type="category", tickangle=60)
    figure.update_yaxes(range=[0, 1])
    alt = f"The classifier gives the true vehicle {record.vehicles[true]} a probability of {p[true]:.3f} at epoch {state}."
    chart(figure, "recorded_classifier", alt, key="recorded classifier")
    st.markdown(rf"$-\log p = -\log {p[true]:.4f} = {-float(p[true].log()):.3f}$ for the true vehicle, in green.")


def _balance(record: LearningRecord, state: int) -> None:
    """Eq. 7 on the batch: cross-entropy by branch, and beta times triplet by branch, as stacked bars."""
    beta = st.slider("β", 0.0, 1.5, LossSettings.beta, 0.1, key="recorded_beta", bind="query-params")
    terms = record.terms(state, float(record.about["margin"]))
    figure = go.Figure()
    for branch, colour in zip(record.branches, COLOURS):
        values = [terms[f"cross_entropy/{branch}"], beta * terms[f"triplet/{branch}"]]
        figure.add_bar(
            y=["cross-entropy", "β · triplet"],
            x=values,
            orientation="h",
            name=branch_title(branch),
            marker_color=colour,
        )
    lay_out(figure, 200, 36, "Eq. 7 on this batch", barmode="stack", legend={"orientation": "h", "y": -0.3})
    figure.update_yaxes(autorange="reversed")
    ce, triplet = eq_7(terms, 0), eq_7(terms, 1) - eq_7(terms, 0)
    total = eq_7(terms, beta)
    words = f"{ce:.3f} + {beta:.1f} · {triplet:.3f} = {total:.3f}"
    chart(figure, "recorded_balance", f"The total loss at epoch {state}: {words}.", key="recorded balance")
    share = f", of which the triplet terms are {beta * triplet / total:.0%}" if total > 0 else ""
    st.markdown(
        f"$\\mathcal{{L}}_{{total}}$ = {words}{share}. The run was trained with β = {record.about['beta']:g}; another β here weighs "
        "its terms anew, and trains nothing."
    )


def _curves(record: LearningRecord, state: int) -> None:
    """The loss as the training saw it, and the learning rate of the run beside that of Sec. 4.2."""
    left, right = st.columns(2, gap="medium")
    epochs = [line["epoch"] for line in record.log]
    figure = go.Figure()
    for name, title in {"cross_entropy": "cross-entropy", "triplet": "triplet"}.items():
        sums = [sum(line[f"{name}/{branch}"] for branch in record.branches) for line in record.log]
        figure.add_scatter(x=epochs, y=sums, name=f"{title}, three branches" if len(record.branches) == 3 else title)
    with left:
        _over_epochs(figure, state, record.states - 1, "Loss terms in training", "recorded_losses")
    figure = go.Figure()
    optimiser, total = OptimiserSettings(**record.about["optimiser"]), int(record.about["epochs"])
    x = np.linspace(0, total, 10 * total + 1)
    rates = [optimiser.learning_rate * learning_rate_factor(epoch, total, optimiser) for epoch in x]
    figure.add_scatter(x=x, y=rates, name="this run", line={"color": COLOURS[0]})
    figure.update_yaxes(tickformat=".0~e")
    with right:
        _over_epochs(figure, state, total, "Learning rate", "recorded_rate")
        st.caption(rate_in_words(record.about["optimiser"]))


def rate_in_words(optimiser: Mapping[str, object]) -> str:
    """The run's schedule beside the paper's."""
    paper = OptimiserSettings()
    return (
        f"Sec. 4.2: warm-up over {paper.warmup_epochs} epochs, cosine from epoch {paper.decay_epoch} on, at most "
        f"{paper.learning_rate:g} with {paper.name.upper()}. This run: warm-up over {optimiser['warmup_epochs']}, cosine from "
        f"{optimiser['decay_epoch']}, at most {optimiser['learning_rate']:g} with {str(optimiser['name']).replace('adamw', 'AdamW')}."
    )


def _over_epochs(figure: go.Figure, state: int, last: int, title: str, name: str) -> None:
    figure.add_vline(state, line={"color": GREY, "dash": "dot"})
    lay_out(figure, 260, 36, title, legend={"orientation": "h", "y": -0.4}, showlegend=len(figure.data) > 1)
    figure.update_xaxes(title="epoch", range=[0, last])
    figure.update_yaxes(rangemode="tozero")
    chart(figure, name, f"{title} over the epochs; the chosen epoch is {state}", key=name)
