"""The frame around every page: the list of pages and links to them, checks, sidebar, errors, *Explain* at the foot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app import ahead
from app.garbage import set_aside_what_is_loaded
from app.widgets.components import stylesheet
from app.widgets.lecture import LECTURE_STYLE, PRESENT, lecture_keys, presenting
from ssrnet.errors import InstallationError, SSRNetError
from ssrnet.installation import check_torch

if TYPE_CHECKING:
    from app.workbench import Workbench


@dataclass(frozen=True)
class View:
    title: str
    icon: str


VIEWS = {
    "start": View("Start", ":material/home:"),
    "story": View("Story", ":material/auto_stories:"),
    "learning": View("How it learns", ":material/school:"),
    "attention": View("Attention", ":material/visibility:"),
    "regions": View("Regions", ":material/crop:"),
    "graph": View("Graph", ":material/hub:"),
    "retrieval": View("Retrieval", ":material/image_search:"),
    "failures": View("Failures", ":material/error_outline:"),
    "probes": View("Probes", ":material/science:"),
    "images": View("Your images", ":material/upload:"),
    "label": View("Label", ":material/new_label:"),
    "map": View("Gallery map", ":material/scatter_plot:"),
    "scoreboard": View("Scoreboard", ":material/monitoring:"),
    "quiz": View("Quiz", ":material/quiz:"),
}
"""Every page by the name of its module in ``app/views`` and of its URL, in the order of the menu."""
HOME = "start"
SOURCE = ("data", "layout", "baseline", "ssrnet", "third", "protocol", "seed", "n", "align")
"""The sidebar's keys in the URL."""
QUERY_LINKED = "query_linked"
"""The session state's key for whether the link to the page named a query, before the sidebar names the current one."""
QUERY_MINE = "query_mine"
"""The key, in session state and URL, of whether the query is an upload."""
SHARED = (*SOURCE, "map_colours", "same_scale", QUERY_MINE, PRESENT)
"""The keys in the URL that go from page to page: the sidebar's, how heat maps are coloured, whether the query is an upload, and
lecture mode."""


def as_page(view: str) -> StreamlitPage:
    """``app/views/<view>.py`` as a page; its ``render(bench)`` runs once both models and data are there.

    Its ``prepare(bench)``, where it has one, is called once the page stands, to load in the background. A view that says
    ``NEEDS_SOURCE = False`` is drawn without models and data too, with None for the workbench. Its ``INTRO``,
    one or two sentences with an equation (Markdown), stands below the heading. Also what ``st.switch_page`` and
    ``st.page_link`` take to lead to the page.
    """
    title, icon = VIEWS[view].title, VIEWS[view].icon
    return st.Page(lambda: _serve(view, title), title=title, icon=icon, url_path=view, default=view == HOME)


def _serve(view: str, title: str) -> None:
    """Draws the page, then loads for the next one, and for the page's own next gestures what its ``prepare`` begins."""
    ahead.stop()
    bench = run_view(view, title)
    # A background thread has no session, where alone what is computed of uploads may stay.
    if bench is not None and bench.dataset.test and not bench.data.is_uploaded:
        from app.warmup import warm_up
        from app.widgets.components.image_picker import chosen_image

        warm_up(bench, chosen_image("query", bench.dataset.test))
        if prepare := getattr(import_module(f"app.views.{view}"), "prepare", None):
            prepare(bench)


def run_view(view: str, title: str) -> Workbench | None:
    """Draws one page; an error meant for the user takes the place of what it stopped.

    Returns what the page was drawn from; None where that, or the page, failed.
    """
    bring_along(view)
    top = st.container(key="page_top")
    top.html(stylesheet("page"))
    if presenting():
        top.html(LECTURE_STYLE)
    with top:
        lecture_keys(view)
    st.header(title, anchor=False)
    try:
        with st.spinner("Starting PyTorch"):
            check_torch()
            # After the check, and none of them imports torchvision: that is checked once a network is needed.
            from app.widgets.problems import show_problem
            from app.widgets.source import choose_source, guide, show_reach
            from app.widgets.tour_bar import top_bar

        module = import_module(f"app.views.{view}")
        if introduction := getattr(module, "INTRO", ""):
            st.markdown(introduction)
        needed = getattr(module, "NEEDS_SOURCE", True)
        bench = None
        try:
            bench = choose_source()
        except SSRNetError as error:
            if needed:
                raise
            show_problem(error)
        finally:
            show_reach()
            with top:
                top_bar(view, bench)
        if bench is not None or not needed:
            module.render(bench)
        else:
            guide()
    except InstallationError as error:  # then nothing above may have been imported
        st.error(str(error), icon=":material/error:")
    except SSRNetError as error:
        show_problem(error)
    else:
        set_aside_what_is_loaded()
        return bench
    return None


def bring_along(view: str) -> None:
    """Restores what was chosen on another page: the menu's links carry no parameters.

    A link that names a query takes the place of an upload.
    """
    other_page = st.session_state.get("source_view") != view
    if other_page:
        st.session_state[QUERY_LINKED] = "query" in st.query_params
        if st.session_state[QUERY_LINKED] and QUERY_MINE not in st.query_params:
            st.session_state[QUERY_MINE] = False
            st.session_state.get("source_url", {}).pop(QUERY_MINE, None)
    for key in SHARED:
        if key in st.query_params:
            continue
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]
        elif key != PRESENT:  # which belongs to no widget
            continue
        if other_page and key in st.session_state.get("source_url", {}):
            st.query_params[key] = st.session_state["source_url"][key]
    st.session_state["source_view"] = view


def linked(**parameters: str) -> dict[str, str]:
    """The URL's parameters for ``st.page_link``: those of all pages as they stand, and ``parameters``.

    With a query among these the link is to that, and not to an upload.
    ``st.switch_page`` takes ``parameters`` alone: it refuses those that widgets are bound to, and keeps them.
    """
    shared = [key for key in SHARED if not (key == QUERY_MINE and "query" in parameters)]
    return {key: st.query_params[key] for key in shared if key in st.query_params} | parameters


def page_link(view: str, label: str, **parameters: str) -> None:
    """A link to another page with ``parameters`` in its URL."""
    st.page_link(as_page(view), label=label, icon=VIEWS[view].icon, query_params=linked(**parameters))


def explain(equations: Sequence[str], look_for: str, functions: Sequence[Callable | type]) -> None:
    """What the page shows: its equations (LaTeX), what to look for (Markdown), and which functions compute it."""
    with st.expander("Explain", icon=":material/help:"):
        for equation in equations:
            st.latex(equation)
        st.markdown(look_for)
        names = ", ".join(f"`{function.__module__}.{function.__qualname__}`" for function in functions)
        st.caption(f"Computed by {names}.")
