"""From linear radiance to the JPEG a traffic camera would have stored."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from ssrnet.synth.cameras import Sensor
from ssrnet.synth.sky import Weather

LUMA = np.array([0.2126, 0.7152, 0.0722])
FINAL_QUALITY = 88


@dataclass(frozen=True)
class Damage:
    """What one exposure adds to its camera's own faults. ``motion`` in pixels (x, y); gains are factors."""

    motion: tuple[float, float]
    gain: float
    extra_blur: float
    noise: float
    infrared: bool


def develop(
    radiance: np.ndarray, sensor: Sensor, weather: Weather, damage: Damage, rng: np.random.Generator
) -> np.ndarray:
    """RGB uint8 (h, w, 3), before the file's own compression but after the video's."""
    image = radiance.astype(np.float64)
    image = _streak(image, damage.motion)
    level = np.mean(np.minimum(image @ LUMA, 2.5))
    metered = (0.20 / max(level, 2e-3)) ** (0.8 if not weather.dark else 0.7)
    image = image * np.clip(metered, 0.1, 6.0) * sensor.exposure * damage.gain
    if damage.infrared:
        image = np.repeat((image @ np.array([0.45, 0.35, 0.20]))[..., None], 3, axis=2)
    else:
        image = image * np.array(sensor.white_balance)
    glow = gaussian_filter(np.maximum(image - 1.6, 0), (2.5, 2.5, 0)) * 0.12
    image = image + np.minimum(glow, 0.8)
    image = image * (1 - weather.haze) + weather.haze * 0.5 * np.clip(level * metered, 0.05, 1)
    image = _film(image, sensor.contrast)
    grey = (image @ LUMA)[..., None]
    image = grey + (image - grey) * (sensor.saturation * (0.75 if weather.dark else 1.0))
    blur = np.hypot(sensor.blur, damage.extra_blur)
    image = gaussian_filter(image, (blur, blur, 0))
    image = image + _noise(image.shape, sensor.noise * damage.noise, rng, damage.infrared) * (0.5 + 0.9 * (1 - image))
    if sensor.sharpening:
        image = image + sensor.sharpening * (image - gaussian_filter(image, (1.0, 1.0, 0)))
    pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    video = io.BytesIO()
    Image.fromarray(pixels).save(video, "JPEG", quality=sensor.quality)
    return np.asarray(Image.open(video).convert("RGB"))


def jpeg_bytes(pixels: np.ndarray) -> bytes:
    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, "JPEG", quality=FINAL_QUALITY)
    return stored.getvalue()


def png_bytes(labels: np.ndarray) -> bytes:
    """A part mask: one grey value a part, see :data:`ssrnet.synth.parts.PART_NAMES`."""
    stored = io.BytesIO()
    Image.fromarray(labels.astype(np.uint8), "L").save(stored, "PNG", optimize=True)
    return stored.getvalue()


def _film(image: np.ndarray, contrast: float) -> np.ndarray:
    """A filmic shoulder, sRGB's curve, then contrast around middle grey."""
    x = np.maximum(image, 0) * 0.9
    x = np.clip((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    x = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(np.maximum(x, 1e-9), 1 / 2.4) - 0.055)
    return np.clip(0.5 + (x - 0.5) * contrast, 0, 1)


def _streak(image: np.ndarray, motion: tuple[float, float]) -> np.ndarray:
    length = float(np.hypot(*motion))
    if length < 0.7:
        return image
    count = int(np.ceil(length)) + 1
    rows, columns = np.meshgrid(np.arange(image.shape[0]), np.arange(image.shape[1]), indexing="ij")
    total = np.zeros_like(image)
    for t in np.linspace(-0.5, 0.5, count):
        at = [rows + t * motion[1], columns + t * motion[0]]
        total += np.stack([map_coordinates(image[..., c], at, order=1, mode="nearest") for c in range(3)], -1)
    return total / count


def _noise(shape: tuple[int, ...], strength: float, rng: np.random.Generator, grey: bool) -> np.ndarray:
    """Mostly in brightness, a little in colour, blotchy as a video codec leaves it."""
    luma = rng.normal(0, 1, shape[:2])[..., None]
    luma = 0.7 * luma + 0.9 * gaussian_filter(luma, (0.8, 0.8, 0))
    chroma = gaussian_filter(rng.normal(0, 1, shape), (1.3, 1.3, 0)) * (0.0 if grey else 1.4)
    return strength * (luma + chroma)
