"""Ranked gallery images as rows of framed pictures, one row a model (paper Figs. 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from ssrnet.data.records import VehicleImage
from ssrnet.retrieval.ranking import Hit

BLUE, GREEN, RED, GREY = "#2563eb", "#16a34a", "#dc2626", "#9ca3af"

STYLE = f"""
<style>
.ranks {{ display: grid; row-gap: 1.2rem; font-size: 0.8rem; }}
.ranks .row {{ display: flex; gap: 0.55rem; overflow-x: auto; align-items: flex-start; padding-bottom: 0.3rem; }}
.ranks .title {{ font-weight: 600; font-size: 0.95rem; margin: 0 0 0.35rem 0; }}
.ranks .title span {{ font-weight: 400; opacity: 0.75; margin-left: 0.6rem; }}
.ranks figure {{ margin: 0; flex: 0 0 auto; width: 132px; }}
.ranks img {{ width: 132px; height: 118px; object-fit: cover; display: block; border: 5px solid; border-radius: 6px;
  box-sizing: border-box; }}
.ranks figcaption {{ line-height: 1.25; padding-top: 0.2rem; }}
.ranks .query img {{ border-color: {BLUE}; }} .ranks .query b {{ color: {BLUE}; }}
.ranks .hit img {{ border-color: {GREEN}; }} .ranks .hit b {{ color: {GREEN}; }}
.ranks .error img {{ border-color: {RED}; }} .ranks .error b {{ color: {RED}; }}
.ranks .junk img {{ border-color: {GREY}; opacity: 0.65; }} .ranks .junk b {{ color: {GREY}; }}
.ranks .gap {{ flex: 0 0 1px; align-self: stretch; background: currentColor; opacity: 0.2; margin: 0 0.3rem; }}
</style>
"""


@dataclass(frozen=True)
class RankRow:
    """One model's ranked list for the query; ``note`` stands beside its title."""

    title: str
    hits: Sequence[Hit]
    note: str = ""


def rank_list(
    query: VehicleImage, rows: Sequence[RankRow], gallery: Sequence[VehicleImage], thumbnails: Mapping[str, str]
) -> None:
    """Draws the rows; ``thumbnails`` maps the name of the query and of every listed image to a picture's URI."""
    parts = [STYLE, '<div class="ranks">']
    for row in rows:
        pictures = [_figure("query", thumbnails[query.name], query, "<b>Query</b>"), '<div class="gap"></div>']
        for hit in row.hits:
            image = gallery[hit.index]
            kind = "junk" if hit.rank is None else "hit" if hit.match else "error"
            sign = {"junk": "junk", "hit": f"{hit.rank} ✓", "error": f"{hit.rank} ✗"}[kind]
            pictures.append(_figure(kind, thumbnails[image.name], image, f"<b>{sign}</b> · {hit.distance:.3f}"))
        parts.append(
            f'<div><p class="title">{escape(row.title)}<span>{escape(row.note)}</span></p>'
            f'<div class="row">{"".join(pictures)}</div></div>'
        )
    st.html("".join([*parts, "</div>"]))


def legend() -> None:
    """What the frames mean, in words and signs as well as colours."""
    st.caption(
        ":blue[■] query  :green[■] ✓ same vehicle  :red[■] ✗ another vehicle  :grey[■] junk: the query's vehicle seen "
        "by the query's camera, which counts neither way. Numbers: rank and distance."
    )


def _figure(kind: str, uri: str, image: VehicleImage, heading: str) -> str:
    camera = f" · {escape(image.camera_id)}" if image.camera_id else ""
    label = f"{kind}: vehicle {image.vehicle_id}, {image.name}"
    return (
        f'<figure class="{kind}" title="{escape(image.name, quote=True)}">'
        f'<img src="{uri}" alt="{escape(label, quote=True)}">'
        f"<figcaption>{heading}<br>{escape(image.vehicle_id)}{camera}</figcaption></figure>"
    )
