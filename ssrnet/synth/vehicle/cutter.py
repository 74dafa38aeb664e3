"""Cuts panels out of the body's closed surface, one after the other, along signed outlines.

A level is a value per vertex: positive inside the panel, negative outside, in metres where it is a distance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ssrnet.synth.mesh import Mesh, quartered, split
from ssrnet.synth.vehicle.body_field import BodyField


@dataclass(frozen=True)
class Surface:
    """Vertices of the uncut rest of the shell, in the coordinates of panel outlines; arrays (n, 3) or (n,)."""

    points: np.ndarray
    normals: np.ndarray
    station: np.ndarray
    from_tail: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @classmethod
    def of(cls, mesh: Mesh, field: BodyField) -> Surface:
        """The vertices of ``mesh``; ``field`` gives their stations."""
        station = field.station(mesh.vertices)
        return cls(
            mesh.vertices, mesh.normals, station, field.shape.length - station, mesh.vertices[:, 1], mesh.vertices[:, 2]
        )

    @property
    def front_girth(self) -> np.ndarray:
        """Distance from the middle of the nose outwards and around the corner."""
        return np.abs(self.y) + 0.9 * np.maximum(self.station, 0)

    @property
    def rear_girth(self) -> np.ndarray:
        """Distance from the middle of the tail outwards and around the corner."""
        return np.abs(self.y) + 0.9 * np.maximum(self.from_tail, 0)


class Cutter:
    """The panels cut so far, and the rest of the shell."""

    def __init__(self, shell: Mesh, field: BodyField) -> None:
        self.rest: Mesh | None = shell
        self.field = field
        self.panels: list[Mesh] = []

    def cut(self, level: Callable[[Surface], np.ndarray], material: str, part: str) -> None:
        """Cut a panel out where ``level`` is positive; an earlier panel therefore lies on top of a later one."""
        if self.rest is None:
            return
        surface = Surface.of(self.rest, self.field)
        inside, self.rest = split(self.rest, level(surface))
        if inside is not None:
            self.panels.append(replace(inside, material=material, part=part))

    def refine(self, level: Callable[[Surface], np.ndarray]) -> None:
        """Quarter the faces where ``level`` is positive: lamps and grilles are finer than a door."""
        if self.rest is not None:
            chosen = (level(Surface.of(self.rest, self.field)) > 0)[self.rest.faces].all(axis=1)
            self.rest = quartered(self.rest, chosen)


def rounded_all(*levels: np.ndarray, radius: float) -> np.ndarray:
    """Intersection of ``levels``, its corners rounded over about ``radius`` metres."""
    value = levels[0]
    for level in levels[1:]:
        h = np.clip(0.5 + 0.5 * (level - value) / radius, 0, 1)
        value = level * (1 - h) + value * h - radius * h * (1 - h)
    return value


def polygon(u: np.ndarray, v: np.ndarray, corners: list[tuple[float, float]], radius: float = 0.0) -> np.ndarray:
    """Signed distance to a polygon (positive inside), its corners rounded by ``radius``.

    Rounding is an inset by ``radius`` followed by an offset: thin polygons vanish where they are
    narrower than twice the radius, so choose it smaller than that.
    """
    points = np.stack([u, v], -1)
    loop = np.asarray(corners, float)
    if radius:
        loop = _inset(loop, radius)
    distance = np.full(u.shape, np.inf)
    winding = np.zeros(u.shape, bool)
    for a, b in zip(loop, np.roll(loop, -1, axis=0), strict=True):
        edge, away = b - a, points - a
        t = np.clip((away @ edge) / max(edge @ edge, 1e-12), 0, 1)
        distance = np.minimum(distance, np.hypot(*np.moveaxis(away - t[..., None] * edge, -1, 0)))
        crosses = (a[1] > v) != (b[1] > v)
        at = a[0] + (v - a[1]) * edge[0] / (edge[1] if edge[1] else 1e-12)
        winding ^= crosses & (u < at)
    return np.where(winding, distance, -distance) + radius


def circle(u: np.ndarray, v: np.ndarray, center: tuple[float, float], radius: float) -> np.ndarray:
    """Signed distance to a circle, positive inside."""
    return radius - np.hypot(u - center[0], v - center[1])


def band(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """Positive where ``value`` lies between ``low`` and ``high``."""
    return np.minimum(value - low, high - value)


def _inset(loop: np.ndarray, radius: float) -> np.ndarray:
    """Each corner moved inwards along its bisector (convex or nearly convex loops)."""
    before, after = loop - np.roll(loop, 1, axis=0), np.roll(loop, -1, axis=0) - loop
    before /= np.linalg.norm(before, axis=1, keepdims=True) + 1e-12
    after /= np.linalg.norm(after, axis=1, keepdims=True) + 1e-12
    area = 0.5 * np.sum(loop[:, 0] * np.roll(loop[:, 1], -1) - np.roll(loop[:, 0], -1) * loop[:, 1])
    turn = 1.0 if area > 0 else -1.0
    normals = [turn * np.stack([-side[:, 1], side[:, 0]], 1) for side in (before, after)]
    bisector = normals[0] + normals[1]
    scale = 2 / np.maximum((bisector**2).sum(axis=1, keepdims=True), 0.5)
    return loop + radius * bisector * scale
