"""A gallery of thumbnails, searched and filtered, of which one is chosen by click or keyboard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import streamlit as st

from app.widgets.components import component
from app.widgets.selection import link_selection, positions_in_selection
from app.workbench.facets import CAMERA, Facets, facets, value
from app.workbench.images import image_label, size_of, thumbnail
from ssrnet.analysis.picture_cells import cell_ratio
from ssrnet.data.records import VehicleImage

PAGE = 9
"""Pictures shown at once: one row at 1440 pixels. No others travel to the browser."""
MORE = 5 * PAGE


_grid = component("image_picker")


def image_picker(key: str, images: Sequence[VehicleImage]) -> VehicleImage | None:
    """The chosen image, the first at the start; None where there is none to choose.

    The choice stands in the URL under ``key``, by name, and goes along to other pages; search and filters are in the
    URL as well.
    """
    if not images:
        return None
    known = facets(images)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input(
            "Search", key=f"{key}_search", bind="query-params", placeholder="vehicle, camera, type or file name"
        )
        wanted = _filters(key, known)
        among = _selection(key, images)
        more = st.toggle("Large gallery", key=f"{key}_large", bind="query-params")
    before = st.session_state.get(f"{key}_kept")
    chosen = chosen_image(key, images)
    if before not in (None, chosen.name):
        st.rerun()  # the one before is not among these images, and the sidebar shows it
    matching = _matching(images, known, words.lower().split(), wanted)
    if among:
        matching = [image for image in matching if image.name in among]
    if not matching:
        criteria = [f"“{words}”"] * bool(words.strip()) + [f"{len(wanted)} filter(s)"] * bool(wanted)
        criteria = " and ".join(criteria + ["the map's selection"] * bool(among))
        st.caption(f"Nothing matches {criteria} among {len(images):,} images.")
        return chosen

    size = MORE if more else PAGE
    start = _start(key, matching, chosen, size, (words, tuple(wanted.items()), bool(among)))
    visible = matching[start : start + size]
    st.session_state[f"{key}_in_view"] = [image.name for image in visible]
    items = [{"key": image.name, "label": image_label(image), "uri": thumbnail(image)} for image in visible]
    ratio = cell_ratio([size_of(item["uri"]) for item in items])
    place = {"from": start + 1, "to": start + len(visible), "total": len(matching)}
    _grid(
        data={"items": items, "chosen": chosen.name, "strip": not more, "ratio": ratio, **place},
        key=f"{key}_grid",
        on_picked_change=partial(_picked, key),
        on_turned_change=partial(_turned, key, size),
    )
    return chosen


def chosen_image(
    key: str, images: Sequence[VehicleImage], opening: Callable[[], VehicleImage | None] = lambda: None
) -> VehicleImage:
    """The image that the URL names, else the one chosen on another page; the URL names it from now on.

    Where there is neither, the one that ``opening`` gives, else the first.
    """
    by_name = {image.name: image for image in images}
    for name in (st.query_params.get(key), st.session_state.get(f"{key}_kept")):
        if name in by_name:
            break
    else:
        name = (opening() or images[0]).name
    choose(key, name)
    return by_name[name]


def images_in_view(key: str, images: Sequence[VehicleImage]) -> list[VehicleImage]:
    """Those of ``images`` that the picker shows, which one click chooses."""
    names = set(st.session_state.get(f"{key}_in_view", ()))
    return [image for image in images if image.name in names]


def choose(key: str, name: str) -> None:
    """Makes the image of this name the chosen one, here and on other pages."""
    st.session_state[f"{key}_kept"] = name  # Streamlit drops the URL's parameters when another page opens
    if st.query_params.get(key) != name:
        st.query_params[key] = name


def _filters(key: str, known: Facets) -> dict[str, list[str]]:
    """The values wanted of each attribute that is filtered by."""
    if not known.values:
        return {}
    wanted = {name: st.session_state.get(f"{key}_is_{name}") or [] for name in known.values}
    count = sum(map(bool, wanted.values()))
    with st.popover(f"Filters ({count})" if count else "Filters", icon=":material/filter_list:"):
        for name, values in known.values.items():
            title = "Camera" if name == CAMERA else name.replace("_", " ").capitalize()
            wanted[name] = st.multiselect(title, values, key=f"{key}_is_{name}", bind="query-params")
    return {name: values for name, values in wanted.items() if values}


def _selection(key: str, images: Sequence[VehicleImage]) -> Collection[str]:
    """Names of the images that are selected on the Gallery map, where the viewer wants those alone."""
    rows = positions_in_selection([image.name for image in images])
    if rows and st.toggle(f"Selected on the map ({len(rows):,})", key=f"{key}_in_selection", bind="query-params"):
        link_selection()
        return {images[row].name for row in rows}
    return ()


def _matching(
    images: Sequence[VehicleImage], known: Facets, words: list[str], wanted: dict[str, list[str]]
) -> Sequence[VehicleImage]:
    """Images with all words and, of each filtered attribute, one of the wanted values."""
    if not words and not wanted:
        return images
    return [
        image
        for image, text in zip(images, known.words)
        if all(word in text for word in words) and all(value(image, name) in values for name, values in wanted.items())
    ]


def _start(key: str, matching: Sequence[VehicleImage], chosen: VehicleImage, size: int, search: tuple) -> int:
    """Where the visible page starts: as turned to, but at the chosen image once that, or the search, changes."""
    before = st.session_state.get(f"{key}_start")
    state = (search, size, len(matching), chosen.name)
    if before is not None and before[0] == state and before[1] < len(matching):
        return before[1]
    at = next((at for at, image in enumerate(matching) if image is chosen), 0)
    start = at // size * size
    if before is not None and before[0][:3] == state[:3] and before[1] <= at < before[1] + size:
        start = before[1]
    st.session_state[f"{key}_start"] = (state, start)
    return start


def _picked(key: str) -> None:
    name = st.session_state[f"{key}_grid"].picked
    if name:
        choose(key, name)


def _turned(key: str, size: int) -> None:
    by = st.session_state[f"{key}_grid"].turned
    state, start = st.session_state[f"{key}_start"]
    if by:
        st.session_state[f"{key}_start"] = (state, max(0, start + by * size))
