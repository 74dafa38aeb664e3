"""A crop's pinhole view: where it looks from, and which rays its pixels take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class View:
    """A rectangle of a fixed camera's image plane.

    ``origin`` and the orthonormal ``forward``, ``right``, ``up`` are the camera's; ``box`` is
    (left, bottom, right, top) in tangent units on its image plane; ``width`` x ``height`` pixels.
    """

    origin: np.ndarray
    forward: np.ndarray
    right: np.ndarray
    up: np.ndarray
    box: tuple[float, float, float, float]
    width: int
    height: int

    def directions(self, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Unit ray directions (height * width * samples, 3), jittered in a square of strata a pixel.

        Pixels run row by row from the top left, a pixel's samples next to each other.
        """
        grid = int(np.sqrt(samples))
        strata = np.stack(np.meshgrid(np.arange(grid), np.arange(grid), indexing="ij"), -1).reshape(1, 1, -1, 2)
        inside = (strata + rng.random((self.height, self.width, grid * grid, 2))) / grid
        if samples == 1:
            inside = np.full_like(inside, 0.5)
        x = np.arange(self.width)[None, :, None] + inside[..., 1]
        y = np.arange(self.height)[:, None, None] + inside[..., 0]
        left, bottom, right, top = self.box
        u = left + (right - left) * x / self.width
        v = top - (top - bottom) * y / self.height
        rays = self.forward + u[..., None] * self.right + v[..., None] * self.up
        return (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Tangent coordinates (n, 2) of ``points`` on the image plane."""
        away = points - self.origin
        depth = np.maximum(away @ self.forward, 1e-3)
        return np.stack([away @ self.right / depth, away @ self.up / depth], 1)


def camera_axes(origin: np.ndarray, target: np.ndarray, roll: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(forward, right, up) of a camera at ``origin`` that looks at ``target``, rolled by radians."""
    forward = np.asarray(target, float) - origin
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    c, s = np.cos(roll), np.sin(roll)
    return forward, c * right + s * up, c * up - s * right
