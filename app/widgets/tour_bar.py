"""The bar on top of a page that a guided tour leads through; in lecture mode on top of every page."""

from __future__ import annotations

import streamlit as st

from app.widgets.lecture import NEXT, PREVIOUS, STEP, leave_button, presenting, progress_line, show_only
from app.widgets.page import HOME, VIEWS, as_page, linked
from app.widgets.tours import OpenedStep, end_of_tour_beside, opened_step, step_link
from app.workbench import Workbench

BACK, ON = ":material/arrow_back:", ":material/arrow_forward:"


def top_bar(view: str, bench: Workbench | None) -> None:
    """The bar, where the URL names a tour's step on this page or lecture mode is on."""
    opened = opened_step(view, bench) if bench else None
    if opened:
        _arrive(opened)
        _tour_bar(opened, bench)
    elif presenting():
        _page_bar(view, bench)


def _arrive(opened: OpenedStep) -> None:
    """A link from one step to another on the same page leaves the browser's URL and the page's widgets as they were."""
    st.query_params[STEP] = str(opened.number)
    here = (opened.name, opened.number)
    if st.session_state.get("tour_at") != here:
        st.session_state["tour_at"] = here
        for key, value in opened.step.params.items():
            if key in st.session_state:
                st.session_state[key] = type(st.session_state[key])(value)


def _tour_bar(opened: OpenedStep, bench: Workbench) -> None:
    """What to look for, where one is, and the links; in lecture mode they go on into the next tour."""
    name, tour, number = opened
    step, last = opened.step, len(tour.steps)
    with st.container(key="tour_bar", border=not presenting(), gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{tour.title}** · {number} of {last} · {step.label}", width="stretch")
            for key, by, label, icon in ((PREVIOUS, -1, "Previous", BACK), (NEXT, 1, "Next", ON)):
                to = opened.beside(by)
                if to is None and presenting():
                    to = end_of_tour_beside(name, by, bench)
                with st.container(key=key, width="content"):
                    step_link(to or opened, label, icon, disabled=to is None)
            _home("Start")
            if presenting():
                leave_button()
        with st.container(key="tour_look_for"):
            st.markdown(step.look_for)
        progress_line(f"{name} {number}", number, last)
    if presenting() and step.shown:
        show_only(step.shown)


def _page_bar(view: str, bench: Workbench | None) -> None:
    """In lecture mode on a page without a tour: back and on go through the menu, but from Start on into the tours."""
    views = list(VIEWS)
    at = views.index(view)
    first = end_of_tour_beside(None, 1, bench) if bench and view == HOME else None
    with st.container(key="page_bar", horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        with st.container(key=PREVIOUS, width="content"):
            _neighbour(views[max(0, at - 1)], BACK, disabled=at == 0)
        with st.container(key=NEXT, width="content"):
            if first:
                step_link(first, first.tour.title, ON)
            else:
                _neighbour(views[min(len(views) - 1, at + 1)], ON, disabled=at == len(views) - 1)
        leave_button()
    progress_line(view, at + 1, len(views))


def _neighbour(view: str, icon: str, disabled: bool) -> None:
    st.page_link(as_page(view), label=VIEWS[view].title, icon=icon, query_params=linked(), disabled=disabled)


def _home(label: str) -> None:
    st.page_link(as_page(HOME), label=label, icon=VIEWS[HOME].icon, query_params=linked())
