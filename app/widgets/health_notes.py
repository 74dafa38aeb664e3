"""The attention health of the networks in view, in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import streamlit as st

from app.widgets.problems import show_problem
from app.widgets.progress import run_with_progress
from app.widgets.symbols import typeset
from app.workbench import OpenedModel, Progress
from app.workbench.health import health
from ssrnet.errors import SSRNetError
from ssrnet.model.health import AttentionHealth

ICONS = {True: ":green[:material/check_circle:]", False: ":orange[:material/warning:]", None: ":material/info:"}


def health_notes(models: Iterable[OpenedModel], maps: Collection[str], key: str) -> None:
    """The verdicts on some ``maps`` of each model; takes seconds at first, so a page draws it last, in a place above.

    An image that cannot be read costs these sentences and not the page.
    """
    models = list(models)

    def compute(progress_callback: Progress) -> list[AttentionHealth]:
        def part_of(at: int) -> Progress:
            return lambda done, total: progress_callback(at * total + done, len(models) * total)

        return [health(model, part_of(at)) for at, model in enumerate(models)]

    try:
        measured = run_with_progress("Measuring the attention on some images", f"{key}_health", compute)
    except SSRNetError as error:
        show_problem(error)
        return
    for model, each in zip(models, measured):
        verdicts = [verdict for verdict in each.verdicts() if verdict.of in maps]
        heading = f"**{model.title}**  \n" if len(models) > 1 else ""
        st.markdown(
            heading + "  \n".join(f"{ICONS[verdict.passes]} {typeset(verdict.sentence)}" for verdict in verdicts)
        )
    images = measured[0].images
    spaced = "all images" if images == len(models[0].data.dataset.test) else f"{images} evenly spaced images"
    st.caption(f"Measured on {spaced} of this data set's test half, without labels.")
