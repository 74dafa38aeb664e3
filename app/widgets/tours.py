"""The guided tours: which pages each leads through, with what in their URLs, and what to look for on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.widgets.components.image_picker import chosen_image
from app.widgets.components.network_diagram import ratio_in_words
from app.widgets.page import as_page, linked
from app.workbench import Workbench
from app.workbench.failures import examples, failures
from ssrnet.data.records import VehicleImage


@dataclass(frozen=True)
class Step:
    """``params`` go into the URL of the page ``view``; ``shown``: CSS of the part that a lecture's slide shows of it."""

    view: str
    label: str
    look_for: str
    params: Mapping[str, str] = field(default_factory=dict)
    shown: str = ""


@dataclass(frozen=True)
class Tour:
    """``intro`` says what the tour is about, or why it has no steps."""

    title: str
    intro: str
    steps: Sequence[Step] = ()


def step_link(name: str, tour: Tour, number: int, label: str, icon: str, **options: str) -> DeltaGenerator:
    """A link to step ``number``, from 1, of the tour that the URL calls ``name``; ``options`` of ``st.page_link``."""
    step = tour.steps[number - 1]
    params = linked(**step.params, tour=name, step=str(number))
    return st.page_link(as_page(step.view), label=label, icon=icon, query_params=params, **options)


def opened_step(view: str, bench: Workbench) -> tuple[str, Tour, int] | None:
    """The tour's name, the tour and the step, from 1, that the URL names; None where this page has no such step."""
    name, number = st.query_params.get("tour"), st.query_params.get("step", "")
    if name not in TOURS or not number.isdecimal():
        return None
    tour = TOURS[name](bench)
    if not 1 <= int(number) <= len(tour.steps) or tour.steps[int(number) - 1].view != view:
        return None
    return name, tour, int(number)


def _regions_tour(bench: Workbench) -> Tour:
    model, query = bench.ssrnet.settings, chosen_image("query", bench.dataset.test)
    if not model.has_graph:
        return Tour("Five regions", f"{model.title} has no graph of five regions, so there is nothing to tour.")
    at = {"query": query.name}
    warm = "The paper cuts at the corners and in the middle because its maps are warm there (Fig. 3). Are these?"
    cuts = (
        (
            model.crop_ratio,
            "Its crops as trained",
            "The boxes overlap, so that a lamp between two lies whole in one of them.",
        ),
        (1 / 8, "Small crops", "Each sees a few cells of the map; most cells belong to none."),
        (1, "Everything", "Five times the same crop: all cosines are 1, and the graph has nothing to relate."),
    )
    return Tour(
        "Five regions",
        f"What the relation branch cuts out of {query.name}, the current query, and why as large as it does.",
        [Step("attention", "Where it looks", warm, at, ".sheet")]
        + [
            Step(
                "regions",
                f"{label}, λ = {ratio_in_words(ratio)}",
                look_for,
                at | {"regions_lambda": f"{ratio:.3f}"},
                ".st-key-regions_slider",
            )
            for ratio, label, look_for in cuts
        ],
    )


def _token_tour(bench: Workbench) -> Tour:
    model = bench.ssrnet.settings
    if not (model.has_graph and model.token_node):
        return Tour("The token", f"{model.title} has no graph of five regions, so there is nothing to tour.")
    gain, _ = _examples(bench)
    image, nodes = gain or chosen_image("query", bench.dataset.test), "seven" if model.global_node else "six"
    at = {"query": image.name}
    which = "the query that SSR-Net puts right with the largest gain of AP" if gain else "the current query"
    rows = "The rows of both models: look at rank 1." if gain else "The rows of both models."
    whole = "The token is joined to all other nodes; its row after the last layer is the branch's feature."
    corner = "How far does the token turn, and do the ranks change?"
    drawing = ".st-key-graph_drawing"
    steps = [
        Step("retrieval", "What it is good for", rows, at, ".st-key-ranks"),
        Step("graph", "The whole graph", whole, at, drawing),
        Step("graph", "One corner off", corner, at | {"graph_off": "ul"}, f"{drawing}, .image-rows"),
    ]
    if model.global_node:
        only = "It meets the five regions only through the token (paper, Sec. 3.4)."
        steps.append(Step("graph", "The global node off", only, at | {"graph_off": "global"}, drawing))
    return Tour("The token", f"How {nodes} nodes become one feature, on {image.name}: {which}.", steps)


def _failure_tour(bench: Workbench) -> Tour:
    if not _measured(bench):
        return Tour("A failure", "Measure both models first: the tour looks for a query that goes wrong.")
    _, worst = _examples(bench)
    title = bench.ssrnet.title
    if worst is None:
        return Tour("A failure", f"Every query that has a match has a right vehicle first with {title}.")
    at = {"query": worst.name}
    mark = "The large mark in the chart, and beside it who came first."
    alike = "Is the first vehicle a look-alike? In which parts does it differ?"
    common = "What wrong first images have in common with their queries, against chance."
    return Tour(
        "A failure",
        f"Why {title} fails on {worst.name}: of its failures the one with the lowest AP (rule: see *Explain*).",
        (
            Step(
                "failures",
                "Where it lies among all queries",
                mark,
                at | {"failures_show": "AP against AP"},
                ".st-key-failures_scatter",
            ),
            Step("retrieval", "What came before it", alike, at, ".st-key-ranks"),
            Step("attention", "Where the models look", "Is the difference lit, or passed over?", at, ".sheet"),
            Step(
                "failures",
                "Is it one of many?",
                common,
                at | {"failures_show": "Causes"},
                ".js-plotly-plot, .image-rows",
            ),
        ),
    )


TOURS: Mapping[str, Callable[[Workbench], Tour]] = {
    "regions": _regions_tour,
    "token": _token_tour,
    "failure": _failure_tour,
}
"""Every tour by its name in the URL, in the order of Start."""


def _measured(bench: Workbench) -> bool:
    return all(model.stored_features() is not None for model in bench.raw.networks.values())


def _examples(bench: Workbench) -> tuple[VehicleImage | None, VehicleImage | None]:
    """Queries of the largest gain and of the worst failure; None where there is none, or nothing is measured."""
    return examples(failures(bench.baseline, bench.ssrnet)) if _measured(bench) else (None, None)
