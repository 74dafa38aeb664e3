"""The guided tours: which pages each leads through, with what in their URLs, and what to look for on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.widgets.components.image_picker import chosen_image
from app.widgets.components.network_diagram import ratio_in_words
from app.widgets.lecture import STEP, TOUR
from app.widgets.page import as_page, linked
from app.workbench import Workbench
from app.workbench.failures import examples, failures
from ssrnet.data.records import VehicleImage
from ssrnet.explain.attention import why_no_spatial_attention


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


class OpenedStep(NamedTuple):
    """Step ``number``, from 1, of the tour that the URL calls ``name``."""

    name: str
    tour: Tour
    number: int

    @property
    def step(self) -> Step:
        return self.tour.steps[self.number - 1]

    def beside(self, by: Literal[-1, 1]) -> OpenedStep | None:
        """The tour's step before or after this one."""
        return self._replace(number=self.number + by) if 1 <= self.number + by <= len(self.tour.steps) else None


def step_link(to: OpenedStep, label: str, icon: str, **options: bool) -> DeltaGenerator:
    """A link to a step; ``options`` of ``st.page_link``."""
    params = linked(**to.step.params, **{TOUR: to.name, STEP: str(to.number)})
    return st.page_link(as_page(to.step.view), label=label, icon=icon, query_params=params, **options)


def opened_step(view: str, bench: Workbench) -> OpenedStep | None:
    """The step that the URL names; None where this page has no such step."""
    name, number = st.query_params.get(TOUR), st.query_params.get(STEP, "")
    if name not in TOURS or not number.isdecimal():
        return None
    tour = TOURS[name](bench)
    if not 1 <= int(number) <= len(tour.steps) or tour.steps[int(number) - 1].view != view:
        return None
    return OpenedStep(name, tour, int(number))


def end_of_tour_beside(name: str | None, by: Literal[-1, 1], bench: Workbench) -> OpenedStep | None:
    """The last step of the tour before ``name``, or the first of the one after it; after None comes the first tour."""
    names = list(TOURS)
    at = names.index(name) if name else -1
    for other in names[at + 1 :] if by > 0 else names[:at][::-1]:
        tour = TOURS[other](bench)
        if tour.steps:
            return OpenedStep(other, tour, 1 if by > 0 else len(tour.steps))
    return None


STAGES = {
    "photograph": ("What the network sees", "Whatever its shape, the photograph becomes a square."),
    "F_G": ("The feature map", "The backbone makes one coarse map of it, with many channels."),
    "M_c": ("Channel attention", "One number between 0 and 1 weighs each channel."),
    "M_s": ("Spatial attention", "One number between 0 and 1 weighs each cell."),
    "regions": ("Five regions", "Five boxes are cut out of the map; the mean of each is a node."),
    "graph": ("Messages", "The wider an edge, the more its sender counts."),
    "token": ("The token", "One row is read out, into which the graph has mixed the others."),
    "embedding": ("The embedding", "Each branch passes its own neck; joined, they are the embedding."),
    "cosine": ("The cosine", "Similarity is one cosine: a sum of one share a branch."),
    "ranks": ("The rank row", "The gallery, sorted by that cosine: each model has its own order."),
}
"""The Story page's stages by their keys, in their order: label, and what to look for, which is true of any image."""


def _story_tour(bench: Workbench) -> Tour:
    title, model = "From photograph to rank row", bench.ssrnet.settings
    if not bench.split.query:
        return Tour(title, "The protocol leaves no query to follow, so there is nothing to tour.")
    query = chosen_image("query", bench.dataset.test)
    absent = {
        "M_c": not model.attention_branch or model.attention not in ("cbam", "se"),
        "M_s": why_no_spatial_attention(model) is not None,
        **dict.fromkeys(("regions", "graph", "token"), not model.has_graph),
    }
    steps = [
        Step("story", label, look_for, {"query": query.name, "stage": str(stage)}, ".st-key-story_stage")
        for stage, (key, (label, look_for)) in enumerate(STAGES.items(), 1)
        if not absent.get(key)
    ]
    return Tour(title, f"{query.name}, the current query, on its way through {bench.ssrnet.title}.", steps)


def _learning_tour(bench: Workbench) -> Tour:
    # Here, since every page imports this module: the losses' library takes most of a second.
    from app.workbench.learning import PART, PARTS, SHOW, SHOWN, recorded_run

    run = recorded_run()
    farthest = "Only two images count: the farthest match, the nearest other."
    batch = Step("learning", "A batch", farthest, {PART: PARTS["batch"]}, ".st-key-learning_batch")
    steps = [batch] if bench.split.is_labelled else []
    if run is not None:
        last, source = str(run.record.states - 1), ".st-key-recorded_source, .st-key-recorded_epoch, .st-key-recorded_"
        at = {PART: PARTS["run"]}
        steps += [
            Step("learning", label, look_for, at | {"recorded_epoch": epoch, SHOW: SHOWN[part]}, source + part)
            for label, look_for, epoch, part in (
                ("Before training", "What do random weights tell apart?", "0", "inside"),
                ("After training", "The same images at the last epoch: what has changed?", last, "inside"),
                ("A pair before training", "Which is nearer: the match, or the other vehicle?", "0", "ranks"),
                ("A pair after training", "And at the last epoch: is the margin kept?", last, "ranks"),
            )
        ]
    if bench.split.query and bench.split.is_labelled:
        score = "AP: the share of right images at each match, on average."
        steps.append(Step("learning", "A ranking's score", score, {PART: PARTS["scores"]}, ".st-key-learning_scores"))
    answer = "Which of the five is it? Keys 1 to 5 answer, Enter goes on."
    if not bench.split.is_labelled:
        return Tour("How it learns", "A training run; a batch, a score and the quiz need labels.", steps)
    steps.append(Step("quiz", "You against both models", answer, {}, ".st-key-quiz_round"))
    return Tour("How it learns", "A batch, its hardest pair, a training run, a score; then a quiz.", steps)


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
    if not bench.split.is_labelled:
        return Tour("A failure", "Nobody has said which images show the same vehicle, so nothing is known to go wrong.")
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
    "story": _story_tour,
    "learning": _learning_tour,
    "regions": _regions_tour,
    "token": _token_tour,
    "failure": _failure_tour,
}
"""Every tour by its name in the URL, in the order of Start."""


def _measured(bench: Workbench) -> bool:
    return all(model.stored_features() is not None for model in bench.raw.networks.values())


def _examples(bench: Workbench) -> tuple[VehicleImage | None, VehicleImage | None]:
    """Queries of the largest gain and of the worst failure; None where there is none, or nothing is measured."""
    known = bench.split.is_labelled and _measured(bench)
    return examples(failures(bench.baseline, bench.ssrnet)) if known else (None, None)
