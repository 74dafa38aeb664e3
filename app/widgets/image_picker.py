"""A page of thumbnails of which one is chosen by click or keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

PAGE = 9


@dataclass(frozen=True)
class Choice:
    """One picture to choose: ``key`` comes back, ``label`` stands below it."""

    key: str
    label: str
    search: str = ""
    """Further words that the search box finds it by."""


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


def image_picker(key: str, choices: Sequence[Choice], thumbnail: Callable[[str], str]) -> str | None:
    """The key of the chosen picture, the first at the start; None where there is none to choose.

    ``thumbnail`` gives the URI of a key's picture, and is asked for the visible page alone. The
    choice is kept in the URL under ``key``.
    """
    if not choices:
        return None
    search, pager = st.columns([4, 1], vertical_alignment="bottom")
    words = search.text_input("Search", key=f"{key}_search", placeholder="vehicle, camera, type or file name")
    found = [c for c in choices if all(w in f"{c.key} {c.label} {c.search}".lower() for w in words.lower().split())]
    keys = [choice.key for choice in choices]
    chosen = st.query_params.get(key)
    if chosen not in keys:
        chosen = keys[0]
    if not found:
        st.caption(f"Nothing matches “{words}” among {len(choices):,} images.")
        return chosen

    pages = -(-len(found) // PAGE)
    page = 1
    if pages > 1:
        at = next((i for i, choice in enumerate(found) if choice.key == chosen), 0)
        page = pager.number_input(f"Page, of {pages:,}", 1, pages, at // PAGE + 1, key=f"{key}_page_{pages}_{words}")
    visible = found[(page - 1) * PAGE : page * PAGE]
    items = [{"key": choice.key, "label": choice.label, "uri": thumbnail(choice.key)} for choice in visible]
    result = _grid(data={"items": items, "chosen": chosen}, key=f"{key}_grid", on_picked_change=lambda: None)
    if result.picked and result.picked != chosen:
        st.query_params[key] = result.picked
        st.rerun()
    return chosen
