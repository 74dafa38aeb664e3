"""The network (paper Fig. 2) as a drawing whose blocks lead to pages."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from typing import Literal

from app.widgets.components import component
from ssrnet.model import BACKBONES, ModelSettings

_diagram = component("network_diagram")


@dataclass(frozen=True)
class Block:
    """``sub``, below the title, is SVG already; ``view`` is the page that it leads to."""

    title: str
    sub: str
    view: str
    absent: bool = False


@dataclass(frozen=True)
class Picture:
    """``svg`` in a frame of this ``size``, width and height; ``alt`` says what it shows."""

    size: tuple[float, float]
    svg: str
    alt: str


Layout = Literal["wide", "tall"]
PLACES: Mapping[Layout, Mapping[str, tuple[int, int, int]]] = {
    "wide": {
        "image": (2, 122, 120),
        "backbone": (158, 122, 150),
        "global": (340, 12, 176),
        "attention": (340, 122, 176),
        "regions": (340, 232, 176),
        "graph": (566, 232, 170),
        "embedding": (770, 122, 140),
        "ranking": (950, 122, 148),
        "scores": (950, 12, 148),
        "failures": (950, 232, 148),
    },
    "tall": {
        "image": (95, 2, 160),
        "backbone": (95, 92, 160),
        "global": (2, 192, 152),
        "attention": (178, 192, 152),
        "regions": (178, 282, 152),
        "graph": (178, 372, 152),
        "embedding": (95, 472, 160),
        "ranking": (95, 562, 160),
        "scores": (2, 658, 152),
        "failures": (178, 658, 152),
    },
}
"""Upper left corner and width of each block."""
TALL_SIZES, WIDE_SIZES = (348, 722), (1100, 302)
HEIGHT, PICTURE = 58, 92
"""Of a block, and of what a picture in it adds."""
PICTURE_ROWS: Mapping[Layout, tuple[int, ...]] = {"wide": (186, 290), "tall": (60, 250, 340, 430, 620)}
"""Lower edges of the blocks that have pictures, with tips of arrows that end there: what lies below moves down."""
EDGES: Mapping[Layout, Mapping[str, tuple[str, ...]]] = {
    "wide": {
        "": ("M122 151H152", "M308 151H334", "M910 151H944", "M1024 122V76", "M1024 180V226"),
        "global": ("M322 151V41H334", "M516 30H840V116"),
        "attention": ("M516 151H764",),
        "regions": ("M428 180V226", "M516 261H560"),
        "graph": ("M516 52H651V226", "M736 261H840V186"),
    },
    "tall": {
        "": ("M175 60V86", "M175 530V556", "M110 620V652", "M240 620V652"),
        "global": ("M120 150V186", "M30 250V501H89"),
        "attention": ("M230 150V186", "M330 221H342V501H261"),
        "regions": ("M254 250V276", "M254 340V366"),
        "graph": ("M78 250V401H172", "M220 430V466"),
    },
}
"""Arrows as SVG paths, by the block without which they are not."""


def network_diagram(
    settings: ModelSettings,
    cells: int | None,
    views: Collection[str],
    key: str,
    pictures: Mapping[str, Picture] | None = None,
) -> str | None:
    """Draws the network; the page that was clicked, else None.

    ``cells``: the side of F_G where it is known. Only blocks whose page is among ``views`` are links; those that the
    network of ``settings`` does not have are dashed and say so. ``pictures``: what is drawn in blocks, by their names
    in :data:`PLACES`.
    """
    blocks = _blocks(settings, cells)
    drawn = "".join(_svg(layout, blocks, views, pictures or {}) for layout in ("wide", "tall"))
    return _diagram(data={"svg": drawn}, key=key, on_opened_change=lambda: None).opened


def _blocks(settings: ModelSettings, cells: int | None) -> dict[str, Block]:
    graphed = settings.has_graph
    branches = ["G"] + ["attn"] * settings.attention_branch + ["token"] * settings.relation_branch
    nodes = 5 + settings.global_node + settings.token_node
    size = f": {cells} × {cells} cells" if cells else ""
    F_G, F_attn = _symbol("F", "G"), _symbol("F", "attn")
    source = F_attn if settings.attention_branch else F_G
    crops = f"of {source}, λ = {ratio_in_words(settings.crop_ratio)}"
    attention = f"{_symbol('M', 'c')}, {_symbol('M', 's')} → {F_attn}"
    return {
        "image": Block("Image", "of one vehicle", "images"),
        "backbone": Block(BACKBONES[settings.backbone].title, f"{F_G}{size}", "attention"),
        "global": Block("Global branch", f"average of {F_G} → {_symbol('f', 'G')}", "attention"),
        "attention": Block("Attention branch", attention, "attention", not settings.attention_branch),
        "regions": Block("Five regions", crops, "regions", not graphed),
        "graph": Block(f"Graph of {nodes} nodes", f"{settings.gcn_depth} graph convolutions", "graph", not graphed),
        "embedding": Block("Embedding", ", ".join(_symbol("f", each) for each in branches), "map"),
        "ranking": Block("Ranked gallery", "nearest first", "retrieval"),
        "scores": Block("Scores", "Rank-1, mAP", "scoreboard"),
        "failures": Block("Failures", "query by query", "failures"),
    }


def _svg(layout: Layout, blocks: Mapping[str, Block], views: Collection[str], pictures: Mapping[str, Picture]) -> str:
    width, height = WIDE_SIZES if layout == "wide" else TALL_SIZES

    def moved(y: int) -> int:
        # Lines start at the lower edge of a block without a picture: a taller one covers their first part.
        return y + PICTURE * sum(y > edge for edge in PICTURE_ROWS[layout]) if pictures else y

    height = moved(height)
    head = (
        f'<svg class="{layout}" viewBox="0 0 {width} {height}" role="group" aria-label="The network, from image to '
        f'ranked gallery"><defs><marker id="tip-{layout}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8Z"/></marker></defs>'
    )
    parts = [head]
    for owner, paths in EDGES[layout].items():
        if not owner or not blocks[owner].absent:
            paths = [re.sub(r"(M\d+ |V)(\d+)", lambda m: f"{m[1]}{moved(int(m[2]))}", path) for path in paths]
            parts += [f'<path d="{path}" marker-end="url(#tip-{layout})"/>' for path in paths]
    for name, block in blocks.items():
        x, y, across = PLACES[layout][name]
        parts.append(_draw(block, (x, moved(y), across), views, pictures.get(name)))
    return "".join([*parts, "</svg>"])


def _draw(block: Block, place: tuple[int, int, int], views: Collection[str], picture: Picture | None) -> str:
    x, y, width = place
    middle = x + width / 2
    inside = (
        f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT + PICTURE * (picture is not None)}" rx="9"/>'
        f'<text class="title" x="{middle}" y="{y + 25}">{escape(block.title)}</text>'
        f'<text class="sub" x="{middle}" y="{y + 45}">'
        f"{'not in this model' if block.absent else block.sub}</text>"
    )
    if picture is not None:
        frame = "0 0 {:.1f} {:.1f}".format(*picture.size)
        inside += (
            f'<svg class="picture" x="{x + 6}" y="{y + HEIGHT}" width="{width - 12}" height="{PICTURE - 8}" '
            f'viewBox="{frame}">{picture.svg}</svg>'
        )
    if block.absent or block.view not in views:
        return f'<g class="{"absent" if block.absent else "plain"}">{inside}</g>'
    shows = f"; shows {picture.alt}" if picture else ""
    label = escape(f"{block.title}: open the page {block.view}{shows}", quote=True)
    return f'<a data-view="{block.view}" tabindex="0" aria-label="{label}">{inside}</a>'


def ratio_in_words(ratio: float) -> str:
    """2/3 rather than 0.667; digits where no small fraction is meant."""
    fraction = Fraction(ratio).limit_denominator(16)
    return str(fraction) if abs(float(fraction) - ratio) < 1e-6 else f"{ratio:.3g}"


def _symbol(letter: str, below: str) -> str:
    """A letter with what stands below it; ``dy`` is what every browser knows."""
    return (
        f'<tspan font-style="italic">{letter}</tspan><tspan dy="3" font-size="75%">{below}</tspan>'
        '<tspan dy="-3">\u200b</tspan>'
    )
