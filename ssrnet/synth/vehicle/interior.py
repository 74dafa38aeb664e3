"""The cabin behind the glass: seats, dashboard, steering wheel, lining, and the people of one capture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ssrnet.synth.mesh import Mesh, box, ellipsoid, split, tube
from ssrnet.synth.vehicle.body_field import BodyField
from ssrnet.synth.vehicle.cutter import Surface
from ssrnet.synth.vehicle.isosurface import normals_at, polygonise
from ssrnet.synth.vehicle.panels import rear_window_level, side_window_level, windscreen_level
from ssrnet.synth.vehicle.specs import ModelSpec


def interior(model: ModelSpec) -> list[Mesh]:
    """Floor, dashboard, seats and steering wheel in the body frame."""
    s = model.shape
    x, belt, wide = s.x, s.belt, s.width
    long = s.tail_glass - s.cowl
    floor = box(
        (x(0.5 * (s.cowl + s.tail_glass)), 0, belt - 0.34), (long - 0.15, wide - 0.34, 0.05), "interior", "interior"
    )
    dash = box((x(s.cowl + 0.42), 0, belt - 0.09), (0.5, wide - 0.36, 0.16), "interior", "interior", pitch=0.06)
    pieces = [floor, dash]
    if s.tail_glass - s.roof_rear > 0.6:  # a saloon's parcel shelf lies under the sloping window
        shelf = s.tail_glass - s.roof_rear - 0.25
        pieces.append(
            box(
                (x(s.tail_glass - 0.12 - shelf / 2), 0, s.deck_height - 0.10),
                (shelf, wide - 0.5, 0.05),
                "interior",
                "interior",
            )
        )
    for row in _seat_rows(model):
        for side in _places(model):
            pieces += _seat(x(row), side, belt, min(s.height - belt, 0.62), rounds=6 if s.length > 7 else 9)
    hub = np.array([x(s.cowl + 0.70), 0.36, belt + 0.02])
    angle = np.linspace(0, 2 * np.pi, 14)
    ring = hub + 0.18 * np.stack([-0.35 * np.sin(angle), np.cos(angle), 0.94 * np.sin(angle)], 1)
    pieces.append(tube(ring, 0.016, "black", "interior", 6))
    return pieces


def liner(model: ModelSpec, field: BodyField) -> list[Mesh]:
    """The cabin's dark lining, 4 cm inside the body and open where the windows are.

    Without it a window would show the body's paint from inside and look painted over.
    """
    s, depth = model.shape, 0.04
    step = 0.075 if s.length < 7 else 0.14
    low = np.array([s.x(s.tail_glass) - 0.16, -s.width / 2, s.belt - 0.42])
    high = np.array([s.x(s.cowl) + 0.12, s.width / 2, s.height])
    vertices, faces = polygonise(lambda points: field(points) + depth, low, high, step)
    lining = Mesh(vertices, faces[:, ::-1], "interior", "interior", normals_at(field, vertices))
    for level in (side_window_level, windscreen_level, rear_window_level):
        _, lining = split(lining, level(model, field, Surface.of(lining, field), -0.03))
    return [replace(lining, normals=-lining.normals)]


def _seat_rows(model: ModelSpec) -> list[float]:
    """Stations of the rows of seats."""
    s = model.shape
    first = s.cowl + (1.05 if s.cowl > 0.9 else 1.15)
    if model.body_type in ("bus", "minibus"):
        return list(np.arange(1.4 if model.body_type == "bus" else first, s.tail_glass - 0.4, 0.82))
    if model.body_type == "box truck":
        return [1.15]
    if s.panel_sides:
        return [first]
    if s.bed or s.doors == 2:
        return [first, first + 0.75][: 1 + (s.roof_rear - first > 1.0)]
    return [first, first + 0.88]


def people(model: ModelSpec, rng: np.random.Generator) -> list[Mesh]:
    """Driver and perhaps a passenger. They belong to the capture, not to the vehicle."""
    s = model.shape
    row = s.x(_seat_rows(model)[0] - 0.12)
    seats = [0.36] + ([-0.36] if rng.random() < 0.35 else [])
    pieces = []
    for y in seats:
        tone = np.array([0.42, 0.27, 0.19]) * rng.uniform(0.5, 1.3)
        shirt = rng.uniform(0.03, 0.6, 3) * np.array([1, 0.95, 0.95])
        head = ellipsoid(
            (row, y, s.belt + min(0.31, 0.55 * (s.height - s.belt))), (0.10, 0.075, 0.12), "skin", "interior", 10
        )
        body = ellipsoid((row - 0.04, y, s.belt - 0.04), (0.13, 0.22, 0.24), "cloth", "interior", 10)
        pieces += [head.tinted(tone), body.tinted(shirt)]
    return pieces


def _places(model: ModelSpec) -> tuple[float, ...]:
    return (-0.85, -0.42, 0.42, 0.85) if model.body_type == "bus" else (-0.36, 0.36)


def _seat(x: float, y: float, belt: float, room: float, rounds: int) -> list[Mesh]:
    back = ellipsoid(
        (x - 0.04, y, belt - 0.06), (0.085, 0.23, min(0.36, 0.4 + 0.2 * room)), "seat", "interior", rounds, square=0.6
    )
    rest = ellipsoid(
        (x - 0.06, y, belt + min(0.33, 0.58 * room)), (0.045, 0.12, 0.075), "seat", "interior", rounds - 1, square=0.7
    )
    return [back, rest]
