"""Pictures side by side: the cell that one points at, and how alike it finds each cell of the others."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.widgets.components import component
from app.widgets.components.image_rows import Kind
from ssrnet.explain.overlay import Scale, coloured, scale_of

STOPS = 32
"""Number of colours that the scale is drawn with."""

_component = component("microscope")


class Slide(NamedTuple):
    """ratio: width over height of the picture. kind: the colour of its frame, as in a rank list."""

    uri: str
    ratio: float
    alt: str
    title: str
    note: str
    kind: Kind


def microscope(
    key: str, slides: Sequence[Slide], size: tuple[int, int], cosines: np.ndarray, start: int, colours: str
) -> None:
    """The first of N + 1 pictures against the others; any of them can be pointed at, by pointer or by arrow keys.

    size: (H, W) of the cells. cosines: (N, H·W, H·W), the first picture's cells by rows. start: the first picture's
    cell that is pointed at first. colours: a name in :data:`COLOUR_MAPS`.
    """
    scale = scale_of(cosines)
    stops = coloured(np.linspace(0, 1, STOPS)[None], colours)[0]
    _component(
        key=key,
        data={
            "id": f"{size} {[slide.title + slide.note for slide in slides]} {scale}",
            "pictures": [slide._asdict() for slide in slides],
            "size": size,
            "cosines": [_levels(each, scale) for each in cosines],
            "low": scale.low,
            "high": scale.high,
            "colours": [f"#{bytes(stop).hex()}" for stop in stops],
            "start": start,
        },
    )


def _levels(cosines: np.ndarray, scale: Scale) -> str:
    """A byte a cosine, from the scale's low end to its high end, in base64."""
    return base64.b64encode(np.uint8(np.round(255 * scale.fractions(cosines))).tobytes()).decode()
