"""The cameras of a town: the city's own 20, or new ones drawn from a camera seed, under which nobody trained.

Each quantity of the new cameras is spread over its range: it is drawn once from each of as many equal parts as the
town has cameras. The ranges of the picture reach a little beyond those of the city's cameras.

Measured against them, as medians of a camera's images: the two road cameras of *twocam* (507 images each) differ by 10
grey levels in brightness and by a factor of 1.8 in image size, which makes the Laplacian's variance of images resized
to 192 pixels differ by a factor of 4; contrast (50 and 51) and colour cast (none) agree. The images of the city's own
cameras differ by at most 46 grey levels, a factor of 2.3, of 15, contrasts of 46 to 72, and casts up to 7 %; those of
the recipes' two towns by 37 and 44 grey levels, 2.8 and 1.9, 13 and 13, contrasts of 40 to 67 and 44 to 72, and casts up
to 6 and 7 %. More than two real cameras were not at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

from ssrnet.synth.camera.cameras import CAMERAS, FixedCamera, Sensor
from ssrnet.synth.rng import stream
from ssrnet.synth.weather import NIGHT_COLORS

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class _Site:
    """Ranges of a style of road: metres, metres and degrees; whether it has traffic in both directions."""

    distance: tuple[float, float]
    height: tuple[float, float]
    turning: tuple[float, float]
    both_ways: bool


_STYLES = {
    "highway": _Site((17, 24), (5.5, 8.0), (0, 4), False),
    "avenue": _Site((14, 18), (5.0, 8.5), (2, 5), True),
    "crossing": _Site((14, 19), (5.5, 9.0), (20, 30), True),
    "street": _Site((11.5, 15), (4.2, 5.5), (3, 6), True),
    "gate": _Site((10.5, 14), (2.5, 3.6), (4, 9), False),
    "bridge": _Site((14, 18), (4.2, 7.0), (0, 2), True),
}
OFF_AXIS = (8.0, 85.0)  # degrees between the road and the line of sight; small angles are more frequent
PIXELS_PER_METRE = (30.0, 66.0)  # of the vehicle in the frame
WARMTH = 0.10  # largest gain of red, and loss of blue
TINT = 0.04  # largest gain or loss of green


@lru_cache(maxsize=2)
def town_cameras(camera_seed: int | None, count: int) -> tuple[FixedCamera, ...]:
    """The cameras of a town, numbered from 1: the city's own without a ``camera_seed``, else ``count`` new ones."""
    if camera_seed is None:
        return CAMERAS
    draw = _Draw(camera_seed, count)
    styles = draw.dealt("style", tuple(_STYLES))
    off_axis = OFF_AXIS[0] + (OFF_AXIS[1] - OFF_AXIS[0]) * draw.spread("off axis", 0, 1) ** 1.6
    azimuths = (draw.dealt("end of the road", (0, 180)) + draw.dealt("side", (1, -1)) * off_axis) % 360
    along, above, turn = (draw.spread(name, 0, 1) for name in ("distance", "height", "turning"))
    scale = draw.logarithmic("pixels per metre", *PIXELS_PER_METRE)
    yaws = draw.spread("yaw", 0, 2 * np.pi)
    lights = draw.dealt("night light", tuple(NIGHT_COLORS))
    sensors = _sensors(draw)
    cameras = []
    for i, style in enumerate(styles):
        site = _STYLES[style]
        distance = float(np.interp(along[i], (0, 1), site.distance))
        cameras.append(
            FixedCamera(
                number=i + 1,
                town=camera_seed,
                place=f"Town {camera_seed}, {style} {i + 1}",
                style=str(style),
                azimuth=float(azimuths[i]),
                distance=distance,
                height=float(np.interp(above[i], (0, 1), site.height)),
                lens=float(scale[i] * distance),
                heading=(1, -1) if site.both_ways else (1,),
                turning=float(np.interp(turn[i], (0, 1), site.turning)),
                road_yaw=float(yaws[i]),
                night_light=str(lights[i]),
                sensor=sensors[i],
            )
        )
    return tuple(cameras)


@dataclass(frozen=True)
class _Draw:
    """Draws a quantity for all cameras of a town together, each from a stream of its own."""

    seed: int
    count: int

    def spread(self, name: str, low: float, high: float) -> np.ndarray:
        """One number (count,) from each of ``count`` equal parts of the range, in random order."""
        rng = stream(self.seed, "town", name)
        return low + (high - low) * (rng.permutation(self.count) + rng.random(self.count)) / self.count

    def logarithmic(self, name: str, low: float, high: float) -> np.ndarray:
        """As :meth:`spread`, with parts of equal ratio."""
        return np.exp(self.spread(name, np.log(low), np.log(high)))

    def dealt(self, name: str, choices: Sequence[Choice]) -> np.ndarray:
        """Each of ``choices`` about equally often (count,), in random order."""
        rng = stream(self.seed, "town", name)
        rounds = [rng.permutation(np.array(choices)) for _ in range(-(-self.count // len(choices)))]
        return np.concatenate(rounds)[: self.count]


def _sensors(draw: _Draw) -> list[Sensor]:
    warmth, tint = draw.spread("warmth", -WARMTH, WARMTH), draw.spread("tint", -TINT, TINT)
    exposure = draw.logarithmic("exposure", 0.62, 1.5)
    contrast = draw.logarithmic("contrast", 0.78, 1.26)
    saturation = draw.spread("saturation", 0.5, 1.25)
    sharpening = draw.spread("sharpening", 0.0, 1.5)
    noise = draw.logarithmic("noise", 0.004, 0.026)
    blur = draw.logarithmic("blur", 0.3, 1.25)
    quality = draw.spread("quality", 34, 93)
    return [
        Sensor(
            white_balance=(float(1 + warmth[i]), float(1 + tint[i]), float(1 - warmth[i])),
            exposure=float(exposure[i]),
            contrast=float(contrast[i]),
            saturation=float(saturation[i]),
            sharpening=float(sharpening[i]),
            noise=float(noise[i]),
            blur=float(blur[i]),
            quality=int(quality[i]),
        )
        for i in range(draw.count)
    ]
