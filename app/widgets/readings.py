"""What the paper leaves open of a page's subject and how it was read here: a folded box at the foot of the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import streamlit as st

from app.widgets.problems import fragment
from app.widgets.symbols import typeset
from app.workbench import OpenedModel
from ssrnet.studies.readings import Reading, as_text, readings_of


@fragment
def readings_box(page: str, networks: Iterable[OpenedModel] = ()) -> None:
    """The readings that ``page`` shows, with what each of ``networks`` was built or trained with, where it differs.

    Nothing is counted or drawn before the box is opened.
    """
    folded = st.expander(
        "Where the paper is silent, and how it is read here",
        icon=":material/menu_book:",
        key="readings",
        on_change="rerun",
    )
    if folded.open:
        with folded:
            for reading in readings_of(page):
                st.markdown(_paragraph(reading, networks))


def _paragraph(reading: Reading, networks: Iterable[OpenedModel]) -> str:
    symbol = f"${reading.symbol}$ · " if reading.symbol else ""
    lines = [
        f"{symbol}**{typeset(reading.title)}.** {reading.where}: “{reading.words}”",
        f"{typeset(f'{reading.choice} {reading.why}')} {reading.setting}",
    ]
    for model in networks:
        otherwise = reading.set_otherwise(model.source.info.training | {"model": asdict(model.settings)})
        if otherwise:
            listed = ", ".join(f"`{name} {as_text(value)}`" for name, value in otherwise.items())
            lines.append(f"{model.title} has {listed}.")
    return "  \n".join(lines)
