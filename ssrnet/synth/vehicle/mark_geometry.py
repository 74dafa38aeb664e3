"""Individual marks as geometry: where on the body each one lies, and what it is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ssrnet.synth.mesh import Mesh, grid_faces
from ssrnet.synth.vehicle.attachments import ATTACHMENTS
from ssrnet.synth.vehicle.bodyfield import BodyField, Dent
from ssrnet.synth.vehicle.placement import anchor, frame_of
from ssrnet.synth.vehicle.printed_textures import draw_print
from ssrnet.synth.vehicle.skin import patch, resample
from ssrnet.synth.vehicle.specs import IdentitySpec, Mark, ModelSpec

PRINTED = ("sticker", "decal", "lettering", "stripe", "sun strip", "patch")


def dents_of(identity: IdentitySpec) -> tuple[Dent, ...]:
    """Dents belong to the body's surface itself, so the field has to know them."""
    shape = identity.model.shape
    plain = BodyField(shape)
    dents = []
    for mark in identity.marks:
        if mark.kind == "dent":
            point, _ = anchor(mark, identity.model, plain)
            dents.append(Dent(tuple(point), mark.size[0], mark.amount))
    return tuple(dents)


def mark_pieces(identity: IdentitySpec, field: BodyField) -> list[Mesh]:
    """Every mark but dents and hubcaps, which change the body and the wheels themselves."""
    pieces = []
    for mark in identity.marks:
        pieces += mark_geometry(mark, identity.model, field)
    return pieces


def mark_geometry(mark: Mark, model: ModelSpec, field: BodyField) -> list[Mesh]:
    """The meshes of one mark in the body frame."""
    if mark.kind in PRINTED:
        return _printed(mark, model, field)
    maker = ATTACHMENTS.get(mark.kind)
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
    """A print on the flat cargo box of a truck (larger than on a car's door)."""
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
