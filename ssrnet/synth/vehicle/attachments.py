"""Marks that are attached to a vehicle: racks, boxes, spoilers, tow bars, ornaments and the like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ssrnet.synth.mesh import Mesh, box, ellipsoid, lathe, tube
from ssrnet.synth.vehicle.body_field import BodyField
from ssrnet.synth.vehicle.overlays import patch
from ssrnet.synth.vehicle.printed_textures import INKS
from ssrnet.synth.vehicle.specs import Mark, ModelSpec
from ssrnet.synth.vehicle.wheels import wheel


def _ink(mark: Mark) -> np.ndarray:
    names = list(INKS)
    return (np.array(INKS[names[mark.print_seed % len(names)]]) / 255) ** 2.2


def _ornament(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    """Behind the windscreen: a tissue box or a plush toy on the dashboard, or a pendant."""
    s = model.shape
    y = (2 * mark.u - 1) * (field.half_width - 0.42)
    base = np.array([s.x(s.cowl + 0.30), y, s.cowl_height + 0.02])
    color = _ink(mark)
    style = mark.print_seed % 3
    if style == 0:
        return [
            box(base + [0, 0, 0.05], (0.13, 0.26, 0.10), "print", "ornament").tinted(color),
            box(base + [0, 0, 0.11], (0.05, 0.16, 0.03), "white plastic", "ornament"),
        ]
    if style == 1:
        body, head = (
            ellipsoid(base + [0, 0, 0.07], (0.08, 0.09, 0.09), "print", "ornament"),
            ellipsoid(base + [0, 0, 0.19], (0.06, 0.07, 0.06), "print", "ornament"),
        )
        return [body.tinted(color), head.tinted(0.8 * color + 0.1)]
    below_roof = 0.30 if s.height < 2.6 else 0.72  # a tall body's windscreen ends well below its roof
    hang = np.array([s.x(s.cowl + 0.58 * (s.roof_front - s.cowl) + 0.18), 0.1 * y, s.height - below_roof])
    return [
        ellipsoid(hang, (0.03, 0.05, 0.09), "print", "ornament").tinted(color),
        tube(np.array([hang, hang + [0, 0, 0.16]]), 0.006, "black", "ornament", 5),
    ]


def _roof_height(field: BodyField, station: float, y: float) -> float:
    point = np.array([[field.shape.x(station), y, field.shape.height + 0.3]])
    return float(field.project(point, (0, 0, -1))[0][0, 2])


def _rack(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    s = model.shape
    a, b = s.roof_front + 0.12, s.roof_rear - 0.02
    material = "rim" if mark.print_seed % 2 else "black"
    out = 0.82 * float(field.glass_width(np.array([[0.0, 0.0, s.height]]))[0])
    stations = np.linspace(a, b, 9)
    pieces = []
    for sign in (1, -1):
        path = np.array([[s.x(t), sign * out, _roof_height(field, t, sign * out) + 0.055] for t in stations])
        path[[0, -1], 2] -= 0.045
        pieces.append(tube(path, 0.019, material, "rack", 6))
    if mark.amount > 0.5:
        for t in (a + 0.25 * (b - a), a + 0.75 * (b - a)):
            z = _roof_height(field, t, 0) + 0.075
            pieces.append(tube(np.array([[s.x(t), -out, z], [s.x(t), out, z]]), 0.02, "black", "rack", 6))
    return pieces


def _roof_box(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    s = model.shape
    station = 0.5 * (s.roof_front + s.roof_rear)
    z = _roof_height(field, station, 0)
    shell = ellipsoid((s.x(station), 0.16, z + 0.22), (0.92, 0.38, 0.17), "print", "roof box", 14, square=0.5)
    color = (0.015, 0.015, 0.016) if mark.print_seed % 2 else (0.45, 0.45, 0.46)
    bars = [box((s.x(station) - d, 0, z + 0.04), (0.05, 1.1, 0.04), "black", "roof box") for d in (-0.45, 0.45)]
    return [shell.tinted(np.array(color)), *bars]


def _sunroof(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh | None]:
    s = model.shape
    station = s.roof_front + 0.45 + 0.2 * mark.u
    point = np.array([s.x(station), 0, s.height + 0.2])
    picture = np.ones((8, 8, 4)) * np.array([0.006, 0.007, 0.008, 1.0])
    sheet = patch(
        field,
        point,
        np.array([0, 0.42, 0]),
        np.array([-mark.size[1] / 2, 0, 0]),
        (0, 0, -1),
        picture,
        "sunroof",
        "sunroof",
        pitch=0.03,
    )
    return [sheet]


def _spoiler(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    s = model.shape
    if s.tailgate:
        x, z, wide = s.x(s.roof_rear) - 0.10, _roof_height(field, s.roof_rear, 0) + 0.005, 0.62 * s.width
        return [box((x, 0, z), (0.26, wide, 0.045), "paint", "spoiler", pitch=-0.06)]
    x, z, wide = s.x(s.length) + 0.17, s.deck_height + 0.10 + 0.06 * mark.u, 0.74 * s.width
    feet = [box((x, sign * 0.3 * s.width, z - 0.07), (0.10, 0.03, 0.13), "paint", "spoiler") for sign in (1, -1)]
    return [
        box((x, 0, z), (0.20, wide, 0.03), "paint" if mark.print_seed % 2 else "gloss black", "spoiler", pitch=-0.08),
        *feet,
    ]


def _tow_bar(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    s = model.shape
    x, z = -s.total_length / 2 - s.shift, s.clearance + 0.10
    neck = tube(np.array([[x + 0.2, 0, z], [x - 0.09, 0, z], [x - 0.13, 0, z + 0.10]]), 0.024, "black", "tow bar", 8)
    ball = ellipsoid((x - 0.13, 0, z + 0.13), (0.036, 0.036, 0.036), "chrome", "tow bar", 8)
    socket = box((x, 0.17, z + 0.02), (0.06, 0.10, 0.09), "white plastic", "tow bar")
    cover = box((x + 0.02, 0.0, z - 0.02), (0.08, 0.62, 0.07), "steel", "tow bar")
    return [neck, ball, socket, cover]


def _ladder(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    s = model.shape
    side = 1 if mark.u > 0.5 else -1
    low, high, x = s.clearance + 0.45, s.height + 0.05, -s.length / 2 - 0.07
    pieces = [
        tube(
            np.array(
                [[x, side * (0.32 + d), low], [x, side * (0.32 + d), high], [x + 0.35, side * (0.32 + d), high + 0.04]]
            ),
            0.02,
            "rim",
            "ladder",
            6,
        )
        for d in (0, 0.32)
    ]
    return pieces + [
        tube(np.array([[x, side * 0.32, z], [x, side * 0.64, z]]), 0.016, "rim", "ladder", 6)
        for z in np.arange(low + 0.12, high, 0.27)
    ]


def _spare_wheel(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    s = model.shape
    x, z = -s.length / 2 - 0.10, s.deck_height - 0.30
    radius = 0.92 * s.wheel_radius
    pieces = wheel(model.wheel, radius, 0.2, 0.4)
    if mark.print_seed % 2:
        pieces = [
            lathe(
                [(0, -0.1), (radius, -0.1), (radius, 0.08), (0.9 * radius, 0.11), (0, 0.11)], "print", "spare wheel"
            ).tinted(0.2 * _ink(mark) + 0.03)
        ]
    turned = [
        replace(piece, vertices=piece.vertices[:, [1, 0, 2]] * np.array([-1.0, 1, 1]), normals=None, faces=piece.faces)
        for piece in pieces
    ]
    return [piece.moved((x, 0.0, z)) for piece in turned]


def _beacon(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    s = model.shape
    station = min(s.roof_front + 0.35, s.length - 0.5) if s.box_length == 0 else 1.0
    z = _roof_height(field, station, 0)
    x = s.x(station)
    style = mark.print_seed % 3
    if style == 0:
        return [
            box((x, 0, z + 0.10), (0.16, 0.52, 0.17), "print", "beacon").tinted(np.array([0.75, 0.6, 0.08])),
            box((x, 0, z + 0.01), (0.2, 0.58, 0.04), "black", "beacon"),
        ]
    if style == 1:
        return [
            box((x, 0, z + 0.07), (0.22, 1.0, 0.10), "print", "beacon").tinted(np.array([0.7, 0.22, 0.02])),
            box((x, 0, z + 0.01), (0.2, 0.8, 0.04), "black", "beacon"),
        ]
    return [ellipsoid((x, 0.25, z + 0.06), (0.09, 0.09, 0.13), "print", "beacon").tinted(np.array([0.75, 0.22, 0.01]))]


def _mud_flap(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    s = model.shape
    station = s.front_overhang + s.wheelbase + s.well_radius + 0.01
    y = (s.box_width if s.box_length else s.width) / 2 - 0.16
    z = 0.55 * s.wheel_radius + 0.10
    return [
        box((s.x(station), sign * y, z), (0.015, 0.26, 0.34), "print", "mud flap").tinted(_ink(mark))
        for sign in (1, -1)
    ]


ATTACHMENTS: dict[str, Callable[[Mark, ModelSpec, BodyField], list[Mesh]]] = {
    "ornament": _ornament,
    "rack": _rack,
    "roof box": _roof_box,
    "sunroof": _sunroof,
    "spoiler": _spoiler,
    "tow bar": _tow_bar,
    "ladder": _ladder,
    "spare wheel": _spare_wheel,
    "beacon": _beacon,
    "mud flap": _mud_flap,
}
