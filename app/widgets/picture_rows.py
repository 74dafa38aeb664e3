"""Rows of a few pictures each, with words beside them; a picture may be clicked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import streamlit as st

from app.widgets.rank_list import BLUE, GREEN, RED

_CSS = f"""
.rows {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr)); gap: 0.9rem 1.4rem;
  font: 0.85rem/1.35 var(--st-font); color: var(--st-text-color); }}
.row {{ display: flex; flex-direction: column; gap: 0.35rem; border-top: 1px solid var(--st-border-color);
  padding-top: 0.5rem; min-width: 0; }}
.row b {{ font-weight: 600; overflow-wrap: anywhere; }}
.row span {{ opacity: 0.75; }}
.pictures {{ display: flex; gap: 0.5rem; flex-wrap: wrap; align-items: flex-start; }}
figure {{ margin: 0; width: 118px; }}
button {{ all: unset; display: block; border-radius: 7px; }}
button.open {{ cursor: pointer; }}
button.open:hover, button.open:focus-visible {{ outline: 2px solid var(--st-primary-color); outline-offset: 2px; }}
img {{ width: 118px; height: 88px; object-fit: cover; display: block; border: 4px solid; border-radius: 6px;
  box-sizing: border-box; border-color: var(--st-border-color); }}
figcaption {{ padding-top: 0.15rem; font-size: 0.78rem; overflow-wrap: anywhere; }}
.query img {{ border-color: {BLUE}; }} .hit img {{ border-color: {GREEN}; }} .error img {{ border-color: {RED}; }}
"""

_JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text) element.textContent = text;
    return element;
  };
  parentElement.querySelector(".rows").replaceChildren(...data.rows.map((row) => {
    const line = make("div", "row");
    const words = make("div");
    words.append(make("b", "", row.heading), " ", make("span", "", row.note));
    const pictures = make("div", "pictures");
    for (const picture of row.pictures) {
      const figure = make("figure", picture.kind);
      const button = make("button", picture.opens ? "open" : "");
      const image = make("img");
      image.src = picture.uri;
      image.alt = picture.alt;
      button.append(image);
      if (picture.opens) {
        button.title = data.title;
        button.onclick = () => setTriggerValue("picked", picture.opens);
      } else button.disabled = true;
      figure.append(button, make("figcaption", "", picture.caption));
      pictures.append(figure);
    }
    line.append(words, pictures);
    return line;
  }));
}
"""

_rows = st.components.v2.component("picture_rows", html='<div class="rows"></div>', css=_CSS, js=_JS)


@dataclass(frozen=True)
class Picture:
    """``kind``: query, hit, error or plain, which gives the frame; ``opens``: what a click returns, or nothing."""

    uri: str
    alt: str
    caption: str
    kind: str = "plain"
    opens: str = ""


@dataclass(frozen=True)
class PictureRow:
    heading: str
    note: str
    pictures: Sequence[Picture]


def picture_rows(rows: Sequence[PictureRow], key: str, title: str) -> str | None:
    """Draws the rows, two or three beside each other; what the picture that was clicked ``opens``, else None.

    ``title`` says in a tooltip what a click does.
    """
    data = {"rows": [asdict(row) for row in rows], "title": title}
    return _rows(data=data, key=key, on_picked_change=lambda: None).picked
