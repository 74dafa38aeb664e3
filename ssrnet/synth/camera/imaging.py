"""Develops linear radiance into the JPEG that a traffic camera would store."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from ssrnet.synth.camera.cameras import Sensor
from ssrnet.synth.weather import NIGHT_COLORS, Weather

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
FINAL_QUALITY = 88


@dataclass(frozen=True)
class Degradation:
    """What one exposure adds to its camera's faults.

    ``motion`` is blur in pixels (x, y); ``extra_blur`` a standard deviation in pixels; ``gain`` and
    ``noise`` are factors.
    """

    motion: tuple[float, float]
    gain: float
    extra_blur: float
    noise: float
    infrared: bool


def develop(
    radiance: np.ndarray, sensor: Sensor, weather: Weather, degradation: Degradation, rng: np.random.Generator
) -> np.ndarray:
    """RGB uint8 (h, w, 3) from ``radiance`` (h, w, 3): after the video's compression, before the file's."""
    image = _streak(radiance.astype(np.float32), degradation.motion)
    level, metered = _metered(image @ LUMA, weather)
    image = image * metered * sensor.exposure * degradation.gain
    if degradation.infrared:
        image = np.repeat((image @ np.array([0.45, 0.35, 0.20], np.float32))[..., None], 3, axis=2)
    else:
        image = image * (_balance(weather) * np.array(sensor.white_balance)).astype(np.float32)
    image = image + _bloom(image)
    veil = weather.haze + (0.05 if weather.kind == "rain" else 0.0)
    image = image * (1 - veil) + veil * 0.5 * np.clip(level * metered, 0.05, 1)
    if weather.kind == "rain":
        image = _rain(image, rng)
    image = _film(image, sensor.contrast * (1.12 if weather.dark else 1.0))
    image = _saturated(image, sensor.saturation * {"night": 0.85, "rain": 0.9}.get(weather.kind, 1.0))
    blur = np.hypot(sensor.blur, degradation.extra_blur)
    image = gaussian_filter(image, (blur, blur, 0))
    noise = _sensor_noise(image.shape, sensor.noise * degradation.noise, rng, degradation.infrared)
    if weather.dark:  # a camera then trades sharpness for less noise
        noise = (0.6 if degradation.infrared else 0.8) * gaussian_filter(noise, (0.5, 0.5, 0))
    image = image + noise * (1.4 - 0.9 * image)
    sharpening = sensor.sharpening * (0.5 if weather.dark else 1.0)
    if sharpening:
        image = image + sharpening * (image - gaussian_filter(image, (1.0, 1.0, 0)))
    pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    video = io.BytesIO()
    Image.fromarray(pixels).save(video, "JPEG", quality=sensor.quality)
    return np.asarray(Image.open(video).convert("RGB"))


def jpeg_bytes(pixels: np.ndarray) -> bytes:
    """A photograph's file."""
    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, "JPEG", quality=FINAL_QUALITY)
    return stored.getvalue()


def png_bytes(labels: np.ndarray) -> bytes:
    """A part mask's file: one grey value per part, see :data:`ssrnet.synth.vehicle.part_names.PART_NAMES`."""
    stored = io.BytesIO()
    Image.fromarray(labels.astype(np.uint8), "L").save(stored, "PNG", optimize=True)
    return stored.getvalue()


def _metered(luma: np.ndarray, weather: Weather) -> tuple[float, float]:
    """(mean level, gain) of the automatic exposure, which corrects only a share of the darkness.

    By night a few lamps must not decide, so they count no more than a few times the median, and the
    vehicle counts more than the lit road around it.
    """
    aim, share = {"night": (0.145, 0.86), "dusk": (0.155, 0.80), "rain": (0.18, 0.80)}.get(weather.kind, (0.20, 0.80))
    limit = 4.0 * float(np.median(luma)) + 0.02 if weather.dark else 2.5
    weight = _center_weight(luma.shape) if weather.dark else None
    level = float(np.average(np.minimum(luma, limit), weights=weight))
    return level, float(np.clip((aim / max(level, 2e-3)) ** share, 0.1, 9.0))


def _center_weight(shape: tuple[int, ...]) -> np.ndarray:
    y, x = (np.linspace(-1, 1, n) for n in shape)
    return 0.15 + np.exp(-2.5 * (y[:, None] ** 2 + x[None] ** 2))


def _balance(weather: Weather) -> np.ndarray:
    """RGB gains of the automatic white balance, which removes a part of the lamps' colour by night."""
    if not weather.dark:
        return np.ones(3)
    lamp = np.array(NIGHT_COLORS.get(weather.night_light, (1.0, 1.0, 1.0)))
    return (lamp @ LUMA / lamp) ** 0.3


def _bloom(image: np.ndarray) -> np.ndarray:
    """Light that lens and sensor spill around overexposed pixels: a narrow halo, a wider one and a veil.

    The latter two are blurred at a quarter of the size.
    """
    excess = np.minimum(np.maximum(image - 1.2, 0), 60.0)
    if not excess.any():
        return np.zeros_like(image)
    h, w = image.shape[:2]
    padded = np.pad(excess, ((0, -h % 4), (0, -w % 4), (0, 0)))
    small = padded.reshape(padded.shape[0] // 4, 4, padded.shape[1] // 4, 4, 3).mean(axis=(1, 3))
    small = 0.045 * gaussian_filter(small, (1.0, 1.0, 0)) + 0.028 * gaussian_filter(small, (3.0, 3.0, 0), truncate=3)
    wide = np.einsum("hi,ijc,wj->hwc", _upsampling(h), small, _upsampling(w), optimize=True)
    return 0.10 * gaussian_filter(excess, (1.6, 1.6, 0), truncate=3) + wide


def _upsampling(count: int) -> np.ndarray:
    """Weights (count, ceil(count / 4)) that interpolate a quarter-size row linearly at ``count`` pixels."""
    cells = -(-count // 4)
    at = np.clip((np.arange(count) + 0.5) / 4 - 0.5, 0, cells - 1)
    return np.maximum(1 - np.abs(at[:, None] - np.arange(cells)), 0).astype(np.float32)


def _rain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Falling streaks, and on some exposures a drop or two on the glass before the lens."""
    h, w = image.shape[:2]
    mask = np.zeros((h, w))
    slant = rng.normal(0, 0.12)
    for _ in range(int(h * w / 25000 * rng.uniform(8, 45))):
        length, row, column = rng.uniform(6, 26), rng.uniform(-10, h), rng.uniform(0, w)
        t = np.arange(0, length)
        rows, columns = (row + t).astype(int), (column + slant * t).astype(int)
        inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
        mask[rows[inside], columns[inside]] += rng.uniform(0.2, 1.0)
    bright = 1.1 * float(np.mean(image)) + 0.1
    share = 0.30 * gaussian_filter(mask, (1.0, 0.55))[..., None]
    image = image * (1 - share) + bright * share
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.68, 0.18, 0.09, 0.05]))):
        image = _drop(image, rng)
    return image


def _drop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An unfocused drop: a soft disc in which the scene is blurred and a little brighter."""
    h, w = image.shape[:2]
    row, column, radius = rng.uniform(0, h), rng.uniform(0, w), rng.uniform(0.035, 0.085) * max(h, w)
    y, x = np.mgrid[:h, :w]
    away = np.hypot((y - row) / 1.15, x - column) / radius
    share = (0.6 / (1 + np.exp(np.clip((away - 1) * 7, -30, 30))))[..., None]
    soft = gaussian_filter(image, (0.2 * radius, 0.2 * radius, 0), truncate=2.5)
    return image * (1 - share) + (0.94 * soft + 0.09 * image.mean()) * share


def _saturated(image: np.ndarray, saturation: float) -> np.ndarray:
    """Colourfulness times ``saturation``; vivid colours gain less, blue least of all."""
    grey = (image @ LUMA)[..., None]
    r, g, b = (image[..., c : c + 1] for c in range(3))
    warm = np.maximum(r, g)
    spread = np.maximum(warm, b) - np.minimum(np.minimum(r, g), b)
    return grey + (image - grey) * (saturation / (1 + 0.25 * spread + 1.3 * np.maximum(b - warm, 0)))


def _film(image: np.ndarray, contrast: float) -> np.ndarray:
    """A filmic shoulder, sRGB's curve, then contrast around middle grey."""
    x = np.maximum(image, 0) * 0.9
    x = np.clip((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    x = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(np.maximum(x, 1e-9), 1 / 2.4) - 0.055)
    return np.clip(0.5 + (x - 0.5) * contrast, 0, 1)


def _streak(image: np.ndarray, motion: tuple[float, float]) -> np.ndarray:
    """Motion blur: the mean of the image over shifts along ``motion``."""
    length = float(np.hypot(*motion))
    if length < 0.7:
        return image
    count = int(np.ceil(length)) + 1
    h, w = image.shape[:2]
    reach = int(np.ceil(length / 2)) + 1
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = np.zeros_like(image)
    for t in np.linspace(-0.5, 0.5, count):
        right, down = t * motion[0] + reach, t * motion[1] + reach
        column, row = int(right), int(down)
        for i, vertical in enumerate((1 - (down - row), down - row)):
            for j, horizontal in enumerate((1 - (right - column), right - column)):
                if vertical * horizontal > 0:
                    total += vertical * horizontal * padded[row + i : row + i + h, column + j : column + j + w]
    return total / count


def _sensor_noise(shape: tuple[int, ...], strength: float, rng: np.random.Generator, grey: bool) -> np.ndarray:
    """Noise mostly in brightness, a little in colour, blotchy as a video codec leaves it; only ``grey`` if set."""
    luma = rng.standard_normal(shape[:2], np.float32)
    luma = (0.7 * luma + 0.9 * gaussian_filter(luma, 0.8))[..., None]
    if grey:
        return np.repeat(strength * luma, 3, axis=2)
    chroma = 1.4 * gaussian_filter(rng.standard_normal(shape, np.float32), (1.3, 1.3, 0))
    return strength * (luma + chroma)
