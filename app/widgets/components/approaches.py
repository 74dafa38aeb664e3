"""Four ways to describe a vehicle, from its whole image to SSR-Net's relations: what the paper's Fig. 1 compares."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from app.widgets.components import component
from ssrnet.model.graph import CORNER_RING

_figures = component("approaches")


class Approach(NamedTuple):
    """``drawing`` is SVG; ``alt`` says what is drawn, and ``caption`` what it means."""

    title: str
    caption: str
    alt: str
    drawing: str


Point = tuple[int, int]
REGIONS: dict[str, Point] = {"ul": (34, 44), "ur": (86, 44), "mid": (60, 70), "dl": (34, 96), "dr": (86, 96)}
"""Centres of the five regions in the drawing of the vehicle."""
TOKEN, GLOBAL = (134, 70), (134, 24)
CAR = (
    '<path class="car" d="M18 98V74Q18 66 27 63L38 40Q41 34 49 34H71Q79 34 82 40L93 63Q102 66 102 74V98Z"/>'
    '<path class="car" d="M40 61L48 43H72L80 61ZM23 71H37V79H23ZM83 71H97V79H83ZM49 81H71V90H49ZM25 98H40V107H25ZM80 98H95V107H80Z"/>'
)
FRAME = '<rect class="frame" x="8" y="18" width="104" height="104"/>'
SIDE = 34
"""Of a region in the drawing."""


def approaches() -> None:
    """Four small drawings with their captions, side by side where there is room."""
    figures = "".join(
        f'<figure><svg viewBox="0 0 220 140" role="img" aria-label="{escape(each.alt, quote=True)}">{CAR}{each.drawing}</svg>'
        f"<figcaption><b>({letter}) {escape(each.title)}.</b> {escape(each.caption)}</figcaption></figure>"
        for letter, each in zip("abcd", APPROACHES)
    )
    _figures(data={"html": figures}, key="approaches")


def _line(kind: str, a: Point, b: Point) -> str:
    return f'<line class="{kind}" x1="{a[0]}" y1="{a[1]}" x2="{b[0]}" y2="{b[1]}"/>'


def _node(at: Point, kind: str = "", letter: str = "") -> str:
    word = f'<text class="in" x="{at[0]}" y="{at[1]}">{letter}</text>' if letter else ""
    return f'<circle class="{kind}" cx="{at[0]}" cy="{at[1]}" r="{8 if letter else 5.5}"/>{word}'


def _arrow(y: int, start: int = 118) -> str:
    return f'<path class="arrow" d="M{start} {y}H166"/><path class="tip" d="M166 {y - 4}L174 {y}L166 {y + 4}Z"/>'


def _feature(y: int, height: int, kind: str, word: str = "") -> str:
    """A feature vector as a bar, and its name beside it."""
    name = f'<text x="205" y="{y + height / 2 + 4}">{word}</text>' if word else ""
    return f'<rect class="feature {kind}" x="178" y="{y}" width="10" height="{height}"/>{name}'


def _parts() -> str:
    half = SIDE // 2
    return "".join(
        f'<rect class="frame" x="{x - half}" y="{y - half}" width="{SIDE}" height="{SIDE}"/>'
        for x, y in REGIONS.values()
    )


def _part_features(top: int) -> str:
    return "".join(_feature(top + 15 * i, 12, "", "parts" if i == 2 else "") for i in range(5))


def _relations() -> str:
    """Blue lines between neighbouring regions, and the regions as nodes."""
    edges = [*CORNER_RING, *((corner, "mid") for corner in REGIONS if corner != "mid")]
    lines = "".join(_line("local", REGIONS[a], REGIONS[b]) for a, b in edges)
    return lines + "".join(_node(at) for at in REGIONS.values())


def _with_the_whole() -> str:
    """Red lines from the global node to the token, and from the token to every region."""
    lines = "".join(_line("global", TOKEN, at) for at in (GLOBAL, *REGIONS.values()))
    return lines + _relations() + _node(TOKEN, "token", "T") + _node(GLOBAL, "image", "G")


APPROACHES = (
    Approach(
        "Global features",
        "One feature of the whole image.",
        "A vehicle in one frame; an arrow leads to one feature",
        FRAME + _arrow(70) + _feature(30, 80, "whole", "whole"),
    ),
    Approach(
        "Global and local features",
        "Parts add detail, each part by itself.",
        "A vehicle in one frame and in five smaller ones; arrows lead to a feature of the whole and to five of parts",
        FRAME + _parts() + _arrow(30) + _arrow(90) + _feature(12, 36, "whole", "whole") + _part_features(56),
    ),
    Approach(
        "Relations among parts",
        "Parts know their neighbours (blue), not the whole.",
        "A vehicle with five regions, which blue lines join; an arrow leads to five features of parts",
        _relations() + _arrow(70) + _part_features(34),
    ),
    Approach(
        "SSR-Net",
        "Parts know their neighbours (blue) and, by the token T, the whole G (red).",
        "A vehicle with five regions, which blue lines join; red lines join a token to each region and to a global "
        "node; an arrow leads from the token to one feature",
        _with_the_whole() + _arrow(70, 145) + _feature(30, 80, "whole", "token"),
    ),
)
