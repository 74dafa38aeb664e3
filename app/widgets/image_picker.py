"""A gallery of thumbnails, searched and filtered, of which one is chosen by click or keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from app.workbench.facets import CAMERA, Facets, facets, value
from app.workbench.images import thumbnail
from ssrnet.data.records import VehicleImage

PAGE = 9
"""Pictures shown at once: one row at 1440 pixels. No others travel to the browser."""
MORE = 5 * PAGE

_HTML = """
<div class="bar"><button class="turn" data-by="-1" aria-label="Earlier images">‹</button>
<button class="turn" data-by="1" aria-label="Later images">›</button><span class="where" aria-live="polite"></span></div>
<div class="grid" role="group" aria-label="Images to choose from"></div>
"""

_CSS = """
.bar { display: flex; align-items: center; gap: 0.4rem; font: 0.8rem var(--st-font); color: var(--st-text-color);
  padding-bottom: 0.35rem; }
.where { opacity: 0.75; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(96px, 1fr)); gap: 0.4rem; }
button { all: unset; box-sizing: border-box; cursor: pointer; border: 3px solid transparent; border-radius: 8px;
  overflow: hidden; font: 0.75rem/1.3 var(--st-font); color: var(--st-text-color); text-align: center; }
.grid button { padding-bottom: 0.15rem; }
.turn { border: 1px solid var(--st-border-color); padding: 0 0.7rem; font-size: 1.1rem; line-height: 1.5rem; }
.turn[disabled] { opacity: 0.3; cursor: default; }
button:hover, button:focus-visible { border-color: var(--st-border-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: -2px; }
button[aria-pressed="true"] { border-color: #2563eb; }
img { width: 100%; height: 76px; object-fit: cover; display: block; border-radius: 5px; }
@media (max-width: 640px) {
  .grid.strip { display: flex; overflow-x: auto; }
  .grid.strip button { flex: 0 0 104px; }
}
"""

_JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const grid = parentElement.querySelector(".grid");
  const focused = parentElement.activeElement?.dataset?.key;
  const signature = data.items.map((item) => item.key).join("\\n");
  grid.classList.toggle("strip", data.strip);
  if (grid.signature !== signature) {
    grid.signature = signature;
    grid.replaceChildren(...data.items.map((item) => {
      const button = document.createElement("button");
      button.dataset.key = item.key;
      button.title = item.key;
      const image = document.createElement("img");
      image.src = item.uri;
      image.alt = item.label;
      const label = document.createElement("div");
      label.textContent = item.label;
      button.append(image, label);
      return button;
    }));
    grid.scrollLeft = 0;
  }
  const buttons = [...grid.children];
  const reached = Math.max(0, buttons.findIndex((button) => button.dataset.key === data.chosen));
  buttons.forEach((button, at) => {
    button.setAttribute("aria-pressed", String(button.dataset.key === data.chosen));
    button.tabIndex = at === reached ? 0 : -1;  // one stop for the Tab key; arrows go on from there
    button.onclick = () => setTriggerValue("picked", button.dataset.key);
  });
  if (focused !== undefined) {
    const again = buttons.find((button) => button.dataset.key === focused);
    (again ?? buttons[grid.backwards ? buttons.length - 1 : 0])?.focus();
  }
  const turn = (by) => {
    if (by < 0 ? data.from > 1 : data.to < data.total) {
      grid.backwards = by < 0;
      setTriggerValue("turned", by);
    }
  };
  grid.onkeydown = (event) => {
    const at = buttons.indexOf(parentElement.activeElement);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const page = { PageDown: 1, PageUp: -1 }[event.key];
    if (page) turn(page);
    else if (step && buttons[at + step]) buttons[at + step].focus();
    else if (step) turn(step);
    else return;
    event.preventDefault();
  };
  for (const button of parentElement.querySelectorAll(".turn")) {
    const by = Number(button.dataset.by);
    button.disabled = by < 0 ? data.from <= 1 : data.to >= data.total;
    button.onclick = () => turn(by);
  }
  const number = (n) => n.toLocaleString("en");
  parentElement.querySelector(".where").textContent =
    `${number(data.from)} to ${number(data.to)} of ${number(data.total)} images`;
}
"""

_grid = st.components.v2.component("image_picker", html=_HTML, css=_CSS, js=_JS)


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
        more = st.toggle("Large gallery", key=f"{key}_large", bind="query-params")
    before = st.session_state.get(f"{key}_kept")
    chosen = chosen_image(key, images)
    if before not in (None, chosen.name):
        st.rerun()  # the one before is not among these images, and the sidebar shows it
    found = _found(images, known, words.lower().split(), wanted)
    if not found:
        asked = " and ".join([f"“{words}”"] * bool(words.strip()) + [f"{len(wanted)} filter(s)"] * bool(wanted))
        st.caption(f"Nothing matches {asked} among {len(images):,} images.")
        return chosen

    size = MORE if more else PAGE
    start = _start(key, found, chosen, size, (words, tuple(wanted.items())))
    visible = found[start : start + size]
    items = [{"key": image.name, "label": _label(image), "uri": thumbnail(image)} for image in visible]
    _grid(
        data={
            "items": items,
            "chosen": chosen.name,
            "strip": not more,
            "from": start + 1,
            "to": start + len(visible),
            "total": len(found),
        },
        key=f"{key}_grid",
        on_picked_change=partial(_picked, key),
        on_turned_change=partial(_turned, key, size),
    )
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


def _found(
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


def _start(key: str, found: Sequence[VehicleImage], chosen: VehicleImage, size: int, asked: tuple) -> int:
    """Where the visible page starts: as turned to, but at the chosen image once that, or what is asked for, changes."""
    kept = st.session_state.get(f"{key}_start")
    state = (asked, size, len(found), chosen.name)
    if kept is not None and kept[0] == state and kept[1] < len(found):
        return kept[1]
    at = next((at for at, image in enumerate(found) if image is chosen), 0)
    start = at // size * size
    if kept is not None and kept[0][:3] == state[:3] and kept[1] <= at < kept[1] + size:
        start = kept[1]
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


def _label(image: VehicleImage) -> str:
    return f"{image.vehicle_id} · {image.camera_id}" if image.camera_id else image.vehicle_id
