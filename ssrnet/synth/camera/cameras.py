"""Fixed cameras, each a place, a pole, a lens and a sensor; and the 20 of the city, which `draw_cameras.py` adds to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssrnet.synth.rng import stream

CITY = 776  # seed of all streams that belong to the city's places and not to a run


@dataclass(frozen=True)
class Sensor:
    """How a camera degrades its image. Noise and blur are at the crop's size in the frame."""

    white_balance: tuple[float, float, float]
    exposure: float
    contrast: float
    saturation: float
    sharpening: float
    noise: float
    blur: float
    quality: int  # of the video's compression, as a JPEG quality


@dataclass(frozen=True)
class FixedCamera:
    """A camera over a road. Site frame: x along the road, y to its left, origin where vehicles are photographed.

    ``town`` is the seed of the streams that draw the place: road, roadside, lamps, skyline and days.
    ``azimuth`` (degrees, counter-clockwise from x), ``distance`` and ``height`` (metres) place it;
    ``lens`` is pixels per unit of tangent; ``heading`` are the directions of traffic (+1 along x, -1
    against); ``turning`` is how far (degrees) vehicles may turn there.
    """

    number: int
    town: int
    place: str
    style: str  # highway, avenue, crossing, street, gate, bridge
    azimuth: float
    distance: float
    height: float
    lens: float
    heading: tuple[int, ...]
    turning: float
    road_yaw: float
    night_light: str
    sensor: Sensor

    @property
    def position(self) -> np.ndarray:
        """The lens in the site frame (3,), metres."""
        angle = np.deg2rad(self.azimuth)
        return np.array([self.distance * np.cos(angle), self.distance * np.sin(angle), self.height])

    @property
    def lanes(self) -> tuple[tuple[float, int], ...]:
        """(y, heading) of each lane; traffic keeps to the right."""
        wide = 3.6 if self.style == "highway" else 3.2
        count = {"highway": 2, "bridge": 2, "avenue": 2}.get(self.style, 1)
        return tuple((-way * wide * (k + 0.5), way) for way in self.heading for k in range(count))


# place, style, azimuth, distance, height, lens, headings, turning, night light
_PLACES = (
    ("Harbour motorway, northbound", "highway", 12, 22, 7.0, 1000, (1,), 0, "sodium"),
    ("Harbour motorway, southbound", "highway", 190, 24, 7.5, 1050, (1,), 0, "sodium"),
    ("Ring road, slip", "highway", 38, 17, 6.0, 820, (1,), 4, "led"),
    ("Ring road, bridge", "bridge", 152, 18, 6.5, 860, (1,), 0, "led"),
    ("Museum avenue, west", "avenue", 30, 16, 5.5, 760, (1,), 3, "sodium"),
    ("Museum avenue, east", "avenue", 205, 15, 5.2, 720, (1, -1), 3, "mercury"),
    ("Station crossing, north arm", "crossing", 55, 15, 5.6, 700, (1, -1), 28, "shops"),
    ("Station crossing, south arm", "crossing", 250, 17, 6.2, 800, (1, -1), 28, "shops"),
    ("Station crossing, west arm", "crossing", 95, 16, 6.0, 760, (1, -1), 22, "led"),
    ("Market street, upper end", "street", 18, 13, 4.5, 640, (1, -1), 4, "shops"),
    ("Market street, lower end", "street", 165, 14, 4.6, 660, (1, -1), 4, "shops"),
    ("Hospital gate, in", "gate", 20, 11, 2.6, 520, (1,), 6, "led"),
    ("Hospital gate, out", "gate", 160, 11, 2.8, 520, (1,), 6, "led"),
    ("Freight yard gate", "gate", 325, 13, 3.4, 600, (1,), 8, "mercury"),
    ("Old bridge, town side", "bridge", 300, 15, 5.0, 700, (1, -1), 0, "sodium"),
    ("Old bridge, river side", "bridge", 110, 15, 4.2, 680, (1, -1), 0, "infrared"),
    ("University avenue", "avenue", 335, 16, 8.0, 820, (1, -1), 3, "led"),
    ("Stadium crossing", "crossing", 140, 19, 8.5, 900, (1, -1), 25, "led"),
    ("Airport road", "highway", 345, 20, 5.5, 950, (1,), 0, "infrared"),
    ("Canal street", "street", 275, 12, 4.8, 600, (1, -1), 5, "mercury"),
)


def _sensor(number: int) -> Sensor:
    rng = stream(CITY, "sensor", number)
    return Sensor(
        white_balance=tuple(float(x) for x in 1 + rng.normal(0, 0.045, 3)),
        exposure=float(rng.uniform(0.72, 1.35)),
        contrast=float(rng.uniform(0.85, 1.2)),
        saturation=float(rng.uniform(0.65, 1.1)),
        sharpening=float(rng.choice([0.0, 0.3, 0.7, 1.2])),
        noise=float(rng.uniform(0.006, 0.020)),
        blur=float(rng.uniform(0.3, 0.85)),
        quality=int(rng.integers(45, 88)),
    )


CAMERAS: tuple[FixedCamera, ...] = tuple(
    FixedCamera(
        number=i + 1,
        town=CITY,
        place=place,
        style=style,
        azimuth=float(azimuth),
        distance=float(distance),
        height=height,
        lens=float(lens),
        heading=heading,
        turning=float(turning),
        road_yaw=float(stream(CITY, "yaw", i + 1).uniform(0, 2 * np.pi)),
        night_light=light,
        sensor=_sensor(i + 1),
    )
    for i, (place, style, azimuth, distance, height, lens, heading, turning, light) in enumerate(_PLACES)
)


def camera(number: int) -> FixedCamera:
    """The city's camera with this number, 1 to 20."""
    return CAMERAS[number - 1]
