"""Takes panels out of the body's closed surface, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ssrnet.synth.mesh import Mesh, quartered, split
from ssrnet.synth.vehicle.bodyfield import BodyField


@dataclass(frozen=True)
class Surface:
    """The vertices of what is left of the shell, in the coordinates that panels are drawn in."""

    points: np.ndarray
    normals: np.ndarray
    station: np.ndarray
    from_tail: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @classmethod
    def of(cls, mesh: Mesh, field: BodyField) -> Surface:
        station = field.station(mesh.vertices)
        return cls(
            mesh.vertices, mesh.normals, station, field.shape.length - station, mesh.vertices[:, 1], mesh.vertices[:, 2]
        )

    @property
    def front_girth(self) -> np.ndarray:
        """From the middle of the nose outwards and around the corner."""
        return np.abs(self.y) + 0.9 * np.maximum(self.station, 0)

    @property
    def rear_girth(self) -> np.ndarray:
        return np.abs(self.y) + 0.9 * np.maximum(self.from_tail, 0)


class Cutter:
    """Holds what is left of the shell and the panels taken from it."""

    def __init__(self, shell: Mesh, field: BodyField) -> None:
        self.rest: Mesh | None = shell
        self.field = field
        self.panels: list[Mesh] = []

    def take(self, level: Callable[[Surface], np.ndarray], material: str, part: str) -> None:
        """Cut out where ``level`` is positive."""
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
