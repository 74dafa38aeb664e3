"""Takes the photograph of a capture: sets the scene, renders and develops it, and measures what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ssrnet.synth.camera.cameras import FixedCamera
from ssrnet.synth.camera.captures import Capture
from ssrnet.synth.camera.imaging import Degradation, develop
from ssrnet.synth.camera.view import View, crop_view
from ssrnet.synth.mesh import Mesh, tube
from ssrnet.synth.render.materials import Batch, batch
from ssrnet.synth.render.renderer import Renderer
from ssrnet.synth.render.stage import Ground, Stage
from ssrnet.synth.rng import stream
from ssrnet.synth.scene.lamps import glowing, site_lights
from ssrnet.synth.scene.roads import HALF_EXTENT, road_texture
from ssrnet.synth.scene.scenery import plant_between, pole_between, shade_tree, site_scenery
from ssrnet.synth.scene.sky import environment, sun_irradiance
from ssrnet.synth.scene.traffic import traffic_around
from ssrnet.synth.vehicle.assembly import Vehicle
from ssrnet.synth.vehicle.interior import people
from ssrnet.synth.vehicle.part_names import FIRST_MARK, OCCLUDER, PART_NAMES
from ssrnet.synth.weather import Weather, direction

MARK_PIXELS = 12  # from this many pixels on, a mark counts as visible


@dataclass(frozen=True)
class Staging:
    """What a probe holds constant or varies; the city's captures use the defaults.

    ``clutter`` False omits traffic, occluders and shade trees; ``occluder`` in [-1, 1] slides a
    post across the vehicle; ``jitter`` 0 frames the vehicle exactly; ``zoom`` and ``blur`` (pixels)
    stand for distance; ``motion`` False freezes the vehicle.
    """

    clutter: bool = True
    occluder: float | None = None
    jitter: float = 1.0
    zoom: float = 1.0
    blur: float = 0.0
    motion: bool = True


@dataclass(frozen=True)
class Photograph:
    """A photograph and what it shows.

    ``pixels`` (h, w, 3) uint8; ``parts`` (h, w) labels; ``occlusion`` is the hidden share of the vehicle
    inside the crop; ``azimuth`` and ``elevation`` (degrees) of the camera as seen from the vehicle, 0 its
    front, 90 its left; ``visible_marks`` are part names.
    """

    pixels: np.ndarray
    parts: np.ndarray
    occlusion: float
    azimuth: float
    elevation: float
    visible_marks: tuple[str, ...]


class Photographer:
    """Caches what photographs share: the renderer and the current vehicle's meshes."""

    def __init__(self, samples: int = 4) -> None:
        self.renderer = Renderer()
        self.samples = samples
        self._vehicle: tuple[object, list[Batch]] = (None, [])

    def take(
        self, vehicle: Vehicle, capture: Capture, staging: Staging | None = None, framed_as: Vehicle | None = None
    ) -> Photograph:
        """The photograph of a capture; its crop is the box around ``framed_as``, by default the vehicle itself."""
        staging = staging or Staging()
        site = capture.site
        frame = framed_as or vehicle
        framing = self._vehicle_batches(frame, capture)
        vertices = np.concatenate([one.vertices for one in framing])
        batches = framing if frame is vehicle else self._vehicle_batches(vehicle, capture)
        frame_rng = stream(capture.seed, "frame", capture.frame)
        view = crop_view(site, vertices, frame_rng, staging.zoom, staging.jitter)
        stage = self._stage(vehicle, capture, site, batches, staging)
        exposure = self.renderer.render(stage, view, self.samples, int(frame_rng.integers(1 << 31)))
        degradation = _degradation(capture, view, staging, frame_rng)
        pixels = develop(exposure.radiance, site.sensor, capture.weather, degradation, frame_rng)
        return _photograph(pixels, exposure.parts, exposure.whole, capture, site)

    def _vehicle_batches(self, vehicle: Vehicle, capture: Capture) -> list[Batch]:
        """The vehicle with wheels and people, at its place in the site."""
        if self._vehicle[0] is not vehicle:
            self._vehicle = (vehicle, batch(list(vehicle.fixed), vehicle.identity))
        model = vehicle.identity.model
        rng = stream(capture.seed, "inside")
        phase = float(rng.uniform(0, 2 * np.pi)) + capture.frame * 1.9
        loose = vehicle.wheels(phase) + [piece.moved((model.shape.shift, 0, 0)) for piece in people(model, rng)]
        return [
            one.posed(capture.x, capture.y, capture.yaw) for one in self._vehicle[1] + batch(loose, vehicle.identity)
        ]

    def _stage(
        self, vehicle: Vehicle, capture: Capture, site: FixedCamera, batches: list[Batch], staging: Staging
    ) -> Stage:
        weather = capture.weather
        rng = stream(capture.seed, "clutter")
        place = np.array([capture.x, capture.y])
        surroundings = list(_scenery(site))
        sun = direction(weather.sun_azimuth, weather.sun_elevation)
        irradiance = sun_irradiance(weather)
        meshes = []
        if staging.clutter:
            surroundings += traffic_around(capture, site, stream(capture.seed, "traffic"))
            chance = rng.random()
            if chance < 0.045:
                meshes += pole_between(site, place, rng)
            elif chance < 0.085:
                meshes += plant_between(site, place, rng)
            if site.style in ("avenue", "gate") and irradiance.any() and rng.random() < 0.45:
                meshes += shade_tree(sun, place, rng)
        if staging.occluder is not None:
            meshes += _sliding_post(site, place, staging.occluder, batches)
        surroundings += batch(meshes)
        lights, glow = site_lights(capture, site), ()
        if weather.dark or weather.kind in ("dusk", "rain"):
            glow = glowing(vehicle, capture)
        return Stage(
            vehicle=tuple(batches),
            surroundings=tuple(surroundings),
            environment=_environment(weather, site, capture.hour),
            sun=(sun, irradiance) if irradiance.any() else None,
            lights=lights,
            glow=glow,
            ground=_ground(site, weather.wetness > 0.5),
        )


@lru_cache(maxsize=4)
def _environment(weather: Weather, site: FixedCamera, hour: int) -> np.ndarray:
    """The sky over a site in one hour, which the frames of a track share."""
    return environment(weather, stream(site.town, "skyline", site.number), stream(hour, "clouds"), height=128)


@lru_cache(maxsize=20)
def _scenery(site: FixedCamera) -> tuple[Batch, ...]:
    return tuple(batch(site_scenery(site), static=True))


@lru_cache(maxsize=20)
def _texture(site: FixedCamera) -> np.ndarray:
    return road_texture(site)


@lru_cache(maxsize=40)
def _ground(site: FixedCamera, wet: bool) -> Ground:
    if wet:
        return Ground(_texture(site), HALF_EXTENT, roughness=0.22, specular=0.75, tone=0.55)
    return Ground(_texture(site), HALF_EXTENT, roughness=0.78, specular=0.3)


def _sliding_post(site: FixedCamera, place: np.ndarray, position: float, vehicle: list[Batch]) -> list[Mesh]:
    """A broad post half-way to the lens; ``position`` -1 and 1 are the vehicle's two edges in the image."""
    toward = site.position[:2] - place
    across = np.array([-toward[1], toward[0]]) / np.linalg.norm(toward)
    half = max(float(np.abs((one.vertices[:, :2] - place) @ across).max()) for one in vehicle)
    at = place + 0.35 * toward + 0.65 * across * position * half
    return [tube(np.array([[*at, 0.0], [*at, 8.0]]), 0.16, "pole", "occluder", 14)]


def _degradation(capture: Capture, view: View, staging: Staging, rng: np.random.Generator) -> Degradation:
    weather = capture.weather
    shutter = (
        1 / 60
        if weather.dark
        else 1 / 180
        if weather.kind in ("dusk", "rain")
        else rng.choice([1 / 1000, 1 / 500, 1 / 250])
    )
    here = np.array([[capture.x, capture.y, 0.7]])
    there = here + capture.speed * shutter * np.array([[np.cos(capture.yaw), np.sin(capture.yaw), 0]])
    moved = (view.project(there) - view.project(here))[0] / (view.box[2] - view.box[0]) * view.width
    motion = np.array([moved[0], -moved[1]]) * (1.0 if staging.motion else 0.0)
    motion *= min(1.0, 7.0 / max(float(np.hypot(*motion)), 1e-6))
    return Degradation(
        motion=(float(motion[0]), float(motion[1])),
        gain=float(np.exp(rng.normal(0, 0.16))),
        extra_blur=float(staging.blur + (rng.uniform(0, 0.7) if staging.jitter else 0.0)),
        noise=float(rng.uniform(1.6, 3.0) if weather.dark else 1.4 if weather.kind in ("dusk", "rain") else 1.0),
        infrared=weather.night_light == "infrared",
    )


def _photograph(
    pixels: np.ndarray, parts: np.ndarray, whole: np.ndarray, capture: Capture, site: FixedCamera
) -> Photograph:
    visible = whole & (parts > 0) & (parts != OCCLUDER)
    hidden = 1 - visible.sum() / max(int(whole.sum()), 1)
    counts = np.bincount(parts[(parts >= FIRST_MARK) & (parts < OCCLUDER)], minlength=len(PART_NAMES))
    toward = site.position - np.array([capture.x, capture.y, 0.8])
    azimuth = np.rad2deg(np.arctan2(toward[1], toward[0]) - capture.yaw) % 360
    return Photograph(
        pixels=pixels,
        parts=parts,
        occlusion=round(float(hidden), 3),
        azimuth=round(float(azimuth), 1),
        elevation=round(float(np.rad2deg(np.arctan2(toward[2], np.hypot(toward[0], toward[1])))), 1),
        visible_marks=tuple(PART_NAMES[i] for i in np.flatnonzero(counts >= MARK_PIXELS)),
    )
