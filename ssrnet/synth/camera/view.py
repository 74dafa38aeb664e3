"""The pinhole view of one crop: its rays, its projection, and the imperfect box of a detector that frames it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssrnet.synth.camera.cameras import FixedCamera

LONGEST_SIDE = 256  # pixels; a larger detection is stored smaller
SHORTEST_LONG_SIDE = 84  # a smaller detection is stored larger


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
        """Unit ray directions (height * width * samples, 3), jittered within a square of strata per pixel.

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
    """(forward, right, up) of a camera at ``origin`` that looks at ``target``, rolled by ``roll`` radians."""
    forward = np.asarray(target, float) - origin
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    c, s = np.cos(roll), np.sin(roll)
    return forward, c * right + s * up, c * up - s * right


def crop_view(
    site: FixedCamera, vertices: np.ndarray, rng: np.random.Generator, zoom: float = 1.0, jitter: float = 1.0
) -> View:
    """The view of the crop that a detector would cut around ``vertices`` (n, 3), site frame.

    The box is a little too large or too small and off centre, and sometimes cuts a side off;
    ``jitter`` 0 gives the exact box. ``zoom`` scales the number of pixels, as another lens would.
    """
    position = site.position
    roll = np.deg2rad(((site.number * 7) % 9 - 4) * 0.35)
    forward, right, up = camera_axes(position, np.array([0.0, 0.0, 0.6]), roll)
    plain = View(position, forward, right, up, (0, 0, 1, 1), 1, 1)
    image = plain.project(vertices[:: max(1, len(vertices) // 20000)])
    low, high = image.min(axis=0), image.max(axis=0)
    size = high - low
    margin = np.array([rng.normal(0.035, 0.035, 2), rng.normal(0.035, 0.035, 2)]) * jitter
    if rng.random() < 0.06 * jitter:  # the detector lost one side
        margin[int(rng.integers(2)), int(rng.integers(2))] -= rng.uniform(0.06, 0.16)
    margin = np.clip(margin, -0.2, 0.15) + (0.02 if not jitter else 0)
    low, high = low - margin[0] * size, high + margin[1] * size
    pixels = (high - low) * site.lens * zoom
    scale = min(1.0, LONGEST_SIDE / pixels.max()) * max(1.0, SHORTEST_LONG_SIDE / pixels.max())
    width, height = (max(24, round(float(p))) for p in pixels * scale)
    return View(position, forward, right, up, (low[0], low[1], high[0], high[1]), width, height)
