"""A block of pictures, each a button."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from ssrnet.data.records import VehicleImage

_CSS = """
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(88px, 1fr)); gap: 0.4rem;
  max-height: 460px; overflow-y: auto; }
button { all: unset; box-sizing: border-box; cursor: pointer; border: 3px solid transparent; border-radius: 8px;
  overflow: hidden; font: 0.72rem/1.3 var(--st-font); color: var(--st-text-color); text-align: center; }
button:hover { border-color: var(--st-border-color); }
button:focus-visible { border-color: var(--st-primary-color); }
button[aria-pressed="true"] { border-color: #2563eb; }
img { width: 100%; height: 68px; object-fit: cover; display: block; border-radius: 5px; }
"""

_JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const focused = parentElement.activeElement?.dataset?.key;
  const buttons = data.items.map((item) => {
    const button = document.createElement("button");
    button.dataset.key = button.title = item.key;
    button.setAttribute("aria-pressed", String(item.key === data.chosen));
    const image = document.createElement("img");
    image.src = item.uri;
    image.alt = item.label;
    const label = document.createElement("div");
    label.textContent = item.label;
    button.append(image, label);
    button.onclick = () => setTriggerValue("picked", item.key);
    return button;
  });
  parentElement.querySelector(".pictures").replaceChildren(...buttons);
  buttons.find((button) => button.dataset.key === focused)?.focus();
}
"""

_component = st.components.v2.component("thumbnails", html='<div class="pictures"></div>', css=_CSS, js=_JS)


def thumbnails(
    key: str,
    images: Sequence[VehicleImage],
    thumbnail: Callable[[VehicleImage], str],
    chosen: str | None,
    on_pick: Callable[[str], None],
) -> None:
    """Draws all ``images``; ``chosen`` is the name that is marked, ``on_pick`` hears the name of one that is clicked."""
    items = [
        {
            "key": image.name,
            "uri": thumbnail(image),
            "label": " · ".join(filter(None, (image.vehicle_id, image.camera_id))),
        }
        for image in images
    ]

    def picked() -> None:
        name = st.session_state[key].picked
        if name:
            on_pick(name)

    _component(key=key, data={"items": items, "chosen": chosen}, on_picked_change=picked)
