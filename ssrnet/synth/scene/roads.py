"""Road textures: worn asphalt with tracks, patches, cracks and the paint of a site's style."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from ssrnet.synth.camera.cameras import FixedCamera
from ssrnet.synth.rng import stream
from ssrnet.synth.scene.sky import fractal_noise

HALF_EXTENT = 22.0  # metres; beyond it the far ground takes over
PIXELS = 1408


def road_texture(site: FixedCamera) -> np.ndarray:
    """Linear reflectance times 255, (PIXELS, PIXELS, 3) uint8; row 0 is the left edge (+y), column 0 the rear (-x)."""
    rng = stream(site.town, "road", site.number)
    n = PIXELS
    axis = (np.arange(n) + 0.5) / n * 2 * HALF_EXTENT - HALF_EXTENT
    y, x = np.meshgrid(-axis, axis, indexing="ij")
    tone = rng.uniform(0.085, 0.20) + 0.05 * _coarse_noise(n, rng, 6, 3) - 0.02
    tone += 1.3 * gaussian_filter(rng.normal(0, 0.018, (n, n)), 0.6)
    wheel_paths = [lane + side for lane, _ in site.lanes for side in (-0.78, 0.78)]
    for path in wheel_paths:
        tone -= 0.018 * np.exp(-(((y - path) / 0.28) ** 2))
    for lane, _ in site.lanes:
        tone -= 0.012 * np.exp(-(((y - lane) / 0.22) ** 2)) * _coarse_noise(n, rng, 4, 6)
    for _ in range(int(rng.integers(1, 5))):  # repairs: rectangles of another tone
        cx, cy, w, h = rng.uniform(-15, 15), rng.uniform(-6, 6), rng.uniform(1, 5), rng.uniform(0.8, 2.4)
        inside = (np.abs(x - cx) < w) & (np.abs(y - cy) < h)
        tone = np.where(inside, tone * rng.uniform(0.72, 1.2), tone)
    _cracks(tone, rng)
    for _ in range(2):  # a manhole
        cx, cy = rng.uniform(-8, 8), rng.uniform(-5, 5)
        r = np.hypot(x - cx, y - cy)
        tone = np.where(r < 0.36, np.where(r < 0.31, 0.06 + 0.03 * (np.sin(30 * x) * np.sin(30 * y) > 0), 0.04), tone)
    image = tone[..., None] * np.array([1.0, 0.985, 0.96])
    wear = np.clip(0.45 + 1.2 * (_coarse_noise(n, rng, 5, 8) - 0.3), 0, 1)
    for mask, color in _paint(site, x, y, rng):
        share = (mask * wear)[..., None] * 0.9
        image = image * (1 - share) + np.array(color) * share
    return (np.clip(image, 0.012, 0.9) * 255).astype(np.uint8)


def _paint(site: FixedCamera, x: np.ndarray, y: np.ndarray, rng: np.random.Generator):
    """Yields (mask (n, n), linear RGB) of each marking of the site's style."""
    white, yellow = (0.58, 0.58, 0.56), (0.58, 0.38, 0.06)
    wide = 3.6 if site.style == "highway" else 3.2
    lanes = sorted({round(abs(lane) / wide + 0.5) for lane, _ in site.lanes})
    edge = wide * max(lanes)
    phase = rng.uniform(0, 9)
    dashes = np.mod(x + phase, 9) < (4 if site.style in ("highway", "bridge") else 3)
    if site.style in ("highway", "bridge", "avenue"):
        for way in (1, -1):
            yield (np.abs(y - way * wide) < 0.075) & dashes, white
    both = len(site.heading) == 2
    middle = yellow if both and site.number % 2 else white
    yield np.abs(np.abs(y) - 0.12) < 0.055 if both else np.abs(y) < 0.08, middle
    for way in (1, -1):
        yield np.abs(y - way * (edge + 0.1)) < 0.07, white
    if site.style == "crossing":
        start = 4.2 if site.number % 2 else -7.2
        yield (np.abs(x - start - 1.5) < 1.5) & (np.mod(y, 1.0) < 0.5) & (np.abs(y) < edge), white
        yield (np.abs(x - start + 1.2) < 0.18) & (np.abs(y) < edge), white
        inside = (np.abs(x + np.sign(start) * 7) < 5) & (np.abs(y) < edge)
        yield inside & ((np.mod(x + y, 2.2) < 0.12) | (np.mod(x - y, 2.2) < 0.12)), yellow
    if site.style == "avenue":
        for lane, way in site.lanes:  # a straight arrow per lane
            u, v = (x - 7.5) * way, np.abs(y - lane)
            yield ((v < 0.08) & (np.abs(u) < 1.4)) | ((v < (2.1 - u) * 0.35) & (u > 1.2) & (u < 2.1)), white
    if site.style == "gate":
        yield (np.mod(x - y, 1.4) < 0.7) & (np.abs(np.abs(y) - edge - 0.9) < 0.45), yellow
        yield np.abs(x - 3.0) < 0.16, white


def _coarse_noise(n: int, rng: np.random.Generator, octaves: int, base: int) -> np.ndarray:
    """Fractal noise made at a quarter of the size, since asphalt's finest grain is drawn separately."""
    coarse = fractal_noise((n // 4, n // 4), rng, octaves, base)
    return zoom(coarse, 4, order=1)


def _cracks(tone: np.ndarray, rng: np.random.Generator) -> None:
    n = tone.shape[0]
    scale = n / (2 * HALF_EXTENT)
    for _ in range(9):
        point, angle, dark = rng.uniform(-16, 16, 2), rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.8)
        for _ in range(180):
            i, j = (int(c * scale + n / 2) for c in point)
            if 0 <= i < n - 2 and 0 <= j < n - 2:
                tone[i : i + 2, j : j + 2] *= dark
            angle += rng.normal(0, 0.32)
            point = point + 0.045 * np.array([np.cos(angle), np.sin(angle)])
