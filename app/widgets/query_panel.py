"""One query in small: its picture, what both models list first, and the way to other pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import streamlit as st

from app.widgets.links import linked
from app.widgets.page import VIEWS, as_page
from app.widgets.rank_list import BLUE, GREEN, RED
from ssrnet.data.records import VehicleImage

STYLE = f"""
<style>
.panel {{ font-size: 0.85rem; display: grid; gap: 0.7rem; }}
.panel .head {{ display: flex; gap: 0.8rem; align-items: flex-start; flex-wrap: wrap; }}
.panel .head div {{ flex: 1 1 9rem; overflow-wrap: anywhere; line-height: 1.4; }}
.panel img {{ object-fit: cover; display: block; border: 4px solid; border-radius: 6px; box-sizing: border-box; }}
.panel .head img {{ width: 150px; height: 108px; border-color: {BLUE}; }}
.panel .hits {{ display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.4rem; }}
.panel figure {{ margin: 0; line-height: 1.25; }}
.panel figure img {{ width: 100%; height: 78px; }}
.panel .hit img {{ border-color: {GREEN}; }} .panel .hit b {{ color: {GREEN}; }}
.panel .error img {{ border-color: {RED}; }} .panel .error b {{ color: {RED}; }}
.panel p {{ margin: 0 0 0.25rem 0; }}
</style>
"""
LISTED = 3
LINKS = {"retrieval": "Open this query in Retrieval", "attention": "Where the models look in it", "graph": "Its graph"}
"""Pages that take the query along, where they are registered."""


class Listed(NamedTuple):
    """A gallery image at a rank, with its picture's URI."""

    rank: int
    match: bool
    image: VehicleImage
    uri: str


def query_panel(
    query: VehicleImage, uri: str, sentences: Sequence[str], models: Sequence[tuple[str, str, Sequence[Listed]]]
) -> None:
    """The panel; ``models`` are title, a note such as its AP, and its first images that are not junk."""
    said = "".join(f"<br>{escape(sentence)}" for sentence in sentences)
    picture = f'<img src="{uri}" alt="{escape(f"query {query.name}", quote=True)}">'
    words = f"<div><b>{escape(query.name)}</b>{said}</div>"
    parts = [f'{STYLE}<div class="panel"><div class="head">{picture}{words}</div>']
    for title, note, listed in models:
        figures = "".join(_figure(each) for each in listed)
        parts.append(f'<div><p><b>{escape(title)}</b> {escape(note)}</p><div class="hits">{figures}</div></div>')
    st.html("".join([*parts, "</div>"]))
    for view, label in LINKS.items():
        if view in VIEWS:
            st.page_link(as_page(view), label=label, icon=VIEWS[view].icon, query_params=linked(query=query.name))


def _figure(listed: Listed) -> str:
    kind, sign = ("hit", "✓") if listed.match else ("error", "✗")
    image = listed.image
    alt = f"rank {listed.rank}, {'same' if listed.match else 'another'} vehicle: {image.vehicle_id}, {image.name}"
    camera = f" · {escape(image.camera_id)}" if image.camera_id else ""
    return (
        f'<figure class="{kind}" title="{escape(image.name, quote=True)}">'
        f'<img src="{listed.uri}" alt="{escape(alt, quote=True)}">'
        f"<figcaption><b>{listed.rank} {sign}</b> {escape(image.vehicle_id)}{camera}</figcaption></figure>"
    )
