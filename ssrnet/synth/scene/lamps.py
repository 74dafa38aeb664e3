"""Lights by night, at dusk and in rain: street lamps, lit windows, and the lamps of the photographed vehicle."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ssrnet.synth.camera.cameras import FixedCamera
from ssrnet.synth.camera.captures import Capture
from ssrnet.synth.mesh import face_crosses, joined_faces, quad_faces, rotation
from ssrnet.synth.render.stage import Glow, PointLight
from ssrnet.synth.rng import stream
from ssrnet.synth.scene.scenery import site_scenery
from ssrnet.synth.vehicle.assembly import Vehicle
from ssrnet.synth.weather import NIGHT_COLORS

# Radiance of a dipped headlamp's lens from straight ahead, and of a tail lamp; how often lamps are on.
HEADLAMP = {"night": 150.0, "dusk": 60.0, "rain": 36.0}
TAIL_LAMP = {"night": 1.0, "dusk": 1.6, "rain": 2.4}
LAMPS_ON = {"night": 0.94, "dusk": 0.75, "rain": 0.6}
# Share of ground-floor and of upper windows that are lit, and how brightly.
WINDOWS_LIT = {"shops": (0.7, 0.22, 1.1), "infrared": (0.1, 0.04, 0.04), "dusk": (0.4, 0.12, 0.30)}


def site_lights(capture: Capture, site: FixedCamera) -> tuple[PointLight, ...]:
    """The street lamps that are on over a site: all by night, some on most evenings, none by day."""
    weather = capture.weather
    if weather.dark:
        return _infrared(site) if weather.night_light == "infrared" else _street_lamps(site, weather.night_light, 1.0)
    if weather.kind == "dusk" and stream(capture.hour, "lamps at dusk", site.number).random() < 0.7:
        kind = "sodium" if site.night_light == "infrared" else site.night_light
        return _street_lamps(site, kind, 0.22)[:2]
    return ()


def _infrared(site: FixedCamera) -> tuple[PointLight, ...]:
    rng = stream(site.town, "lamps", site.number)
    flash = PointLight(tuple(site.position + [0, 0, 0.6]), (260.0,) * 3)
    return (flash, PointLight((float(rng.uniform(-8, 8)), 7.0, 8.0), (10.0,) * 3))


def _street_lamps(site: FixedCamera, kind: str, share: float) -> tuple[PointLight, ...]:
    """Three lamps along the road, and a coloured sign among shops."""
    rng = stream(site.town, "lamps", site.number)
    color = np.array(NIGHT_COLORS[kind])
    lights = []
    for x in (-10.0, 1.5, 11.5):
        side = 1 if rng.random() < 0.5 else -1
        intensity = color * np.exp(rng.uniform(np.log(35), np.log(150))) * share
        place = (x + rng.uniform(-2, 2), side * rng.uniform(3.5, 6.5), rng.uniform(7, 8.5))
        lights.append(PointLight(place, tuple(intensity)))
    if kind == "shops":
        tint = rng.uniform(0.3, 1.0, 3)
        place = (float(rng.uniform(-6, 6)), float(rng.choice([-1, 1])) * 6.5, float(rng.uniform(2.4, 4)))
        lights.append(PointLight(place, tuple(tint * 34.0 * share)))
    return tuple(lights)


def glowing(vehicle: Vehicle, capture: Capture) -> tuple[Glow, ...]:
    """All surfaces that shine: the vehicle's lamps, where they are on, and lit windows."""
    return _vehicle_glow(vehicle, capture) + _window_glow(capture)


def _window_glow(capture: Capture) -> tuple[Glow, ...]:
    weather = capture.weather
    if weather.kind not in ("dusk", "night"):
        return ()
    kind = weather.night_light if weather.dark else "dusk"
    low, high, radiance = WINDOWS_LIT.get(kind, (0.3, 0.12, 0.7))
    vertices, faces = _lit_windows(capture.site, low, high)
    return (Glow(vertices, faces, tuple(radiance * np.array([1.0, 0.82, 0.58]))),) if len(faces) else ()


@lru_cache(maxsize=60)
def _lit_windows(site: FixedCamera, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """(vertices, faces) of panes just before a site's windows, facing the road.

    ``low`` and ``high`` are the shares of lit windows on the ground floor and above.
    """
    rng = stream(site.town, "lit windows", site.number)
    corners = []
    for piece in site_scenery(site):
        if piece.material != "window":
            continue
        a, b = piece.vertices.min(axis=0), piece.vertices.max(axis=0)
        if rng.random() > (low if a[2] < 1.0 else high):
            continue
        corners += _panes(a, b, rng)
    return np.concatenate(corners) if corners else np.zeros((0, 3)), quad_faces(len(corners))


def _panes(low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Two wings with a mullion between them; sometimes one is dark or a blind is half drawn."""
    side = np.sign(low[1])
    y = (low[1] if side > 0 else high[1]) - 0.01 * side
    bottom = low[2] + 0.08 * (high[2] - low[2])
    top = high[2] - (high[2] - low[2]) * (rng.uniform(0.25, 0.6) if rng.random() < 0.4 else 0.06)
    middle, frame = (low[0] + high[0]) / 2, 0.06
    wings = []
    for a, b in ((low[0] + frame, middle - frame / 2), (middle + frame / 2, high[0] - frame)):
        if rng.random() < 0.8:
            ring = np.array([[a, y, bottom], [b, y, bottom], [b, y, top], [a, y, top]])
            wings.append(ring if side > 0 else ring[::-1])
    return wings


def _vehicle_glow(vehicle: Vehicle, capture: Capture) -> tuple[Glow, ...]:
    """Headlamps or tail lamps, whichever the camera may see; each has a bright core and a fainter rest."""
    rng = stream(capture.seed, "lamps on")
    kind = capture.weather.kind
    if rng.random() > LAMPS_ON.get(kind, 0.0):
        return ()
    braking, strength, fog_on = rng.random() < 0.22, rng.uniform(0.6, 1.4), rng.random() < 0.12
    ahead = _ahead(capture)
    glow: list[Glow | None] = []
    if ahead > -0.1:
        beam = HEADLAMP[kind] * strength * (0.06 + 0.94 * max(ahead, 0.0) ** 3)
        main, weak = _front_lenses(vehicle)
        glow.append(_emitter(main, capture, beam * np.array([1.0, 0.94, 0.82])))
        if fog_on or weak[1]:
            glow.append(_emitter(weak[0], capture, (0.012 * beam + 0.3) * np.array([1.0, 0.95, 0.86])))
    if ahead < 0.1:
        level = TAIL_LAMP[kind] * (2.6 if braking else 1.0) * strength
        core, rest = _tail_lamps(vehicle)
        glow.append(_emitter(core, capture, 3.6 * level * np.array([1.0, 0.022, 0.014])))
        glow.append(_emitter(rest, capture, 0.6 * level * np.array([1.0, 0.012, 0.008])))
    return tuple(one for one in glow if one is not None)


def _ahead(capture: Capture) -> float:
    """Cosine between the vehicle's heading and the camera, in plan: 1 seen from the front."""
    toward = capture.site.position[:2] - [capture.x, capture.y]
    return float(toward @ [np.cos(capture.yaw), np.sin(capture.yaw)] / np.linalg.norm(toward))


LampSurface = tuple[np.ndarray, np.ndarray]  # vertices (n, 3) in the vehicle's frame, faces (m, 3)


def _surface(vehicle: Vehicle, material: str, part: str) -> LampSurface | None:
    """All of one material on a lamp, lifted off the shell so that the camera sees it first."""
    pieces = [piece.shaded() for piece in vehicle.fixed if piece.material == material and piece.part == part]
    pieces = [piece for piece in pieces if len(piece.faces)]
    if not pieces:
        return None
    return np.concatenate([piece.vertices + 0.004 * piece.normals for piece in pieces]), joined_faces(pieces)


def _front_lenses(vehicle: Vehicle) -> tuple[LampSurface | None, tuple[LampSurface | None, bool]]:
    """(main lamps, (faint lamps, whether they shine whenever the main lamps do)).

    Fog lamps are the lenses low in the bumper. A face without lenses has reflector lamps, whose middle shines.
    """
    model = vehicle.identity.model
    lenses = _surface(vehicle, "lens", "front lamp")
    reflector = _surface(vehicle, "lamp", "front lamp")
    main, fog = None, None
    if lenses is not None:
        bumper = 0.62 * model.shape.clearance + 0.38 * model.shape.hood_height
        low = _centers(lenses)[:, 2] < (bumper if model.front.fog else 0.0)
        main, fog = _faces(lenses, ~low), _faces(lenses, low)
    if main is not None:
        return main, (reflector, True) if model.front.daytime_strip else (fog, False)
    if reflector is None:
        return fog, (None, False)
    middle = _middle(reflector, 0.6)
    return _faces(reflector, middle), (_faces(reflector, ~middle), True)


def _tail_lamps(vehicle: Vehicle) -> tuple[LampSurface | None, LampSurface | None]:
    """(the bulbs' bright middle, the glowing rest); reflectors low in the bumper do not shine."""
    tail = _surface(vehicle, "tail", "rear lamp")
    if tail is None:
        return None, None
    model = vehicle.identity.model
    if model.rear.lamp != "low":
        tail = _faces(tail, _centers(tail)[:, 2] > model.shape.clearance + 0.26)
    if tail is None:
        return None, None
    core = _middle(tail, 0.3)
    return _faces(tail, core), _faces(tail, ~core)


def _centers(surface: LampSurface) -> np.ndarray:
    return surface[0][surface[1]].mean(axis=1)


def _faces(surface: LampSurface, which: np.ndarray) -> LampSurface | None:
    return (surface[0], surface[1][which]) if which.any() else None


def _middle(surface: LampSurface, share: float) -> np.ndarray:
    """Faces (m,) bool in the middle ``share`` of each side's lamp, by area projected along the vehicle's axis.

    A lamp that wraps around a corner has its bulb in the part that faces ahead or back.
    """
    centers = _centers(surface)
    shown = np.abs(face_crosses(*surface)[:, 0]) + 1e-12
    chosen = np.zeros(len(centers), bool)
    for side in (centers[:, 1] > 0, centers[:, 1] <= 0):
        if side.any():
            middle = np.average(centers[side], axis=0, weights=shown[side] ** 2)
            away = np.where(side, np.hypot(*((centers - middle) * [0, 0.6, 1.0])[:, 1:].T), np.inf)
            order = np.argsort(away, kind="stable")[: side.sum()]
            chosen[order[np.cumsum(shown[order]) <= share * shown[order].sum() + shown[order[0]]]] = True
    return chosen


def _emitter(surface: LampSurface | None, capture: Capture, radiance: np.ndarray) -> Glow | None:
    if surface is None:
        return None
    used, faces = np.unique(surface[1], return_inverse=True)
    vertices = surface[0][used] @ rotation(capture.yaw) + [capture.x, capture.y, 0]
    return Glow(vertices, faces.reshape(-1, 3), tuple(map(float, radiance)))
