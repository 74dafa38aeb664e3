"""What the renderer is given: the vehicle, its surroundings and the light on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssrnet.synth.render.materials import Batch


@dataclass(frozen=True)
class PointLight:
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
    """Something that shines: an emissive mesh and its radiance."""

    vertices: np.ndarray
    faces: np.ndarray
    radiance: tuple[float, float, float]


@dataclass(frozen=True)
class Stage:
    """Everything one exposure sees: the vehicle, the rest, and the light on them.

    ``sun`` is (direction towards it, RGB irradiance) or None.
    """

    vehicle: tuple[Batch, ...]
    rest: tuple[Batch, ...]
    environment: np.ndarray
    sun: tuple[np.ndarray, np.ndarray] | None
    lights: tuple[PointLight, ...]
    glow: tuple[Glow, ...]
    ground: Ground
