"""Light from afar: the sun, and a sky dome with clouds, skyline and the lights of a town."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from ssrnet.synth.weather import NIGHT_COLORS, Weather, direction


def sun_irradiance(weather: Weather) -> np.ndarray:
    """RGB irradiance of the sun on a surface facing it; zero by night and under closed clouds."""
    if weather.dark or weather.overcast >= 0.95:
        return np.zeros(3)
    height = np.clip(np.sin(weather.sun_elevation) / 0.5, 0.0, 1.0)
    warm = np.array([1.0, 0.60 + 0.35 * height, 0.32 + 0.55 * height])
    # At dusk most of it arrives through haze and past roofs: the sky carries that part, with soft shadows.
    share = 0.22 if weather.kind == "dusk" else 1.0
    return share * (1 - weather.overcast) * (2.2 + 4.8 * height) * warm


def fractal_noise(
    shape: tuple[int, int], rng: np.random.Generator, octaves: int = 6, base: int = 4, rough: float = 0.55
) -> np.ndarray:
    """Smooth noise (h, w) in [0, 1]: octaves from ``base`` cells on, each twice as fine and ``rough`` as strong."""
    total, weight = np.zeros(shape, np.float32), 1.0
    for octave in range(octaves):
        cells = base * 2**octave
        rows, columns = min(cells, shape[0]) + 3, min(max(cells * shape[1] // shape[0], 1), shape[1]) + 3
        grid = rng.random((rows, columns)).astype(np.float32)
        y, x = np.linspace(1, rows - 2, shape[0]), np.linspace(1, columns - 2, shape[1])
        total += weight * map_coordinates(grid, np.meshgrid(y, x, indexing="ij"), order=1)
        weight *= rough
    total -= total.min()
    return total / total.max()


def environment(
    weather: Weather, site_rng: np.random.Generator, sky_rng: np.random.Generator, height: int = 192
) -> np.ndarray:
    """Radiance (height, 2 height, 3), row 0 the zenith, column 0 azimuth 0, growing counter-clockwise.

    ``site_rng`` draws the skyline, which stays with a place; ``sky_rng`` the clouds of the moment.
    """
    width = 2 * height
    elevation = np.pi / 2 - (np.arange(height) + 0.5) / height * np.pi
    azimuth = (np.arange(width) + 0.5) / width * 2 * np.pi
    up, around = np.meshgrid(elevation, azimuth, indexing="ij")
    if weather.dark:
        sky = _night_sky(weather, up)
    elif weather.kind == "dusk":
        sky = _dusk_sky(weather, up, around, sky_rng)
    else:
        sky = _day_sky(weather, up, around, sky_rng)
    scene = _skyline(sky, weather, up, around, site_rng)
    if weather.kind in ("dusk", "night"):
        scene = scene + _town_lights(weather, up, around, site_rng)
    return np.maximum(scene, 0).astype(np.float32)


def _day_sky(weather: Weather, up: np.ndarray, around: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    t = np.clip(np.sin(up), 0, 1)[..., None]
    low_sun = np.clip(1 - np.sin(max(weather.sun_elevation, 0.0)) / 0.35, 0, 1)
    horizon = np.array([0.78, 0.84, 0.93]) * (1 - low_sun) + np.array([0.95, 0.70, 0.52]) * low_sun
    zenith = np.array([0.28, 0.41, 0.66]) * (1 - 0.45 * low_sun)
    clear = horizon * (1 - t) ** 2.2 + zenith * (1 - (1 - t) ** 2.2)
    noise = fractal_noise(up.shape, rng, 6, 5)[..., None]
    cover = np.clip((noise - 0.50 + 0.3 * weather.overcast) * 3.2, 0, 1) * np.clip(6 * t, 0, 1)
    cloud = np.array([1.0, 0.99, 0.97]) * (0.75 + 0.35 * noise)
    sky = clear * (1 - cover) + cloud * cover
    grey = np.array([0.80, 0.82, 0.85]) * (0.62 + 0.5 * t) * (0.8 + 0.4 * noise)
    sky = sky * (1 - weather.overcast) + grey * weather.overcast
    toward = _toward_sun(weather, up, around)
    sky = sky + (1 - weather.overcast) * np.array([1, 0.90, 0.75]) * (1.1 * toward**50 + 4 * toward**900)
    if weather.kind == "rain":  # heavy low cloud: brightest overhead, so that a wet road mirrors a dull horizon
        sky = sky * (0.50 + 0.75 * t) * np.array([0.95, 1.0, 1.05])
    return sky * {"rain": 0.62, "overcast": 0.95}.get(weather.kind, 0.9)


def _toward_sun(weather: Weather, up: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Cosine of the angle to the sun, (h, w, 1), 0 behind."""
    look = np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], -1)
    return np.clip(look @ direction(weather.sun_azimuth, weather.sun_elevation), 0, 1)[..., None]


def _dusk_sky(weather: Weather, up: np.ndarray, around: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blue overhead, orange where the sun went down, a mauve belt on the other side; clouds lit from below."""
    t = np.clip(np.sin(up), 0, 1)[..., None]
    west = 0.5 + 0.5 * np.cos(around - weather.sun_azimuth)[..., None]
    horizon = np.array([0.20, 0.19, 0.26]) * (1 - west**1.5) + np.array([0.66, 0.36, 0.17]) * west**1.5
    zenith = np.array([0.115, 0.180, 0.330])
    clear = horizon * (1 - t) ** 4 + zenith * (1 - (1 - t) ** 4)
    noise = fractal_noise(up.shape, rng, 6, 5)[..., None]
    cover = np.clip((noise - 0.52 + 0.35 * weather.overcast) * 3, 0, 1) * np.clip(8 * t, 0, 1)
    lit = np.array([0.17, 0.14, 0.16]) * (1 - west) + np.array([0.50, 0.27, 0.17]) * west
    cloud = lit * (0.35 + 0.6 * (1 - t)) * (0.6 + 0.8 * noise)
    toward = _toward_sun(weather, up, around)
    afterglow = (1 - 0.8 * weather.overcast) * np.array([1.0, 0.52, 0.22]) * (0.5 * toward**6 + 3.0 * toward**90)
    return clear * (1 - cover) + cloud * cover + afterglow * (1 - 0.6 * cover)


def _night_sky(weather: Weather, up: np.ndarray) -> np.ndarray:
    """A town's lamps in its haze, which light the shadows between lamps."""
    if weather.night_light == "infrared":  # a filter blocks visible light
        return np.full((*up.shape, 3), 0.004)
    glow = {"sodium": (0.046, 0.034, 0.022), "shops": (0.040, 0.034, 0.031), "led": (0.036, 0.040, 0.046)}
    low = np.array(glow.get(weather.night_light, (0.034, 0.038, 0.038)))
    t = np.clip(np.sin(up), 0, 1)[..., None]
    return low * (1 - t) ** 3 + np.array([0.034, 0.037, 0.047]) * (1 - (1 - t) ** 3)


def _spot(up: np.ndarray, around: np.ndarray, center: tuple[float, float], width: float, height: float) -> np.ndarray:
    """A soft blob (h, w, 1) at ``center`` (azimuth, elevation); standard deviations in radians."""
    turn = np.angle(np.exp(1j * (around - center[0])))
    return np.exp(-0.5 * ((turn / width) ** 2 + ((up - center[1]) / height) ** 2))[..., None]


def _town_lights(weather: Weather, up: np.ndarray, around: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lamps down the road, shop fronts beside it, distant headlamps: paint and a wet road mirror them."""
    lamp = np.array(NIGHT_COLORS.get(weather.night_light, (1.0, 0.74, 0.46)))
    total = np.zeros((*up.shape, 3))
    for way in (0.0, np.pi):
        for _ in range(5):  # a row of street lamps; nearer ones stand higher
            elevation = 0.10 + 0.75 * rng.random() ** 2
            center = (way + rng.choice([-1, 1]) * (0.06 + 0.9 * elevation), elevation)
            size = 0.014 + 0.032 * elevation
            total += lamp * rng.uniform(6, 16) * _spot(up, around, center, 1.5 * size, size)
        for _ in range(2):
            tint = np.array([1.0, 0.93, 0.8]) if rng.random() < 0.6 else np.array([0.9, 0.06, 0.04])
            center = (way + rng.uniform(-0.25, 0.25), rng.uniform(0.01, 0.04))
            total += tint * rng.uniform(3, 8) * _spot(up, around, center, 0.03, 0.014)
    for _ in range(6):
        tint = 0.55 * np.array([1.0, 0.82, 0.6]) + 0.45 * rng.uniform(0.2, 1.0, 3)
        center = (rng.choice([0.5, 1.5]) * np.pi + rng.normal(0, 0.75), rng.uniform(0.01, 0.06))
        total += tint * rng.uniform(0.4, 1.4) * _spot(up, around, center, rng.uniform(0.05, 0.16), 0.022)
    share = {"infrared": 0.06, "shops": 1.3}.get(weather.night_light, 1.0) if weather.dark else 0.22
    return total * share


def _skyline(
    sky: np.ndarray, weather: Weather, up: np.ndarray, around: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Buildings and trees on the horizon, lit from the sun's side by day, with lit windows by night."""
    width = up.shape[1]
    roofline, color, lit = np.full(width, 0.05), np.full((width, 3), 0.2), np.zeros(width)
    start = 0
    while start < width:
        span = int(rng.integers(6, 34))
        tree = rng.random() < 0.4
        top = rng.uniform(0.05, 0.2) if tree else rng.uniform(0.06, 0.6) * rng.random() ** 0.5
        shade = (
            np.array([0.05, 0.085, 0.035]) * rng.uniform(0.5, 1.6)
            if tree
            else rng.uniform(0.1, 0.5) * np.array([1, rng.uniform(0.88, 1), rng.uniform(0.72, 1)])
        )
        cut = slice(start, min(width, start + span))
        roofline[cut] = top + (0.04 * rng.random(len(roofline[cut])) if tree else 0)
        color[cut], lit[cut] = shade, 0 if tree else rng.random()
        start += span
    texture = 0.6 + 0.8 * fractal_noise(up.shape, rng, 6, 16, 0.75)[..., None]
    floors = (np.floor(up * 95) % 3 == 0)[..., None] * 0.4
    facing = 0.45 + 0.75 * np.clip(np.cos(around - weather.sun_azimuth), 0, 1)[..., None]
    if weather.dark:
        windows = gaussian_filter((rng.random(up.shape) < 0.05 * lit[None]).astype(float), 0.5)[..., None]
        dim = 0.05 if weather.night_light == "infrared" else 1.0
        city = dim * (color[None] * 0.04 * texture + windows * np.array([1.0, 0.8, 0.5]) * 0.8)
    else:
        level = {"dusk": 0.16, "rain": 0.45}.get(weather.kind, 1.0)
        city = color[None] * texture * (1 - floors) * (facing if weather.overcast < 0.9 else 0.75) * level
        if weather.kind == "dusk":
            windows = gaussian_filter((rng.random(up.shape) < 0.06 * lit[None]).astype(float), 0.5)[..., None]
            city = city + windows * np.array([1.0, 0.76, 0.44]) * 0.6
    scene = np.where((up < roofline[None])[..., None], city, sky)
    ground = np.array([0.14, 0.14, 0.135]) * (0.02 if weather.dark else 0.8)
    return np.where((up < 0)[..., None], ground, scene)
