"""A page of thumbnails of which one is chosen by click or keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from ssrnet.data.records import VehicleImage

PAGE = 9
"""Pictures shown at once: one row at 1440 pixels."""

_CSS = """
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(96px, 1fr)); gap: 0.4rem; }
button { all: unset; cursor: pointer; border: 3px solid transparent; border-radius: 8px; overflow: hidden;
  font: 0.75rem/1.3 var(--st-font); color: var(--st-text-color); text-align: center; padding-bottom: 0.15rem; }
button:hover, button:focus-visible { border-color: var(--st-border-color); }
button[aria-pressed="true"] { border-color: #2563eb; }
img { width: 100%; height: 76px; object-fit: cover; display: block; border-radius: 5px; }
"""

_JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const grid = parentElement.querySelector(".grid");
  grid.replaceChildren(...data.items.map((item) => {
    const button = document.createElement("button");
    button.setAttribute("aria-pressed", String(item.key === data.chosen));
    const image = document.createElement("img");
    image.src = item.uri;
    image.alt = item.label;
    const label = document.createElement("div");
    label.textContent = item.label;
    button.append(image, label);
    button.onclick = () => setTriggerValue("picked", item.key);
    return button;
  }));
}
"""

_grid = st.components.v2.component("image_picker", html='<div class="grid"></div>', css=_CSS, js=_JS)


def image_picker(
    key: str, images: Sequence[VehicleImage], thumbnail: Callable[[VehicleImage], str]
) -> VehicleImage | None:
    """The chosen image, the first at the start; None where there is none to choose.

    ``thumbnail`` gives an image's picture as a URI, and is asked for the visible page alone. The
    choice is kept in the URL under ``key``, by name, and goes along to other pages.
    """
    if not images:
        return None
    search, pager = st.columns([4, 1], vertical_alignment="bottom")
    words = search.text_input("Search", key=f"{key}_search", placeholder="vehicle, camera, type or file name")
    found = [image for image in images if all(word in _searched(image) for word in words.lower().split())]
    before = st.session_state.get(f"{key}_kept")
    chosen = chosen_image(key, images)
    if before not in (None, chosen.name):
        st.rerun()  # the one before is not among these images, and the sidebar shows it
    if not found:
        st.caption(f"Nothing matches “{words}” among {len(images):,} images.")
        return chosen

    pages = -(-len(found) // PAGE)
    page = 1
    if pages > 1:
        at = found.index(chosen) if chosen in found else 0
        page = pager.number_input(f"Page, of {pages:,}", 1, pages, at // PAGE + 1, key=f"{key}_page_{pages}_{words}")
    visible = found[(page - 1) * PAGE : page * PAGE]
    items = [{"key": image.name, "label": _label(image), "uri": thumbnail(image)} for image in visible]
    result = _grid(data={"items": items, "chosen": chosen.name}, key=f"{key}_grid", on_picked_change=lambda: None)
    if result.picked and result.picked != chosen.name:
        choose(key, result.picked)
        st.rerun()
    return chosen


def chosen_image(key: str, images: Sequence[VehicleImage]) -> VehicleImage:
    """The image that the URL names, else the one chosen on another page, else the first; the URL names it from now on."""
    by_name = {image.name: image for image in images}
    for name in (st.query_params.get(key), st.session_state.get(f"{key}_kept")):
        if name in by_name:
            break
    else:
        name = images[0].name
    choose(key, name)
    return by_name[name]


def choose(key: str, name: str) -> None:
    """Makes the image of this name the chosen one, here and on other pages."""
    st.session_state[f"{key}_kept"] = name  # Streamlit drops the URL's parameters when another page opens
    if st.query_params.get(key) != name:
        st.query_params[key] = name


def _label(image: VehicleImage) -> str:
    return f"{image.vehicle_id} · {image.camera_id}" if image.camera_id else image.vehicle_id


def _searched(image: VehicleImage) -> str:
    """All words that the search box finds an image by."""
    return " ".join((image.name, _label(image), *image.attributes.values())).lower()
