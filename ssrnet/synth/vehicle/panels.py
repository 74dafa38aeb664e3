"""Cuts the body's closed surface into panels: glass, lamps, grille, bumpers, paint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ssrnet.synth.mesh import Mesh, compact
from ssrnet.synth.vehicle.body_field import BodyField
from ssrnet.synth.vehicle.cutter import Cutter, Surface, band, rounded_all
from ssrnet.synth.vehicle.front_faces import cut_front
from ssrnet.synth.vehicle.isosurface import normals_at, polygonise
from ssrnet.synth.vehicle.rear_faces import cut_rear
from ssrnet.synth.vehicle.specs import ModelSpec


def shell_of(field: BodyField, step_scale: float = 1.0) -> Mesh:
    """The body's closed, outward-oriented surface before any panel is cut."""
    s = field.shape
    step = step_scale * (0.031 if s.length < 4.9 or s.bed else 0.036 if s.length < 7 else 0.052)
    low = np.array([-s.length / 2 - 0.1, -s.width / 2 - 0.14, 0.02])
    high = np.array([s.length / 2 + 0.12, s.width / 2 + 0.16, s.height + 0.14])
    vertices, faces = polygonise(field, low, high, step, symmetric=not field.dents)
    return Mesh(vertices, faces, "paint", "body", normals_at(field, vertices))


def cut_panels(model: ModelSpec, field: BodyField, step_scale: float = 1.0) -> list[Mesh]:
    """All panels of the body; together they are the closed shell."""
    cutter = Cutter(shell_of(field, step_scale), field)
    _underside(cutter, model)
    _side_glass(cutter, model)
    _windscreen(cutter, model)
    if model.body_type != "box truck":
        _rear_glass(cutter, model)
    _refine_ends(cutter, model)
    cut_front(cutter, model)
    if model.body_type != "box truck":
        cut_rear(cutter, model)
    if model.cladding:
        _cladding(cutter, model)
    if model.dark_roof:
        s = model.shape
        cutter.cut(
            lambda p: np.minimum(-0.05 - field.roof(p.points) + 0.11, p.points[:, 2] - s.height + 0.2),
            "gloss black",
            "roof",
        )
    if cutter.rest is not None:
        cutter.panels += _name_paint(cutter.rest, field)
    return cutter.panels


def _refine_ends(cutter: Cutter, model: ModelSpec) -> None:
    s = model.shape

    def level(p: Surface) -> np.ndarray:
        high = (
            s.height if model.body_type == "bus" else s.hood_height + 0.08
        )  # a bus has a route display over its windscreen
        front = np.minimum(0.42 - p.station, high - p.z)
        top = s.deck_height + (0.35 if s.tailgate else 0.02)
        rear = np.minimum(0.36 - p.from_tail, top - p.z) if not s.box_length else front
        return np.minimum.reduce([np.maximum(front, rear), p.z - s.clearance - 0.03, 0.7 - p.normals[:, 2]])

    cutter.refine(level)


def _underside(cutter: Cutter, model: ModelSpec) -> None:
    s = model.shape

    def level(p: Surface) -> np.ndarray:
        wells = [
            np.minimum(
                s.well_radius + 0.012 - np.hypot(p.station - axle, p.z - s.wheel_radius),
                (0.72 - np.abs(p.normals[:, 1])) * 0.2,
            )
            for axle in s.axles
        ]
        return np.maximum.reduce([*wells, (-0.6 - p.normals[:, 2]) * 0.1])

    cutter.cut(level, "black", "underbody")
    if s.bed:

        def inside(p: Surface) -> np.ndarray:
            return np.minimum.reduce(
                [
                    p.station - s.tail_glass - 0.10,
                    s.length - 0.07 - p.station,
                    s.width / 2 - 0.10 - np.abs(p.y),
                    s.deck_height - 0.02 - p.z,
                ]
            )

        cutter.cut(inside, "plastic", "cargo")


BUS_DOORS = (0.42, 4.2)  # stations of their front edges, on the right side
BUS_LEAF = 0.60


def _bus_door_level(p: Surface) -> np.ndarray:
    """Level of the panes of the two-leaved doors, which reach down to the step."""
    leaves = [
        band(p.station, door + k * BUS_LEAF + 0.04, door + (k + 1) * BUS_LEAF - 0.04)
        for door in BUS_DOORS
        for k in (0, 1)
    ]
    return rounded_all(np.maximum.reduce(leaves), band(p.z, 0.52, 2.36), (-0.5 - p.normals[:, 1]) * 0.4, radius=0.04)


def side_window_level(model: ModelSpec, field: BodyField, p: Surface, inset: float) -> np.ndarray:
    """Level of the side windows' outline, ``inset`` metres inside the greenhouse's edges."""
    s = model.shape
    upright = s.tumble < 0.2
    edge = 0.05 if upright else 0.028
    rise = s.belt_rise * np.clip((p.station - s.cowl) / s.length, 0, 1)
    sill = p.z - (s.belt + 0.03 + rise) - 0.5 * inset
    roof = -field.roof(p.points) - 0.035 - edge - inset
    screen = -field.windscreen(p.points) - 0.05 - inset
    tail = -field.backlight(p.points) - (0.10 if s.tail_drop or upright else 0.13) - inset
    return rounded_all(sill, roof, screen, tail, (np.abs(p.normals[:, 1]) - 0.5) * 0.4, radius=0.05)


def pillars(model: ModelSpec) -> list[float]:
    """Stations of the pillars between the side windows."""
    s = model.shape
    span = s.tail_glass - s.cowl
    if model.body_type == "bus":
        return list(np.arange(1.35, s.length - 0.8, 1.25))
    if model.body_type == "box truck":
        return []
    if model.body_type == "minibus":
        return [s.cowl + 1.45, *np.arange(s.cowl + 2.65, s.tail_glass - 0.6, 1.2)]
    if s.panel_sides:
        return [s.cowl + 1.45]
    front = s.cowl + (0.50 if s.doors == 4 else 0.56) * span
    if s.bed:
        return [s.cowl + 0.56 * span]
    if s.doors == 2:
        return [front]
    rear = s.cowl + (0.86 if not s.tailgate else 0.79) * span
    return [front, rear] if s.tailgate else [front]


def _side_glass(cutter: Cutter, model: ModelSpec) -> None:
    s, field = model.shape, cutter.field
    stations = pillars(model)
    if model.body_type == "bus":
        cutter.cut(_bus_door_level, "glass", "side glass")

    def pane(p: Surface) -> np.ndarray:
        level = side_window_level(model, field, p, 0.022)
        for station in stations:
            level = rounded_all(level, np.abs(p.station - station - 0.12 * (p.z - s.belt)) - 0.035, radius=0.03)
        return level

    if s.panel_sides:

        def cab(p: Surface) -> np.ndarray:
            return stations[0] - p.station

        cutter.cut(lambda p: np.minimum(pane(p), cab(p)), "glass", "side glass")
        cutter.cut(lambda p: np.minimum(side_window_level(model, field, p, 0.0), cab(p)), "trim", "side glass")
        return
    if model.body_type == "box truck":

        def limit(p: Surface) -> np.ndarray:
            return s.roof_rear - 0.42 - p.station

        cutter.cut(lambda p: rounded_all(pane(p), limit(p), radius=0.05), "glass", "side glass")
        cutter.cut(
            lambda p: rounded_all(side_window_level(model, field, p, 0.0), limit(p) + 0.03, radius=0.05),
            "trim",
            "side glass",
        )
        return
    cutter.cut(pane, "glass", "side glass")
    cutter.cut(lambda p: side_window_level(model, field, p, 0.0), "trim", "side glass")


def windscreen_level(model: ModelSpec, field: BodyField, p: Surface, inset: float) -> np.ndarray:
    """Level of the windscreen's outline, ``inset`` metres inside its pillars, header and base."""
    s = model.shape
    pillar = 0.035 if s.tumble > 0.2 else 0.055
    top = 0.06 if s.height < 2.6 else 0.42
    side = field.glass_width(p.points) - pillar - inset - np.abs(p.y)
    roof = -field.roof(p.points) - top - inset
    base = p.z - (s.cowl_height + 0.008 + inset) + 0.03 * (p.y / field.half_width) ** 2
    # The last two only separate the pane from its neighbours; they are steep, so that rounding does not shrink it.
    facing = p.normals[:, 0] - 0.08
    near = 3 * (0.12 - np.abs(field.windscreen(p.points)))
    return rounded_all(side, roof, base, facing, near, radius=0.05)


def _windscreen(cutter: Cutter, model: ModelSpec) -> None:
    s, field = model.shape, cutter.field
    cutter.cut(lambda p: windscreen_level(model, field, p, 0.026), "windscreen", "windscreen")
    cutter.cut(lambda p: windscreen_level(model, field, p, 0.0), "trim", "windscreen")
    if s.cowl < 0.5:
        return

    def scuttle(p: Surface) -> np.ndarray:
        edge = 0.06 - field.windscreen(p.points)
        return np.minimum.reduce(
            [
                edge,
                p.z - s.cowl_height + 0.09,
                0.85 * field.half_width - np.abs(p.y),
                p.normals[:, 2] - 0.3,
                s.cowl + 0.3 - p.station,
                s.cowl_height + 0.03 - p.z,
            ]
        )

    cutter.cut(scuttle, "plastic", "windscreen")


def rear_window_level(model: ModelSpec, field: BodyField, p: Surface, inset: float) -> np.ndarray:
    """Level of the rear window's outline, ``inset`` metres inside its pillars, header and base."""
    s = model.shape
    high = 0.04 if s.height < 2.6 else 0.45
    base_up = 0.15 if model.body_type == "bus" else 0.03 if s.tailgate else 0.025
    side = field.glass_width(p.points) - 0.06 - inset - np.abs(p.y)
    if s.tail_glass - s.roof_rear > 0.6:  # roof and window meet at a small angle: measured along the car
        header = 0.7 * (p.station - s.roof_rear - 0.18 * (s.tail_glass - s.roof_rear)) - inset
    else:
        header = -field.roof(p.points) - high - inset
    base = p.z - (s.deck_height + base_up + inset)
    facing = 0.02 - p.normals[:, 0]
    near = 3 * (0.12 - np.abs(field.backlight(p.points)))
    value = rounded_all(side, header, base, facing, near, radius=0.055)
    return np.minimum(value, np.abs(p.y) - 0.03) if s.panel_sides else value


def _rear_glass(cutter: Cutter, model: ModelSpec) -> None:
    field = cutter.field
    cutter.cut(lambda p: rear_window_level(model, field, p, 0.025), "rear glass", "rear glass")
    cutter.cut(lambda p: rear_window_level(model, field, p, 0.0), "trim", "rear glass")


def _cladding(cutter: Cutter, model: ModelSpec) -> None:
    s = model.shape

    def level(p: Surface) -> np.ndarray:
        arches = [s.well_radius + 0.055 - np.hypot(p.station - axle, p.z - s.wheel_radius) for axle in s.axles]
        return np.maximum.reduce([s.clearance + 0.15 - p.z, *arches])

    cutter.cut(level, "plastic", "trim")


def _name_paint(paint: Mesh, field: BodyField) -> list[Mesh]:
    """The painted rest, its faces split into roof, bonnet, doors, boot, bumpers and body for the part masks."""
    s = field.shape
    middle = paint.vertices[paint.faces].mean(axis=1)
    normal = paint.normals[paint.faces].mean(axis=1)
    station, z = field.station(middle), middle[:, 2]
    side = np.abs(normal[:, 1]) > 0.6
    rear_axle = s.axles[-1] if len(s.axles) > 1 else s.length
    name = np.full(len(middle), "body", dtype=object)
    name[(z > s.belt + 0.1) & (normal[:, 2] > 0.5)] = "roof"
    name[(station < s.cowl + 0.15) & (normal[:, 2] > 0.4) & (z < s.cowl_height + 0.1)] = "bonnet"
    ends = (station < 0.45) | (station > s.length - 0.45)
    name[ends & (z < s.clearance + 0.36) & (normal[:, 2] < 0.5)] = "bumper"
    doors = side & (band(station, s.axles[0] + s.well_radius + 0.05, min(rear_axle + 0.1, s.length)) > 0)
    name[doors & (z < s.belt + 0.08) & (z > s.clearance + 0.08)] = "door"
    name[(normal[:, 0] < -0.5) & (station > s.length - 0.6) & (z >= s.clearance + 0.36) & (z < s.deck_height + 0.1)] = (
        "boot"
    )
    for dent in field.dents:
        name[np.linalg.norm(middle - np.asarray(dent.center), axis=1) < 1.1 * dent.radius] = "dent"
    return [compact(replace(paint, faces=paint.faces[name == part], part=part)) for part in np.unique(name)]
