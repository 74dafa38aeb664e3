"""The renderer's input: a vehicle, its surroundings and the light on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssrnet.synth.render.materials import Batch


@dataclass(frozen=True)
class PointLight:
    """A lamp at ``position`` (metres, site frame) with RGB ``intensity``."""

    position: tuple[float, float, float]
    intensity: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Ground:
    """The textured square around the origin: ``texture`` (h, w, 3) uint8 linear reflectance, row 0 at +y."""

    texture: np.ndarray
    half_extent: float
    roughness: float
    specular: float
    tone: float = 1.0  # a wet road is darker


@dataclass(frozen=True)
class Glow:
    """A surface that shines: an emissive mesh and its RGB radiance."""

    vertices: np.ndarray
    faces: np.ndarray
    radiance: tuple[float, float, float]


@dataclass(frozen=True)
class Stage:
    """Everything that one exposure sees.

    ``environment`` is the sky's radiance (h, w, 3), see :func:`ssrnet.synth.scene.sky.environment`;
    ``sun`` is (unit direction towards it, RGB irradiance) or None.
    """

    vehicle: tuple[Batch, ...]
    surroundings: tuple[Batch, ...]
    environment: np.ndarray
    sun: tuple[np.ndarray, np.ndarray] | None
    lights: tuple[PointLight, ...]
    glow: tuple[Glow, ...]
    ground: Ground
