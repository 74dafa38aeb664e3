"""The bar on top of a page that a guided tour leads through; in lecture mode on top of every page."""

from __future__ import annotations

import streamlit as st

from app.widgets.lecture import NEXT, PREVIOUS, leave_button, lecture_keys, presenting, show_only
from app.widgets.page import HOME, VIEWS, as_page, linked
from app.widgets.tours import Tour, opened_step, step_link
from app.workbench import Workbench

BACK, ON = ":material/arrow_back:", ":material/arrow_forward:"


OWN_ARROWS = ("story",)
"""Pages whose own steps the arrow keys go through."""


def top_bar(view: str, bench: Workbench | None) -> None:
    """The bar, where the URL names a tour's step on this page or lecture mode is on."""
    opened = opened_step(view, bench) if bench else None
    if opened:
        # A link from one step to another on the same page leaves the browser's URL as it was until it is sent one.
        st.query_params["step"] = str(opened[2])
        _tour_bar(*opened)
    elif presenting():
        _page_bar(view)


def _tour_bar(name: str, tour: Tour, number: int) -> None:
    """Step ``number``, from 1, of the tour that the URL calls ``name``: what to look for, where one is, and the links."""
    step, last = tour.steps[number - 1], len(tour.steps)
    with st.container(key="tour_bar", border=not presenting(), gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{tour.title}** · {number} of {last} · {step.label}", width="stretch")
            with st.container(key=PREVIOUS, width="content"):
                step_link(name, tour, max(1, number - 1), "Previous", BACK, disabled=number == 1)
            with st.container(key=NEXT, width="content"):
                step_link(name, tour, min(last, number + 1), "Next", ON, disabled=number == last)
            _home("Start")
            if presenting():
                leave_button()
        with st.container(key="tour_look_for"):
            st.markdown(step.look_for)
    if presenting():
        lecture_keys(number, last)
        if step.shown:
            show_only(step.shown)


def _page_bar(view: str) -> None:
    """In lecture mode on a page without a tour: back and on go through the menu."""
    views = list(VIEWS)
    at = views.index(view)
    previous, following = (None, None) if view in OWN_ARROWS else (PREVIOUS, NEXT)
    with st.container(key="page_bar", horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        with st.container(key=previous, width="content"):
            _neighbour(views[max(0, at - 1)], BACK, disabled=at == 0)
        with st.container(key=following, width="content"):
            _neighbour(views[min(len(views) - 1, at + 1)], ON, disabled=at == len(views) - 1)
        leave_button()
    lecture_keys(at + 1, len(views))


def _neighbour(view: str, icon: str, disabled: bool) -> None:
    st.page_link(as_page(view), label=VIEWS[view].title, icon=icon, query_params=linked(), disabled=disabled)


def _home(label: str) -> None:
    st.page_link(as_page(HOME), label=label, icon=VIEWS[HOME].icon, query_params=linked())
