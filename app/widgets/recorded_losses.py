"""Losses of the recorded run: cross-entropy, the balance of Eq. 7 at any beta, and the curves of its training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app.widgets.export import COLOURS, chart, lay_out
from app.widgets.hardest_pairs import GREEN, GREY, RED
from app.widgets.ranking_options import branch_title
from ssrnet.losses import LossSettings
from ssrnet.studies.learning.record import LearningRecord, eq_7
from ssrnet.training.schedule import learning_rate_factor
from ssrnet.training.settings import OptimiserSettings

EQUATIONS = (
    r"\mathcal{L}_{ce} = -\frac{1}{B} \sum_b \sum_m y_{bm} \log p_{bm} \quad (5)",
    r"\mathcal{L}_{total} = \sum_{branches} \mathcal{L}_{ce} + \beta \sum_{branches} \mathcal{L}_{triHard} \quad (7)",
)


def classifier(record: LearningRecord, state: int, branch: str, anchor: int) -> None:
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


def balance(record: LearningRecord, state: int) -> None:
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


def curves(record: LearningRecord, state: int) -> None:
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
