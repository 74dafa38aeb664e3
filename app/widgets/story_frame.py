"""What the stages of the Story page have in common: pictures on one side, what comes in, the equation, what goes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import NamedTuple

import streamlit as st
from PIL import Image
from torch import Tensor

from app.widgets.components import stylesheet
from app.widgets.map_colours import STYLE as BAR_STYLE
from app.widgets.map_colours import bar_html
from app.widgets.prints import Bar, Cell, Row, from_uri, pictures_export
from app.widgets.symbols import as_html, typeset
from app.workbench.story import Painted, Story
from ssrnet.explain.attention import attended_length, global_length

STYLE = stylesheet("story") + BAR_STYLE
PRINTED = (1024, 64)
"""Pixels of a printed strip."""


class Tile(NamedTuple):
    """A picture with its words, and the colour bar of a map."""

    picture: Painted
    alt: str
    caption: str

    @property
    def bar(self) -> Bar | None:
        _, scale, colours = self.picture
        return None if scale is None else Bar(scale, colours)


@dataclass(frozen=True)
class Handed:
    """What a stage hands to the next: its name, its tensor's shape in words, and its picture."""

    name: str
    shape: str
    picture: Painted


def shape_of(tensor: Tensor) -> str:
    """ "1 × 2,048 × 16 × 16"."""
    return " × ".join(f"{side:,}" for side in tensor.shape)


def tiles(pictures: Sequence[Tile], across: int, export: str = "") -> None:
    """Pictures with their words below them, ``across`` side by side; ``export`` names the exported files, if any."""
    st.html(f'{STYLE}<div class="tiles" style="--across: {across}">{"".join(map(_figure, pictures))}</div>')
    cells = [Cell(from_uri(tile.picture.uri), tile.caption, bar=tile.bar) for tile in pictures]
    rows = [Row("", cells[at : at + across]) for at in range(0, len(cells), across)]
    if export:
        pictures_export(export, lambda: rows, key=export)


def strips(pictures: Sequence[Tile], export: str) -> None:
    """Vectors as coloured strips, one below the other."""
    st.html(f'{STYLE}<div class="strips">{"".join(map(_figure, pictures))}</div>')

    def rows() -> list[Row]:
        flat = [from_uri(tile.picture.uri).resize(PRINTED, Image.Resampling.NEAREST) for tile in pictures]
        return [Row("", [Cell(strip, tile.caption, bar=tile.bar)]) for strip, tile in zip(flat, pictures, strict=True)]

    pictures_export(export, rows, key=export)


def words(takes: Handed | None, equation: str, gives: Handed, sentences: Sequence[str]) -> None:
    """What stands beside a stage's picture."""
    if takes is not None:
        st.html(f"{STYLE}{taken(takes)}")
    st.latex(equation)
    st.html(f'{STYLE}<div class="gives">gives <b>{as_html(gives.name)}</b><br>{as_html(gives.shape)}</div>')
    for sentence in sentences:
        st.markdown(typeset(sentence))


def taken(takes: Handed) -> str:
    """The picture of what a stage takes, with its name and shape."""
    tile = Tile(takes.picture, f"{takes.name}, from the stage before", "")
    picture = f'<img src="{takes.picture.uri}" alt="{escape(tile.alt, quote=True)}">{_bar(tile)}'
    return (
        f'<figure class="handed"><div>{picture}</div><figcaption>takes <b>{as_html(takes.name)}</b><br>'
        f"{as_html(takes.shape)}</figcaption></figure>"
    )


def sides() -> tuple:
    """The columns of a stage: its picture, and its words."""
    return st.columns([3, 2], gap="medium")


def handed(story: Story) -> dict[str, Handed]:
    """What each stage of this network hands on, by the stage's key, in their order; those that it has."""
    trace, side = story.trace, story.model.predictor.image_size
    maps = shape_of(trace.F_G)
    found = {"photograph": Handed("the input x", f"1 × 3 × {side} × {side}", Painted(story.square_uri()))}
    lengths = {"|F_G|": global_length(trace)[0]}
    if trace.M_c is not None:
        lengths["|F_c|"] = global_length(replace(trace, F_G=trace.M_c * trace.F_G))[0]
    if trace.M_s is not None:
        lengths["|F_attn|"] = attended_length(trace)[0]
    painted = {name: story.over(name, cells, lengths.values()) for name, cells in lengths.items()}
    found["F_G"] = Handed("F_G", maps, painted["|F_G|"])
    if trace.M_c is not None:
        name = "F_attn" if trace.M_s is None else "F_c"
        found["M_c"] = Handed(name, f"{maps}, by M_c of {shape_of(trace.M_c)}", painted["|F_c|"])
    if trace.M_s is not None:
        found["M_s"] = Handed("F_attn", f"{maps}, by M_s of {shape_of(trace.M_s)}", painted["|F_attn|"])
    if trace.H:
        H_l = f"H({len(trace.H) - 1})"
        found["regions"] = Handed("H(0)", shape_of(trace.H[0]), story.strip("H(0)", trace.H[0][0]))
        found["graph"] = Handed(H_l, shape_of(trace.H[-1]), story.strip(H_l, trace.H[-1][0]))
        found["token"] = Handed("f_token", shape_of(trace.f_token), story.strip("f_token", trace.f_token))
    embedding = trace.embedding()
    found["embedding"] = Handed("the embedding f", shape_of(embedding), story.strip("f", embedding))
    return found


def _figure(tile: Tile) -> str:
    return (
        f'<figure><img src="{tile.picture.uri}" alt="{escape(tile.alt, quote=True)}">{_bar(tile)}'
        f"<figcaption>{as_html(tile.caption)}</figcaption></figure>"
    )


def _bar(tile: Tile) -> str:
    return bar_html(tile.bar) if tile.bar else ""
