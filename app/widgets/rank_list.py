"""Ranked gallery images as rows of framed pictures, one row a model (paper Figs. 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st
from PIL import Image, ImageOps

from app.widgets.prints import Cell, Row, pictures_export
from app.workbench.images import thumbnail
from ssrnet.analysis.paper_figures import ASPECT, BLUE, GREEN, GREY, RED
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError
from ssrnet.retrieval.ranking import Hit, Ranking

CSS = f"""
.ranks {{ display: grid; grid-template-columns: minmax(0, 1fr); row-gap: 1.2rem; font-size: 0.8rem; }}
.ranks .row {{ display: flex; gap: 0.55rem; overflow-x: auto; align-items: flex-start; padding: 4px 4px 0.3rem 4px; }}
.ranks .title {{ font-weight: 600; font-size: 0.95rem; margin: 0 0 0.35rem 0; }}
.ranks .title span {{ font-weight: 400; opacity: 0.75; margin-left: 0.6rem; }}
.ranks figure {{ margin: 0; flex: 0 1 132px; min-width: 104px; border-radius: 6px; }}
.ranks img {{ width: 100%; height: 118px; object-fit: cover; display: block; border: 5px solid; border-radius: 6px;
  box-sizing: border-box; }}
.ranks figcaption {{ line-height: 1.25; padding: 0.2rem 5px 0.15rem 5px; overflow-wrap: anywhere; }}
.ranks .query img {{ border-color: {BLUE}; }} .ranks .query b {{ color: {BLUE}; }}
.ranks .hit img {{ border-color: {GREEN}; }} .ranks .hit b {{ color: {GREEN}; }}
.ranks .error img {{ border-color: {RED}; }} .ranks .error b {{ color: {RED}; }}
.ranks .junk img {{ border-color: {GREY}; opacity: 0.65; }} .ranks .junk b {{ color: {GREY}; }}
.ranks .gap {{ flex: 0 0 1px; align-self: stretch; background: currentColor; opacity: 0.2; margin: 0 0.3rem; }}
"""

_CLICKABLE_CSS = """
.ranks { font-family: var(--st-font); color: var(--st-text-color); line-height: 1.5; }
.ranks figure[role="button"] { cursor: pointer; }
.ranks figure[role="button"]:hover img { filter: brightness(1.1); }
.ranks figure[role="button"]:focus { outline: none; }
.ranks figure[role="button"]:focus-visible { outline: 2px dashed var(--st-text-color); outline-offset: 2px; }
.ranks figure[aria-pressed="true"] { box-shadow: 0 0 0 3px var(--st-text-color); }
@media (max-width: 640px) {
  .ranks figure { flex: 0 0 108px; }
  .ranks img { height: 96px; }
  .ranks .title span { display: block; margin-left: 0; }
}
"""

_JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const place = parentElement.querySelector(".place");
  if (place.shown !== data.html) {
    const focused = parentElement.activeElement?.dataset?.at;
    place.shown = data.html;
    place.innerHTML = data.html;  // every name in it has been escaped
    if (focused !== undefined) place.querySelector(`[data-at="${focused}"]`)?.focus();
  }
  const rows = [...place.querySelectorAll(".row")].map((row) => [...row.querySelectorAll("[role=button]")]);
  for (const row of rows) {
    const chosen = row.findIndex((figure) => figure.dataset.name === data.chosen);
    row.forEach((figure, at) => {
      figure.setAttribute("aria-pressed", String(at === chosen));
      figure.tabIndex = at === Math.max(0, chosen) ? 0 : -1;  // one stop a row for the Tab key
    });
  }
  const choose = (figure) => setTriggerValue("picked", figure.dataset.name);
  place.onclick = (event) => {
    const figure = event.target.closest("[role=button]");
    if (figure) choose(figure);
  };
  place.onkeydown = (event) => {
    const figure = event.target.closest("[role=button]");
    if (!figure) return;
    const y = rows.findIndex((row) => row.includes(figure));
    const x = rows[y].indexOf(figure);
    const to = {
      ArrowRight: rows[y][x + 1], ArrowLeft: rows[y][x - 1], Home: rows[y][0], End: rows[y].at(-1),
      ArrowDown: rows[y + 1]?.[Math.min(x, rows[y + 1].length - 1)],
      ArrowUp: rows[y - 1]?.[Math.min(x, rows[y - 1].length - 1)],
    }[event.key];
    if (to) to.focus();
    else if (event.key === "Enter" || event.key === " ") choose(figure);
    else return;
    event.preventDefault();
  };
}
"""

_clickable = st.components.v2.component("rank_list", html='<div class="place"></div>', css=CSS + _CLICKABLE_CSS, js=_JS)


@dataclass(frozen=True)
class RankRow:
    """One model's ranked list for the query; ``note`` stands beside its title."""

    title: str
    hits: Sequence[Hit]
    note: str = ""


def rank_list(
    query: VehicleImage,
    rows: Sequence[RankRow],
    gallery: Sequence[VehicleImage],
    key: str | None = None,
    chosen: str | None = None,
    on_pick: Callable[[str], None] | None = None,
) -> None:
    """Draws the rows.

    With ``on_pick`` (and a ``key``) the listed images can be clicked, and reached by Tab and arrows and chosen by
    Enter: it is called with the image's name before the page runs again. ``chosen`` is the name that is marked.
    """
    html = _rows(query, rows, gallery, on_pick is not None)
    if on_pick is None:
        st.html(f"<style>{CSS}</style>{html}")
        return

    def picked() -> None:
        name = st.session_state[key].picked
        if name:
            on_pick(name)

    _clickable(data={"html": html, "chosen": chosen}, key=key, on_picked_change=picked)


def ranks_export(name: str, query: VehicleImage, rows: Sequence[RankRow], gallery: Sequence[VehicleImage]) -> None:
    """Buttons that make the rows for paper, from the photographs themselves."""
    pictures_export(name, lambda: _printed(query, rows, gallery), key=name)


def _printed(query: VehicleImage, rows: Sequence[RankRow], gallery: Sequence[VehicleImage]) -> list[Row]:
    colours = {"hit": GREEN, "error": RED, "junk": GREY}
    printed = []
    for row in rows:
        cells = [Cell(_cut(query), f"Query {_name(query)}", BLUE)]
        for hit in row.hits:
            image, kind = gallery[hit.index], kind_of(hit)
            cells.append(Cell(_cut(image), f"{_sign(hit)} {hit.distance:.3f} {_name(image)}", colours[kind]))
        printed.append(Row(f"{row.title}: {row.note}" if row.note else row.title, cells))
    return printed


def _cut(image: VehicleImage) -> Image.Image:
    """The photograph cut to the shape that all have in a row; a grey field for one that cannot be read."""
    try:
        return ImageOps.fit(read_image(image.path), (400, round(400 * ASPECT)), Image.Resampling.LANCZOS)
    except DataError:
        return Image.new("RGB", (400, round(400 * ASPECT)), (128, 128, 128))


def standing(ranking: Ranking, query: int) -> str:
    """First hit and average precision of one query, in words."""
    first = int(ranking.first_hit[query])
    if first == 0:
        return "the gallery has no image that counts as a match"
    return f"first hit at rank {first}, AP {ranking.average_precision[query]:.3f}"


def legend() -> None:
    """What the frames mean, in words and signs as well as colours."""
    st.caption(
        ":blue[■] query  :green[■] ✓ same vehicle  :red[■] ✗ another vehicle  :grey[■] junk: the query's vehicle seen "
        "by the query's camera, which counts neither way. Numbers: rank and distance."
    )


def kind_of(hit: Hit) -> str:
    """hit, error or junk."""
    return "junk" if hit.rank is None else "hit" if hit.match else "error"


def _sign(hit: Hit) -> str:
    return {"junk": "junk", "hit": f"{hit.rank} ✓", "error": f"{hit.rank} ✗"}[kind_of(hit)]


def _name(image: VehicleImage) -> str:
    return f"{image.vehicle_id} · {image.camera_id}" if image.camera_id else image.vehicle_id


def _rows(query: VehicleImage, rows: Sequence[RankRow], gallery: Sequence[VehicleImage], clickable: bool) -> str:
    parts = ['<div class="ranks">']
    for y, row in enumerate(rows):
        pictures = [_figure("query", query, "<b>Query</b>"), '<div class="gap"></div>']
        for x, hit in enumerate(row.hits):
            image, kind = gallery[hit.index], kind_of(hit)
            reason = ""
            if kind == "junk":
                reason = "the query itself" if image.name == query.name else "same camera"
            heading = f"<b>{_sign(hit)}</b> · {hit.distance:.3f}"
            at = f"{y}.{x}" if clickable else None
            pictures.append(_figure(kind, image, heading, reason, at))
        parts.append(
            f'<div><p class="title">{escape(row.title)}<span>{escape(row.note)}</span></p>'
            f'<div class="row">{"".join(pictures)}</div></div>'
        )
    return "".join([*parts, "</div>"])


def _figure(kind: str, image: VehicleImage, heading: str, reason: str = "", at: str | None = None) -> str:
    label = f"{kind}: vehicle {image.vehicle_id}, {image.name}{f' ({reason})' if reason else ''}"
    name, alt = escape(image.name, quote=True), escape(label, quote=True)
    button = "" if at is None else f' role="button" data-at="{at}" data-name="{name}" aria-label="{alt}"'
    lines = [heading, escape(_name(image)), *([f"<i>{reason}</i>"] if reason else [])]
    return (
        f'<figure class="{kind}" title="{name}"{button}>'
        f'<img src="{thumbnail(image)}" alt="{alt}"><figcaption>{"<br>".join(lines)}</figcaption></figure>'
    )
