"""From which viewpoints two siblings can be told apart, by projection and without a renderer.

A mark counts as visible from a viewpoint when enough of its surface faces a camera there and the body
does not hide it. Two siblings are resolvable from a viewpoint when their visible marks there differ.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ssrnet.synth.mesh import Mesh, face_crosses
from ssrnet.synth.vehicle.body_field import BodyField
from ssrnet.synth.vehicle.mark_geometry import anchor, dents_of, mark_geometry
from ssrnet.synth.vehicle.specs import VIEWPOINTS, IdentitySpec, Mark, Viewpoint
from ssrnet.synth.weather import direction

VIEWPOINT_AZIMUTHS: dict[Viewpoint, float] = {"front": 0.0, "left": 90.0, "rear": 180.0, "right": 270.0}
SPREAD = (-25.0, 0.0, 25.0)  # degrees around a viewpoint's azimuth
ELEVATION = 18.0
LEAST_AREA = 0.004  # square metres facing the camera: about a dozen pixels of a 200-pixel crop


@lru_cache(maxsize=64)
def visible_marks(identity: IdentitySpec, viewpoint: Viewpoint) -> tuple[Mark, ...]:
    """Marks visible from at least two of three azimuths around ``viewpoint``."""
    field = _field(identity)
    azimuths = np.deg2rad(VIEWPOINT_AZIMUTHS[viewpoint] + np.array(SPREAD))
    cameras = [direction(azimuth, np.deg2rad(ELEVATION)) for azimuth in azimuths]
    return tuple(
        mark
        for mark in identity.marks
        if sum(facing_area(mark, identity, field, toward) >= LEAST_AREA for toward in cameras) >= 2
    )


def resolvable(a: IdentitySpec, b: IdentitySpec, viewpoint: Viewpoint) -> bool:
    """Whether siblings ``a`` and ``b`` can be told apart from ``viewpoint``: they do not share every visible mark."""
    marks = [
        {(m.kind, m.zone, round(m.u, 2), round(m.v, 2), m.print_seed) for m in visible_marks(one, viewpoint)}
        for one in (a, b)
    ]
    return marks[0] != marks[1]


def unresolvable_views(a: IdentitySpec, b: IdentitySpec) -> tuple[Viewpoint, ...]:
    """The viewpoints from which nothing tells the pair apart."""
    return tuple(viewpoint for viewpoint in VIEWPOINTS if not resolvable(a, b, viewpoint))


def facing_area(mark: Mark, identity: IdentitySpec, field: BodyField, toward: np.ndarray) -> float:
    """Square metres of the mark that the body does not hide, projected along ``toward`` (unit vector to the camera)."""
    if mark.kind == "hubcap":
        sign = 1 if mark.zone == "left" else -1
        rim = identity.model.wheel.rim_share * identity.model.shape.wheel_radius
        return float(max(0.0, sign * toward[1]) * np.pi * rim**2)
    if mark.kind == "dent":
        _, normal = anchor(mark, identity.model, field)
        return float(max(0.0, normal @ toward) * np.pi * mark.size[0] ** 2 * 0.25)  # shading shows a part of it
    pieces = _geometry(identity, mark)
    return sum(_piece_area(piece, mark, field, toward, bool(identity.model.shape.box_length)) for piece in pieces)


def _piece_area(piece: Mesh, mark: Mark, field: BodyField, toward: np.ndarray, truck: bool) -> float:
    facing = np.maximum(face_crosses(piece.vertices, piece.faces) / 2 @ toward, 0)
    chosen = np.flatnonzero(facing > 0)
    if not len(chosen):
        return 0.0
    sample = chosen[np.linspace(0, len(chosen) - 1, min(48, len(chosen))).astype(int)]
    if truck and mark.zone in ("left", "right", "rear"):
        return float(facing.sum())  # on the cargo box, which nothing stands before
    free = _unhidden(
        piece.vertices[piece.faces[sample]].mean(axis=1), field, toward, through_glass=mark.kind == "ornament"
    )
    return float(facing.sum() * free.mean())


def _unhidden(points: np.ndarray, field: BodyField, toward: np.ndarray, through_glass: bool) -> np.ndarray:
    t = np.linspace(0.05, 3.5, 110)
    path = points[:, None] + t[None, :, None] * toward
    inside = field(path) < -0.006
    if not through_glass:
        return ~inside.any(axis=1)
    # An ornament starts inside the body: it is seen where its line of sight leaves through the windscreen.
    last = np.where(inside.any(axis=1), inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1), 0)
    leaving = path[np.arange(len(points)), last]
    return (np.abs(field.windscreen(leaving)) < 0.06) & (leaving[:, 2] > field.shape.cowl_height)


@lru_cache(maxsize=64)
def _field(identity: IdentitySpec) -> BodyField:
    return BodyField(identity.model.shape, dents_of(identity))


@lru_cache(maxsize=512)
def _geometry(identity: IdentitySpec, mark: Mark) -> tuple[Mesh, ...]:
    return tuple(mark_geometry(mark, identity.model, _field(identity)))
