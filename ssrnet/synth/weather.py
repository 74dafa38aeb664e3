"""Weather and lamp colours, which scene and camera share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Weather:
    """Sky, sun and road at one moment over one site.

    ``kind`` is sun, cloud, overcast, rain, dusk or night; ``night_light`` names the lamps of a night, a key
    of ``NIGHT_COLORS``. Angles are in radians in the site frame. ``overcast`` in [0, 1] is the cloud cover;
    ``haze`` in [0, 1] lifts the blacks; ``wetness`` in [0, 1] darkens and polishes the road.
    """

    kind: str
    sun_azimuth: float
    sun_elevation: float
    overcast: float
    haze: float
    wetness: float
    night_light: str = "none"

    @property
    def dark(self) -> bool:
        """Whether it is night."""
        return self.kind == "night"


NIGHT_COLORS = {
    "sodium": (1.0, 0.62, 0.26),
    "led": (0.92, 1.0, 1.08),
    "mercury": (0.82, 1.0, 0.86),
    "shops": (1.0, 0.78, 0.62),
    "infrared": (1.0, 1.0, 1.0),
}


def direction(azimuth: float, elevation: float) -> np.ndarray:
    """Unit vector (3,) towards ``azimuth`` and ``elevation``, in radians."""
    return np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
