"""A detector's imperfect box around a vehicle, as a view of the fixed camera that took it."""

from __future__ import annotations

import numpy as np

from ssrnet.synth.camera.cameras import FixedCamera
from ssrnet.synth.camera.view import View, camera_axes

LONGEST_SIDE = 256  # pixels; a larger detection is stored smaller
SHORTEST_LONG_SIDE = 84


def crop_view(
    site: FixedCamera, vertices: np.ndarray, rng: np.random.Generator, zoom: float = 1.0, jitter: float = 1.0
) -> View:
    """The view of the crop that a detector would have cut around ``vertices`` (n, 3), site frame.

    The box is a little too large or too small, off centre, and now and then cuts a side off;
    ``jitter`` 0 gives the exact box. ``zoom`` stands for another lens: more or fewer pixels.
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
