"""What the stages of the Story page have in common: pictures on one side, what comes in, the equation, what goes out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import NamedTuple

import streamlit as st
from torch import Tensor

from app.widgets.components import stylesheet
from app.widgets.symbols import typeset
from app.workbench.story import Story
from ssrnet.explain.attention import attended_length, global_length

STYLE = stylesheet("story")


class Tile(NamedTuple):
    """A picture as a data URI with its words."""

    uri: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Handed:
    """What a stage hands to the next: its name, its tensor's shape in words, and its picture as a data URI."""

    name: str
    shape: str
    uri: str


def shape_of(tensor: Tensor) -> str:
    """ "1 × 2,048 × 16 × 16"."""
    return " × ".join(f"{side:,}" for side in tensor.shape)


def tiles(pictures: Sequence[Tile], across: int) -> None:
    """Pictures with their words below them, ``across`` of them side by side."""
    st.html(f'{STYLE}<div class="tiles" style="--across: {across}">{"".join(map(_figure, pictures))}</div>')


def strips(pictures: Sequence[Tile]) -> None:
    """Vectors as coloured strips, one below the other."""
    st.html(f'{STYLE}<div class="strips">{"".join(map(_figure, pictures))}</div>')


def words(takes: Handed | None, equation: str, gives: Handed, sentences: Sequence[str]) -> None:
    """What stands beside a stage's picture."""
    if takes is not None:
        picture = f'<img src="{takes.uri}" alt="{escape(takes.name, quote=True)}, from the stage before">'
        st.html(
            f'{STYLE}<figure class="handed">{picture}<figcaption>takes <b>{_typeset(takes.name)}</b><br>'
            f"{_typeset(takes.shape)}</figcaption></figure>"
        )
    st.latex(equation)
    st.html(f'{STYLE}<div class="gives">gives <b>{_typeset(gives.name)}</b><br>{_typeset(gives.shape)}</div>')
    for sentence in sentences:
        st.markdown(typeset(sentence))


def sides() -> tuple:
    """The columns of a stage: its picture, and its words."""
    return st.columns([3, 2], gap="medium")


def handed(story: Story) -> dict[str, Handed]:
    """What each stage of this network hands on, by the stage's key, in their order; those that it has."""
    trace, side = story.trace, story.model.predictor.image_size
    maps = shape_of(trace.F_G)
    found = {"photograph": Handed("the input x", f"1 × 3 × {side} × {side}", story.square_uri())}
    found["F_G"] = Handed("F_G", maps, story.over("|F_G|", global_length(trace)[0]))
    attended = story.over("|F_attn|", attended_length(trace)[0])
    if trace.M_c is not None:
        name = "F_attn" if trace.M_s is None else "F_c"
        by_M_c = f"{maps}, by M_c of {shape_of(trace.M_c)}"
        length_of_F_c = global_length(replace(trace, F_G=trace.M_c * trace.F_G))[0]
        found["M_c"] = Handed(name, by_M_c, story.over("|F_c|", length_of_F_c))
    if trace.M_s is not None:
        found["M_s"] = Handed("F_attn", f"{maps}, by M_s of {shape_of(trace.M_s)}", attended)
    if trace.H:
        H_l = f"H({len(trace.H) - 1})"
        found["regions"] = Handed("H(0)", shape_of(trace.H[0]), story.strip("H(0)", trace.H[0][0]))
        found["graph"] = Handed(H_l, shape_of(trace.H[-1]), story.strip(H_l, trace.H[-1][0]))
        found["token"] = Handed("f_token", shape_of(trace.f_token), story.strip("f_token", trace.f_token))
    embedding = trace.embedding()
    found["embedding"] = Handed("the embedding f", shape_of(embedding), story.strip("f", embedding))
    return found


def _typeset(words: str) -> str:
    """Escaped, with the paper's symbols as "F_G" set in italics with a subscript."""
    return re.sub(r"\b([A-Za-z])_(\w+)", r"<i>\1</i><sub>\2</sub>", escape(words))


def _figure(tile: Tile) -> str:
    return (
        f'<figure><img src="{tile.uri}" alt="{escape(tile.alt, quote=True)}">'
        f"<figcaption>{escape(tile.caption)}</figcaption></figure>"
    )
