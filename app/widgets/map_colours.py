"""The colours of heat maps: the viewer's choice, which all pages share, and the bar below each map."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import streamlit as st

from app.widgets.components import stylesheet
from app.widgets.prints import Bar
from ssrnet.explain.overlay import COLOUR_MAPS, DEFAULT_COLOURS, Scale, coloured

STOPS = 16
"""Colours that the browser interpolates between to draw a bar."""
STYLE = stylesheet("map_colours")


class MapColours(NamedTuple):
    """``name`` is one in :data:`COLOUR_MAPS`."""

    name: str
    same_scale: bool

    def bar(self, scale: Scale) -> Bar:
        return Bar(scale, self.name)


def choose_map_colours(of_a_kind: str = "") -> MapColours:
    """A select and a switch, both kept in the URL.

    ``of_a_kind``: which maps the switch brings to one scale, in words; "" for a single map, without the switch.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = list(COLOUR_MAPS)
        name = st.selectbox(
            "Colours of the maps",
            names,
            index=names.index(DEFAULT_COLOURS),
            format_func=lambda name: COLOUR_MAPS[name].title,
            key="map_colours",
            bind="query-params",
            width=180,
        )
        if not of_a_kind:
            return MapColours(name, False)
        help = f"One range of values for {of_a_kind}, so that equal colours are equal values. The bars show the ranges."
        same_scale = st.toggle("Same scale for all maps", key="same_scale", bind="query-params", help=help)
    return MapColours(name, same_scale)


def map_colours_button(of_a_kind: str = "") -> MapColours:
    """:func:`choose_map_colours` behind a small button, where maps are a part of what a page shows."""
    with st.popover("Colours", icon=":material/palette:", type="tertiary", help="Colours and scale of the maps"):
        return choose_map_colours(of_a_kind)


def bar_html(bar: Bar) -> str:
    """The bar with its numbers; the page needs :data:`STYLE` once."""
    (low, high), ends = bar.numbers(), COLOUR_MAPS[bar.colours]
    colours = coloured(np.linspace(0, 1, STOPS)[None], bar.colours)[0]
    stops = ",".join(f"#{bytes(colour).hex()}" for colour in colours)
    label = escape(f"Colours from {ends.low}, {low}, to {ends.high}, {high}", quote=True)
    return (
        f'<div class="bar" role="img" aria-label="{label}"><i style="background: linear-gradient(90deg, {stops})"></i>'
        f"<span>{low}</span><span>{high}</span></div>"
    )


def map_figure(uri: str, alt: str, caption: str, bar: Bar) -> str:
    """A painted picture with its bar and caption; the page needs :data:`STYLE` once."""
    image = f'<img src="{uri}" alt="{escape(alt, quote=True)}">'
    return f"<figure>{image}{bar_html(bar)}<figcaption>{escape(caption)}</figcaption></figure>"


def show_maps(figures: Sequence[str]) -> None:
    """Figures of :func:`map_figure` side by side."""
    st.html(f'{STYLE}<div class="maps">{"".join(figures)}</div>')
