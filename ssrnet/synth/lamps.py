"""Light at night: street lamps of a site, a vehicle's own lamps, and the infrared lamp of a camera."""

from __future__ import annotations

import numpy as np

from ssrnet.synth.cameras import CITY, FixedCamera
from ssrnet.synth.passes import Capture
from ssrnet.synth.renderer import Glow, PointLight
from ssrnet.synth.rng import stream
from ssrnet.synth.sky import NIGHT_COLORS
from ssrnet.synth.vehicle import Vehicle


def site_lights(capture: Capture, site: FixedCamera) -> tuple[PointLight, ...]:
    """The lamps that burn over a site in this weather; none by day."""
    if not capture.weather.dark:
        return ()
    rng = stream(CITY, "lamps", site.number)
    color = np.array(NIGHT_COLORS[site.night_light])
    if site.night_light == "infrared":
        flash = PointLight(tuple(site.position + [0, 0, 0.6]), tuple(color * 260.0))
        return (flash, PointLight((float(rng.uniform(-8, 8)), 7.0, 8.0), tuple(color * 10.0)))
    lights = []
    for x in (-11.0, 1.5, 13.0):
        side = 1 if rng.random() < 0.5 else -1
        strength = rng.uniform(60, 150)
        lights.append(
            PointLight(
                (x + rng.uniform(-3, 3), side * rng.uniform(3.5, 6.5), rng.uniform(7, 8.5)), tuple(color * strength)
            )
        )
    if site.night_light == "shops":  # two windows and a sign in other colours
        for _ in range(3):
            tint = rng.uniform(0.3, 1.0, 3)
            lights.append(
                PointLight(
                    (rng.uniform(-9, 9), float(rng.choice([-1, 1])) * 7.5, rng.uniform(1.8, 4)), tuple(tint * 12.0)
                )
            )
    return tuple(lights)


def headlamp_glow(vehicle: Vehicle, capture: Capture) -> tuple[Glow, ...]:
    """The vehicle's lenses and tail lamps as emitters, lit on most nights and some wet days."""
    rng = stream(capture.seed, "lamps on")
    chance = 0.92 if capture.weather.dark else 0.45
    if rng.random() > chance:
        return ()
    braking = rng.random() < 0.2
    strength = {
        "lens": np.array([9.0, 8.4, 7.2]) * rng.uniform(0.5, 1.4),
        "tail": np.array([0.5, 0.02, 0.015]) * (3.0 if braking else 1.0),
    }
    glow = []
    c, s = np.cos(capture.yaw), np.sin(capture.yaw)
    rotation = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
    for material, radiance in strength.items():
        pieces = [
            piece.shaded()
            for piece in vehicle.fixed
            if piece.material == material and piece.part in ("front lamp", "rear lamp")
        ]
        if not pieces:
            continue
        offsets = np.cumsum([0] + [len(piece.vertices) for piece in pieces])
        vertices = np.concatenate([piece.vertices + 0.004 * piece.normals for piece in pieces])
        faces = np.concatenate([piece.faces + offset for piece, offset in zip(pieces, offsets, strict=False)])
        glow.append(Glow(vertices @ rotation + [capture.x, capture.y, 0], faces, tuple(radiance)))
    return tuple(glow)
