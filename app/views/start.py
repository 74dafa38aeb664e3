"""Start: what this is, the network, the numbers of the loaded models, and three guided tours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import streamlit as st

from app.widgets.alignment_note import show_cautions
from app.widgets.components.image_picker import chosen_image
from app.widgets.components.network_diagram import network_diagram, ratio_in_words
from app.widgets.evaluations import evaluations, metrics_table
from app.widgets.page import VIEWS, as_page, explain, page_link
from app.widgets.source import guide, show_seen_in_training
from app.workbench import Workbench
from app.workbench.failures import examples, failures
from ssrnet.analysis.comparison import LARGEST_GAIN, largest_gain
from ssrnet.analysis.confusions import WORST, worst_failure
from ssrnet.data.records import VehicleImage
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.retrieval.evaluation import evaluate

NEEDS_SOURCE = False
"""What the app is and how the network is built need neither data nor models."""

INTRO = r"""
SSR-Net (Xu et al., ACM TOMM 2022) recognises a vehicle in the images of other cameras by relating five regions of the
image to each other and to the whole. Here you see inside it on any vehicle image, compare it with its baseline, and find
out why it fails; the sidebar opens your own data and checkpoints. Images are compared by $\cos(x_q, x_g)$, where
${x = [f_G,\; f_{\mathrm{attn}},\; f_{\mathrm{token}}]}$ joins three branches.
"""
EQUATIONS = (
    r"F_{\mathrm{attn}} = M_s(F_c) \otimes F_c, \quad F_c = M_c(F_G) \otimes F_G \tag{Eq. 1}",
    r"H_L = \lfloor \lambda H \rfloor, \quad W_L = \lfloor \lambda W \rfloor \tag{Eq. 2}",
    r"H^{(l+1)} = \sigma(\widetilde{D}^{-1} \widetilde{A} H^{(l)} W^{(l)}) \tag{Eq. 4}",
)
LOOK_FOR = f"""
Follow an image from left to right: one feature map, three branches, one embedding, one ranked gallery. Each block leads
to the page that shows it at work. The global branch alone is the baseline.

The tours' queries are chosen by rules. *The token*: {LARGEST_GAIN} *A failure*: {WORST}
"""
MEASURING = "start_measuring"


@dataclass(frozen=True)
class Step:
    """``params`` go into the URL of the page ``view``."""

    view: str
    label: str
    look_for: str
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tour:
    title: str
    intro: str
    steps: Sequence[Step] = ()


def render(bench: Workbench | None) -> None:
    """The page works without data and models too; parts that need them say so."""
    st.subheader("The network", anchor=False)
    settings, cells = ModelSettings(), None
    if bench is not None:
        info = bench.ssrnet.source.info
        settings, cells = info.model, info.image_size // (16 if info.model.last_stride == 1 else 32)
    opened = network_diagram(settings, cells, VIEWS, "start_network")
    st.caption("Blocks with a coloured frame lead to their pages.")
    if bench is not None:
        st.subheader("The loaded models", anchor=False)
        show_seen_in_training(bench.raw.networks.values())
        measured = _numbers(bench)
        st.subheader("Three guided tours", anchor=False)
        _tours(bench, measured)
    else:
        guide()
    explain(EQUATIONS, LOOK_FOR, (SSRNet, evaluate, largest_gain, worst_failure))
    if opened in VIEWS:
        query = {"query": st.query_params["query"]} if "query" in st.query_params else {}
        st.switch_page(as_page(opened), query_params=query)


def _numbers(bench: Workbench) -> bool:
    """Metrics of both networks, at once where their features are stored; whether they are shown."""
    networks = bench.raw.networks.values()
    missing = [model.title for model in networks if model.stored_features() is None]
    if missing and not st.session_state.get(MEASURING):
        images = len(bench.dataset.test)
        st.info(f"{' and '.join(missing)}: not measured on this data yet. That takes a look at {images:,} test images.")
        st.button("Measure now", on_click=st.session_state.update, args=({MEASURING: True},), icon=":material/speed:")
        return False
    metrics_table(evaluations(model for model in bench.with_raw.values() if model.has_network))
    show_cautions(bench)
    st.session_state.pop(MEASURING, None)
    for model in networks:
        info = model.source.info
        epochs = f", {info.epoch:,} epoch{'s' if info.epoch != 1 else ''}" if info.epoch else ""
        if epochs and info.training.get("start_from"):
            epochs += ", continuing from another checkpoint"
        st.caption(
            f"**{model.title}**: `{model.source.path.name}`, trained on {info.dataset or 'data that it does not name'}"
            f"{epochs}, at {info.image_size} × {info.image_size} pixels."
        )
    return True


def _tours(bench: Workbench, measured: bool) -> None:
    query = chosen_image("query", bench.dataset.test)
    gain, worst = None, None
    if measured:
        gain, worst = examples(failures(bench.baseline, bench.ssrnet))
    settings = bench.ssrnet.settings
    missing = f"{settings.title} has no graph of five regions, so there is nothing to tour."
    tours = (
        _regions_tour(query, settings) if settings.has_graph else Tour("Five regions", missing),
        _token_tour(gain, query, settings)
        if settings.has_graph and settings.token_node
        else Tour("The token", missing),
        _failure_tour(worst, measured, bench.ssrnet.title),
    )
    for column, tour in zip(st.columns(3), tours, strict=True):
        with column.container(border=True):
            _draw(tour)


def _draw(tour: Tour) -> None:
    st.markdown(f"**{tour.title}**  \n{tour.intro}")
    for number, step in enumerate(tour.steps, 1):
        label = f"{number}. {step.label}"
        page_link(step.view, label, **step.params)
        st.caption(step.look_for)


def _regions_tour(query: VehicleImage, model: ModelSettings) -> Tour:
    at = {"query": query.name}
    warm = "The paper cuts at the corners and in the middle because its maps are warm there (Fig. 3). Are these?"
    cuts = (
        (
            model.crop_ratio,
            "Its crops as trained",
            "The boxes overlap, so that a lamp between two lies whole in one of them.",
        ),
        (1 / 8, "Small crops", "Each sees a few cells; most of the vehicle belongs to none."),
        (1, "Everything", "Five times the same crop: all cosines are 1, and the graph has nothing to relate."),
    )
    return Tour(
        "Five regions",
        f"What the relation branch cuts out of {query.name}, the current query, and why as large as it does.",
        [Step("attention", "Where it looks", warm, at)]
        + [
            Step("regions", f"{label}, λ = {ratio_in_words(ratio)}", look_for, at | {"regions_lambda": f"{ratio:.3f}"})
            for ratio, label, look_for in cuts
        ],
    )


def _token_tour(gain: VehicleImage | None, query: VehicleImage, model: ModelSettings) -> Tour:
    image, nodes = gain or query, "seven" if model.global_node else "six"
    at = {"query": image.name}
    which = "the query that SSR-Net puts right with the largest gain of AP" if gain else "the current query"
    rows = "The rows of both models: look at rank 1." if gain else "The rows of both models."
    whole = "The token is joined to all other nodes; its row after the last layer is the branch's feature."
    corner = "How far does the token turn, and do the ranks change?"
    steps = [
        Step("retrieval", "What it is good for", rows, at),
        Step("graph", "The whole graph", whole, at),
        Step("graph", "One corner off", corner, at | {"graph_off": "ul"}),
    ]
    if model.global_node:
        only = "It meets the five regions only through the token (paper, Sec. 3.4)."
        steps.append(Step("graph", "The global node off", only, at | {"graph_off": "global"}))
    return Tour("The token", f"How {nodes} nodes become one feature, on {image.name}: {which}.", steps)


def _failure_tour(worst: VehicleImage | None, measured: bool, title: str) -> Tour:
    if not measured:
        return Tour("A failure", "Measure both models first: the tour looks for a query that goes wrong.")
    if worst is None:
        return Tour("A failure", f"Every query that has a match has a right vehicle first with {title}.")
    at = {"query": worst.name}
    mark = "The large mark in the chart, and beside it who came first."
    alike = "Is the first vehicle a look-alike? In which parts does it differ?"
    common = "Who takes whose place, and what the two have in common, against chance."
    return Tour(
        "A failure",
        f"Why {title} fails on {worst.name}: of its failures the one with the lowest AP (rule: see *Explain*).",
        (
            Step("failures", "Where it lies among all queries", mark, at),
            Step("retrieval", "What came before it", alike, at),
            Step("attention", "Where the models look", "Is the difference lit, or passed over?", at),
            Step("failures", "Is it one of many?", common, at | {"failures_show": "Who took the first place"}),
        ),
    )
