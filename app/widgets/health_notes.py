"""The attention health of the networks in view, in sentences."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import streamlit as st

from app.widgets.problems import show_problem
from app.widgets.progress import run_with_progress
from app.widgets.source import Selection
from app.workbench import Report, Services
from app.workbench import health as ask
from ssrnet.errors import SSRNetError
from ssrnet.model.health import AttentionHealth
from ssrnet.training.checkpoint import StoredCheckpoint

ICONS = {True: ":green[:material/check_circle:]", False: ":orange[:material/warning:]", None: ":material/info:"}


def health_notes(
    services: Services, selection: Selection, models: Mapping[str, StoredCheckpoint], of: Collection[str], key: str
) -> None:
    """The verdicts ``of`` some maps for each model; takes seconds at first, so a page draws it last, in a place above.

    An image that cannot be read costs these sentences and not the page.
    """

    def compute(report: Report) -> dict[str, AttentionHealth]:
        found = {}
        for at, (title, checkpoint) in enumerate(models.items()):

            def report_part(done: int, total: int, at: int = at) -> None:
                report(at * total + done, len(models) * total)

            found[title] = ask.health(services, checkpoint, selection.opened, report_part)
        return found

    try:
        found = run_with_progress("Looking at some images of the data set", f"{key}_health", compute)
    except SSRNetError as error:
        show_problem(error)
        return
    for title, health in found.items():
        verdicts = [one for one in health.verdicts() if one.of in of]
        heading = f"**{title}**  \n" if len(models) > 1 else ""
        st.markdown(heading + "  \n".join(f"{ICONS[one.passes]} {one.sentence}" for one in verdicts))
    images = next(iter(found.values())).images
    spaced = "all images" if images == len(selection.opened.dataset.test) else f"{images} evenly spaced images"
    st.caption(f"Measured on {spaced} of this data set's test half, without labels.")
