"""Start: what this is, the network, the numbers of the loaded models, and the guided tours."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.widgets.alignment_note import show_cautions
from app.widgets.components.approaches import approaches
from app.widgets.components.image_picker import chosen_image
from app.widgets.components.network_diagram import Picture, network_diagram
from app.widgets.evaluations import evaluations, metrics_table
from app.widgets.map_colours import map_colours_button
from app.widgets.needs_labels import needs_labels
from app.widgets.network_pictures import network_pictures
from app.widgets.page import VIEWS, as_page, explain
from app.widgets.source import guide, show_seen_in_training
from app.widgets.symbols import typeset
from app.widgets.tours import TOURS, OpenedStep, Tour, step_link
from app.workbench import Workbench
from ssrnet.analysis.comparison import LARGEST_GAIN, largest_gain
from ssrnet.analysis.confusions import WORST, worst_failure
from ssrnet.errors import SSRNetError
from ssrnet.explain.overlay import DEFAULT_COLOURS
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


def render(bench: Workbench | None) -> None:
    """The page works without data and models too; parts that need them say so."""
    st.subheader("The network", anchor=False)
    diagram, below = st.container(), st.container(horizontal=True, vertical_alignment="center")
    words = below.container()
    settings, cells, pictures, colours = ModelSettings(), None, {}, DEFAULT_COLOURS
    if bench is not None:
        with below:
            colours = map_colours_button().name
        if bench.ssrnet.is_loaded:
            pictures = _pictures(bench, colours)
        info = bench.ssrnet.source.info
        settings, cells = info.model, info.image_size // (16 if info.model.last_stride == 1 else 32)
    with diagram:
        opened = network_diagram(settings, cells, VIEWS, "start_network", pictures)
    words.caption(
        "Blocks with a coloured frame lead to their pages." + (_what_is_drawn(bench, pictures) if pictures else "")
    )
    st.subheader("Four approaches (paper, Fig. 1)", anchor=False)
    approaches()
    if bench is not None:
        st.subheader("The loaded models", anchor=False)
        show_seen_in_training(bench.raw.networks.values())
        if bench.dataset.is_labelled:
            _numbers(bench)
        else:
            needs_labels("A score")
        st.subheader("Guided tours", anchor=False)
        _tours(bench)
    else:
        guide()
    explain(EQUATIONS, LOOK_FOR, (SSRNet, evaluate, largest_gain, worst_failure))
    if opened in VIEWS:
        query = {"query": st.query_params["query"]} if "query" in st.query_params else {}
        st.switch_page(as_page(opened), query_params=query)
    # The first view is complete before the network is loaded for its pictures.
    if bench is not None and _pictures(bench, colours) != pictures:
        st.rerun()


def _pictures(bench: Workbench, colours: str) -> Mapping[str, Picture]:
    """The current query in the diagram's blocks; none where it or the checkpoint cannot be read."""
    try:
        return network_pictures(bench.ssrnet, chosen_image("query", bench.dataset.test), colours)
    except SSRNetError:
        return {}


def _what_is_drawn(bench: Workbench, pictures: Mapping[str, Picture]) -> str:
    name = chosen_image("query", bench.dataset.test).name
    drawn = f" In them is {name}, the current query, with {bench.ssrnet.title}; choose another on any page."
    if "attention" in pictures:
        drawn += typeset(f" In the attention branch: {pictures['attention'].alt}.")
    return drawn


def _numbers(bench: Workbench) -> None:
    """Metrics of both networks, at once where their features are stored, else once they are asked for."""
    networks = bench.raw.networks.values()
    missing = [model.title for model in networks if model.stored_features() is None]
    if missing and not st.session_state.get(MEASURING):
        images = len(bench.dataset.test)
        st.info(f"{' and '.join(missing)}: not measured on this data yet. That takes a look at {images:,} test images.")
        st.button("Measure now", on_click=st.session_state.update, args=({MEASURING: True},), icon=":material/speed:")
        return
    scored = evaluations(model for model in bench.with_raw.values() if model.has_network)
    metrics_table(scored, [(bench.baseline, bench.ssrnet)])
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


def _tours(bench: Workbench) -> None:
    """The two longest tours over the whole width, the others below them, as high as each other."""
    longest, others = list(TOURS.items())[:2], list(TOURS.items())[2:]
    for (name, make), across in zip(longest, (5, 4), strict=True):
        _tour(name, make(bench), across)
    for column, (name, make) in zip(st.columns(len(others)), others, strict=True):
        with column:
            _tour(name, make(bench), 1)


def _tour(name: str, tour: Tour, across: int) -> None:
    """A card with a link for each step, ``across`` of them beside each other."""
    with st.container(border=True, height="stretch"):
        st.markdown(f"**{tour.title}**  \n{tour.intro}")
        cells = iter([cell for _ in range(0, len(tour.steps), across) for cell in st.columns(across)])
        for number, step in enumerate(tour.steps, 1):
            with next(cells):
                opened = OpenedStep(name, tour, number)
                step_link(opened, f"{number}. {step.label}", VIEWS[step.view].icon)
                st.caption(step.look_for)
