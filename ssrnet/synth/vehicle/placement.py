"""Where a mark's zone lies on a body."""

from __future__ import annotations

import numpy as np

from ssrnet.synth.vehicle.bodyfield import BodyField
from ssrnet.synth.vehicle.specs import Mark, ModelSpec


def frame_of(mark: Mark, model: ModelSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float, float]]:
    """(point off the body, rightwards, upwards, direction onto the body) of a mark's zone."""
    s = model.shape
    x, half = s.x, s.width / 2
    if mark.zone in ("left", "right"):
        sign = 1 if mark.zone == "left" else -1
        start, end = (
            s.axles[0] + s.well_radius + 0.10,
            (s.axles[1] - s.well_radius if len(s.axles) > 1 else s.length) - 0.05,
        )
        low, high = s.clearance + 0.20, s.belt - 0.10
        if s.panel_sides:
            start, high = s.cowl + 1.6, s.height - 0.3
            end = s.tail_glass - 0.3
        if model.body_type == "bus":
            low, high = 0.55, 1.1
        station, z = start + mark.u * (end - start), low + mark.v * (high - low)
        return (
            np.array([x(station), sign * (half + 0.2), z]),
            np.array([-sign, 0.0, 0.0]),
            np.array([0, 0, 1.0]),
            (0, -sign, 0),
        )
    across = (2 * mark.u - 1) * (half - 0.22)
    if mark.zone in ("windscreen", "dashboard", "front"):
        low, high = (
            (s.cowl_height + 0.06, s.height - 0.13)
            if mark.zone != "front"
            else (s.clearance + 0.2, s.hood_height - 0.1)
        )
        across *= 0.85 if mark.zone == "windscreen" else 1.0
        return (
            np.array([x(-0.5), across, low + mark.v * (high - low)]),
            np.array([0, 1.0, 0]),
            np.array([0, 0, 1.0]),
            (-1, 0, 0),
        )
    if mark.zone in ("rear", "rear glass"):
        low, high = (
            (s.deck_height + 0.1, s.height - 0.15)
            if mark.zone == "rear glass"
            else (s.clearance + 0.30, s.deck_height - 0.12)
        )
        if mark.zone == "rear glass" and model.body_type == "bus":
            high = s.height - 0.5
        across *= 0.75
        return (
            np.array([x(s.length + 0.5), across, low + mark.v * (high - low)]),
            np.array([0, -1.0, 0]),
            np.array([0, 0, 1.0]),
            (1, 0, 0),
        )
    low, high = (0.3, s.cowl - 0.1) if mark.zone == "bonnet" else (s.roof_front + 0.1, s.roof_rear - 0.1)
    return (
        np.array([x(high - mark.v * (high - low)), across, s.height + 0.2]),
        np.array([0, 1.0, 0]),
        np.array([-1.0, 0, 0]),
        (0, 0, -1),
    )


def anchor(mark: Mark, model: ModelSpec, field: BodyField) -> tuple[np.ndarray, np.ndarray]:
    """The point of the body a mark sits on, and the outward normal there."""
    point, _, _, direction = frame_of(mark, model)
    surface, normal, _ = field.project(point[None], direction)
    return surface[0], normal[0]
