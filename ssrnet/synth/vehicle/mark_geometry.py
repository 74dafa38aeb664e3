"""Marks as geometry: where on the body each one lies, and its meshes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ssrnet.synth.mesh import Mesh, grid_faces
from ssrnet.synth.vehicle.attachments import ATTACHMENTS
from ssrnet.synth.vehicle.body_field import BodyField, Dent
from ssrnet.synth.vehicle.overlays import patch, resample, ribbon
from ssrnet.synth.vehicle.printed_textures import draw_print
from ssrnet.synth.vehicle.specs import IdentitySpec, Mark, ModelSpec

PRINTED = ("sticker", "decal", "lettering", "stripe", "sun strip", "patch")


def dents_of(identity: IdentitySpec) -> tuple[Dent, ...]:
    """The dents among the marks: they bend the body itself, so :class:`BodyField` takes them."""
    shape = identity.model.shape
    plain = BodyField(shape)
    dents = []
    for mark in identity.marks:
        if mark.kind == "dent":
            point, _ = anchor(mark, identity.model, plain)
            dents.append(Dent(tuple(point), mark.size[0], mark.amount))
    return tuple(dents)


def mark_pieces(identity: IdentitySpec, field: BodyField) -> list[Mesh]:
    """Meshes of all marks but dents and hubcaps, which change the body and the wheels themselves."""
    return [piece for mark in identity.marks for piece in mark_geometry(mark, identity.model, field)]


def mark_geometry(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    """The meshes of one mark in the body frame."""
    if mark.kind in PRINTED:
        return _printed(mark, model, field)
    maker = _scratch if mark.kind == "scratch" else ATTACHMENTS.get(mark.kind)
    return [replace(piece, part=mark.kind) for piece in maker(mark, model, field) if piece is not None] if maker else []


def _printed(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    picture = draw_print(mark.kind, mark.print_seed, mark.size[0] / mark.size[1])
    if model.body_type == "box truck" and mark.zone in ("left", "right", "rear"):
        return [_on_box(mark, model, picture)]
    point, right, up, direction = frame_of(mark, model)
    c, s = np.cos(mark.amount), np.sin(mark.amount)
    right, up = c * right + s * up, c * up - s * right
    wide, tall = mark.size
    piece = patch(field, point, right * wide / 2, up * tall / 2, direction, picture, "print", mark.kind)
    return [piece] if piece is not None else []


def _on_box(mark: Mark, model: ModelSpec, picture: np.ndarray) -> Mesh:
    """A print on a truck's flat cargo box, larger than on a car's door."""
    s = model.shape
    front, floor = s.box_front, s.box_floor
    wide, tall = (1.8 * side for side in mark.size)
    if mark.zone == "rear":
        center = np.array(
            [
                s.x(front) - s.box_length - 0.02,
                (2 * mark.u - 1) * 0.4,
                floor + 0.35 + mark.v * (s.box_height - floor - 0.8),
            ]
        )
        right, normal = np.array([0, -1.0, 0]), np.array([-1.0, 0, 0])
        wide = min(wide, 0.8)
    else:
        sign = 1 if mark.zone == "left" else -1
        center = np.array(
            [
                s.x(front) - 0.9 - mark.u * (s.box_length - 1.8),
                sign * (s.box_width / 2 + 0.02),
                floor + 0.5 + mark.v * (s.box_height - floor - 1.0),
            ]
        )
        right, normal = np.array([-sign, 0.0, 0]), np.array([0, sign, 0.0])
    rows, columns = max(4, int(tall / 0.012)), max(4, int(wide / 0.012))
    v, u = np.meshgrid(np.linspace(0.5, -0.5, rows), np.linspace(-0.5, 0.5, columns), indexing="ij")
    points = center + u.reshape(-1, 1) * wide * right + v.reshape(-1, 1) * tall * np.array([0, 0, 1.0])
    colors = resample(picture, rows, columns).reshape(-1, 4)
    faces = grid_faces(rows, columns)
    faces = faces[(colors[:, 3] > 0.5)[faces].all(axis=1)]
    return Mesh(points, faces, "print", mark.kind, np.tile(normal, (len(points), 1)), colors[:, :3])


def _scratch(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    point, right, up, direction = frame_of(mark, model)
    rng = np.random.default_rng(mark.print_seed)
    pieces = []
    for k in range(3):
        shift = up * (0.035 * k + rng.normal(0, 0.01)) + right * rng.normal(0, 0.06)
        line = [
            tuple(point + shift + right * mark.size[0] * (t - 0.5) + up * mark.amount * (t - 0.5)) for t in (0, 0.5, 1)
        ]
        pieces.append(ribbon(field, line, mark.size[1] * rng.uniform(0.6, 1.2), direction, "scratch", "scratch", 0.003))
    return pieces


def frame_of(mark: Mark, model: ModelSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float, float]]:
    """(point off the body, unit vectors rightwards and upwards, direction onto the body) of a mark in its zone."""
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
    """The body's point (3,) under a mark, and its outward normal (3,)."""
    point, _, _, direction = frame_of(mark, model)
    surface, normal, _ = field.project(point[None], direction)
    return surface[0], normal[0]
