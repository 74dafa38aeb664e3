"""The five regions on the image, on the feature map and as crops; they follow the slider in the browser (Eq. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isclose
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw

from app.widgets.components import component
from app.widgets.components.node_graph import NODE_TITLES
from app.widgets.prints import Cell, Row
from app.workbench.images import Picture, thumbnail
from ssrnet.data.records import VehicleImage
from ssrnet.explain.overlaps import coverage, overlap
from ssrnet.model.regions import REGION_NAMES, Box, region_boxes

LAMBDA = "regions_lambda"
"""The URL's key."""
COLOURS = ("#3b82f6", "#f97316", "#eab308", "#10b981", "#ec4899")
"""Of ul, ur, mid, dl, dr; each box also carries its name."""
LEAST, PARTS = Fraction(1, 8), 48
"""The smallest lambda of the paper's Fig. 4, and steps of 1/48, which hit every fraction that it names."""
NAMED = {Fraction(1, 8), Fraction(1, 4), Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(5, 6), Fraction(1)}
PRINT_SIDE = 720
"""Pixels of the printed picture's side."""

_component = component("region_boxes")


def crop_ratios(height: int, width: int, trained: float) -> list[float]:
    """The slider's values: from 1/8, or the first that leaves a cell of the map, to 1, and ``trained`` among them."""
    steps = [float(Fraction(k, PARTS)) for k in range(int(LEAST * PARTS), PARTS + 1)]
    steps = [step for step in steps if step * min(height, width) >= 1 - 1e-9]
    return steps if any(isclose(step, trained, abs_tol=1e-6) for step in steps) else sorted([*steps, trained])


def chosen_ratio(key: str, listed: Sequence[float], trained: float) -> float:
    """Lambda of the slider ``key`` where it was let go, else of the URL, else the one trained with; the URL names it."""
    released = st.session_state.get(key, {}).get("ratio")
    for value in (released, st.query_params.get(LAMBDA), st.session_state.get(f"{LAMBDA}_kept")):
        try:
            wanted = float(value)
        except (TypeError, ValueError):
            continue
        break
    else:
        wanted = trained
    ratio = min(listed, key=lambda each: abs(each - wanted))
    st.session_state[f"{LAMBDA}_kept"] = ratio
    if st.query_params.get(LAMBDA) != f"{ratio:.3f}":
        st.query_params[LAMBDA] = f"{ratio:.3f}"
    return ratio


def region_boxes_slider(
    key: str,
    image: Picture,
    size: tuple[int, int],
    ratios: Sequence[float],
    chosen: float,
    trained: float,
    compact: bool = False,
) -> None:
    """Draws the slider and all that follows it; in the run after it is let go session state has its ``ratio`` under ``key``.

    size: (height, width) of the feature map. trained: the lambda that the network was trained with. compact: the image
    and the crops alone.
    """
    sets: list[dict[str, Any]] = []
    set_of: dict[tuple[Box, ...], int] = {}
    steps = []
    for ratio in ratios:
        boxes = region_boxes(*size, ratio)
        if boxes not in set_of:
            set_of[boxes] = len(sets)
            sets.append(_set(boxes, *size))
        is_trained = isclose(ratio, trained, abs_tol=1e-6)
        fraction = _fraction(ratio)
        steps.append(
            {
                "ratio": ratio,
                "set": set_of[boxes],
                "title": f"λ = {ratio:.3g}",
                "trained": is_trained,
                "note": _note(boxes == region_boxes(*size, trained), is_trained, fraction),
                "tick": fraction or f"{ratio:.2g}" if is_trained or fraction else None,
            }
        )
    name = image.name if isinstance(image, VehicleImage) else "the uploaded picture"
    data = {"uri": thumbnail(image, 320), "alt": f"Query {name}", "compact": compact}
    data |= {"rows": size[0], "columns": size[1], "names": REGION_NAMES, "colours": COLOURS}
    data["words"] = [NODE_TITLES[name] for name in REGION_NAMES]
    data |= {"steps": steps, "sets": sets, "chosen": ratios.index(chosen)}
    _component(data=data, key=key, on_ratio_change=lambda: None)


def printed_regions(picture: Image.Image, size: tuple[int, int], ratio: float) -> list[Row]:
    """The boxes on the picture, squared as the network sees it, and the five crops; ``size`` (H, W) of the map."""
    square = picture.resize((PRINT_SIDE, PRINT_SIDE), Image.Resampling.BILINEAR)
    boxed = square.copy()
    pen = ImageDraw.Draw(boxed)
    cells = []
    for name, colour, box in zip(REGION_NAMES, COLOURS, region_boxes(*size, ratio), strict=True):
        corners = [round(edge) for edge in box.scaled(PRINT_SIDE / size[1], PRINT_SIDE / size[0])]
        pen.rectangle(corners, outline=colour, width=PRINT_SIDE // 90)
        cells.append(Cell(square.crop(corners), f"{name}, {NODE_TITLES[name]}", colour))
    return [
        Row(
            f"Five regions at λ = {ratio:.3g} (Eq. 2)",
            [Cell(boxed, "as the network sees it, stretched to a square"), *cells],
        )
    ]


def _set(boxes: tuple[Box, ...], height: int, width: int) -> dict[str, Any]:
    """One set of boxes with the facts beneath it."""
    IoU, counts, box = overlap(boxes), coverage(boxes, height, width), boxes[0]
    H_L, W_L = box.bottom - box.top, box.right - box.left
    facts = [
        ("H_L × W_L", f"{H_L} × {W_L}"),
        ("One region, of the map", f"{H_L * W_L / height / width:.0%}"),
        ("Overlap (IoU) of neighbouring corners", _percent(IoU[[0, 1, 3, 4], [1, 4, 0, 3]])),
        ("of opposite corners", _percent(IoU[[0, 1], [4, 3]])),
        ("of a corner and the middle", _percent(np.delete(IoU[2], 2))),
        ("Cells in no region", f"{int((counts == 0).sum())}"),
        ("Cells in all five", f"{int((counts == len(boxes)).sum())}"),
    ]
    size = f"{H_L} × {W_L} of {height} × {width} cells"
    return {"boxes": [list(box) for box in boxes], "counts": counts.tolist(), "facts": facts, "size": size}


def _percent(shares: np.ndarray) -> str:
    """One number, or the lowest and the highest where they differ."""
    low, high = (f"{100 * edge:.0f}" for edge in (shares.min(), shares.max()))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _note(same_boxes: bool, is_trained: bool, fraction: str | None) -> str:
    prefix = f"{fraction}, " if fraction else ""
    if is_trained:
        return f"{prefix}as trained"
    return f"{prefix}same boxes as trained" if same_boxes else f"{prefix}changed at test time"


def _fraction(ratio: float) -> str | None:
    """As "2/3", for the ratios that the paper or its study names."""
    fraction = Fraction(ratio).limit_denominator(PARTS)
    return str(fraction) if fraction in NAMED and isclose(fraction, ratio, abs_tol=1e-6) else None
