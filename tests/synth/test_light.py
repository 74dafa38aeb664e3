"""Lamps, skies and image development; no renderer needed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssrnet.synth.camera.cameras import CAMERAS, camera
from ssrnet.synth.camera.captures import Capture, weather_at
from ssrnet.synth.camera.imaging import Degradation, develop
from ssrnet.synth.rng import stream
from ssrnet.synth.scene.lamps import glowing, site_lights
from ssrnet.synth.scene.scenery import site_scenery
from ssrnet.synth.scene.sky import environment, sun_irradiance
from ssrnet.synth.settings import SynthSettings
from ssrnet.synth.vehicle.assembly import build
from ssrnet.synth.vehicle.fleet import draw_fleet
from ssrnet.synth.weather import NIGHT_COLORS

LUMA = np.array([0.2126, 0.7152, 0.0722])
STILL = Degradation(motion=(0.0, 0.0), gain=1.0, extra_blur=0.0, noise=1.0, infrared=False)


@pytest.fixture(scope="module")
def vehicle():
    return build(draw_fleet(SynthSettings(Path("city"), identities=1)).identities[0], step_scale=2.0)


def _capture(kind: str, number: int = 5, yaw: float = 0.0, seed: int = 1) -> Capture:
    return Capture(0, camera(number), 0, 0, 10**7, 0.0, 0.0, yaw, 0.0, weather_at(kind, 250.0, camera(number)), seed)


def _lit(vehicle, kind: str, yaw: float):
    """The glow of the first seed whose lamps are on, at a site without windows (a motorway)."""
    return next(glow for seed in range(50) if (glow := glowing(vehicle, _capture(kind, 1, yaw, seed))))


def _developed(scene: np.ndarray, kind: str, seed: int = 3) -> np.ndarray:
    return develop(scene, camera(5).sensor, weather_at(kind, 250.0, camera(5)), STILL, stream(seed, "develop"))


def test_lamps_follow_the_weather_and_not_the_site():
    night = _capture("night")
    for light, color in NIGHT_COLORS.items():
        capture = replace(night, weather=replace(night.weather, night_light=light))
        lamp = np.array(site_lights(capture, camera(5))[0].intensity)
        assert np.allclose(lamp / lamp[0], np.array(color) / color[0])


def test_a_stage_has_few_lamps(vehicle):
    for site in CAMERAS:
        for kind in ("night", "dusk", "rain", "sun"):
            assert len(site_lights(_capture(kind, site.number), site)) <= 4
            assert len(glowing(vehicle, _capture(kind, site.number))) <= 5
    assert not site_lights(_capture("sun"), camera(5)) and not glowing(vehicle, _capture("sun"))


def test_white_lamps_ahead_and_red_lamps_behind(vehicle):
    ahead = _lit(vehicle, "night", np.deg2rad(12))
    behind = _lit(vehicle, "night", np.deg2rad(192))
    assert max(min(glow.radiance) for glow in ahead) > 20
    assert all(glow.radiance[0] > 20 * glow.radiance[1] for glow in behind)
    assert max(glow.radiance[0] for glow in behind) > 4 * min(glow.radiance[0] for glow in behind)


def test_only_main_lamps_shine_strongly(vehicle):
    for seed in range(40):
        strengths = sorted(glow.radiance[0] for glow in glowing(vehicle, _capture("rain", 1, 0.2, seed)))
        assert sum(strength > 5 for strength in strengths) <= 1


def test_window_panes_face_the_road_and_stay_where_they_are(vehicle):
    capture = _capture("night", 10)
    panes, again = glowing(vehicle, capture)[-1], glowing(vehicle, capture)[-1]
    a, b, c = (panes.vertices[panes.faces[:, i]] for i in range(3))
    facing = np.cross(b - a, c - a)[:, 1]
    assert (np.sign(facing) == -np.sign(a[:, 1])).all()
    assert np.array_equal(panes.vertices, again.vertices)


@pytest.mark.parametrize("kind", ["sun", "rain", "dusk", "night"])
def test_skies_repeat(kind):
    weather = weather_at(kind, 250.0, camera(7))
    skies = [environment(weather, stream(1, "place"), stream(2, "clouds"), height=32) for _ in range(2)]
    assert np.array_equal(*skies) and skies[0].shape == (32, 64, 3)
    assert np.isfinite(skies[0]).all() and skies[0].min() >= 0


def test_evening_is_darker_than_day_and_warm_where_the_sun_went_down():
    weather = replace(weather_at("dusk", 18.2, camera(7)), overcast=0.2)
    day = replace(weather_at("sun", 13.0, camera(7)), overcast=0.2)
    sky, noon = (environment(one, stream(1, "place"), stream(2, "clouds"), height=64) for one in (weather, day))
    around = (np.arange(128) + 0.5) / 128 * 2 * np.pi
    west = np.cos(around - weather.sun_azimuth) > 0.9
    low, high = sky[20:26, west].mean((0, 1)), sky[:6].mean((0, 1))
    assert low[0] > low[2] and high[2] > high[0]
    assert (sky[:32] @ LUMA).mean() < 0.5 * (noon[:32] @ LUMA).mean()
    assert sun_irradiance(weather).sum() < 0.3 * sun_irradiance(day).sum()


def test_an_infrared_night_has_a_black_sky():
    night = weather_at("night", 22.0, camera(7))
    skies = [
        environment(replace(night, night_light=light), stream(1, "place"), stream(2, "clouds"), height=32)[:10].mean()
        for light in ("infrared", "led")
    ]
    assert skies[0] < 0.2 * skies[1]


@pytest.mark.parametrize("kind", ["sun", "rain", "dusk", "night"])
def test_developing_repeats(kind):
    scene = stream(1, "scene").random((61, 83, 3)).astype(np.float32)
    assert np.array_equal(_developed(scene, kind), _developed(scene, kind))


def test_night_metering_keeps_a_vehicle_readable_among_lamps():
    scene = np.full((80, 120, 3), 0.03, np.float32)
    scene[:, 40:80] = 0.02
    scene[60:64, 42:46] = scene[60:64, 74:78] = 30.0
    assert 45 < _developed(scene, "night").mean() < 120


def test_a_lamp_blooms_with_the_exposure():
    scene = np.full((80, 80, 3), 0.2, np.float32)
    lit = scene.copy()
    lit[38:42, 38:42] = 30.0

    def halo(kind: str, light: float) -> float:
        with_lamp, without = (_developed(one * light, kind)[38:42, 44:47].mean() for one in (lit, scene))
        return float(with_lamp) - float(without)

    assert halo("night", 0.1) > 15 and halo("sun", 1.0) > 0


def test_vivid_blue_is_tamed():
    scene = np.full((40, 40, 3), (0.02, 0.05, 0.30), np.float32)
    pixels = _developed(scene, "overcast").reshape(-1, 3).mean(axis=0)
    assert 40 < pixels[2] - pixels[0] < 150


def test_rain_lowers_contrast_and_dusk_is_exposed_low():
    scene = np.full((60, 60, 3), 0.02, np.float32)
    scene[:, 30:] = 0.6
    sun, rain, dusk = (_developed(scene, kind).astype(float) for kind in ("sun", "rain", "dusk"))
    assert rain[:, :26].mean() > sun[:, :26].mean() and dusk.mean() < sun.mean()


def test_verges_are_no_flat_cards():
    leaves = [piece for piece in site_scenery(camera(1)) if piece.material == "leaf"]
    assert leaves and all(piece.colors.std(axis=0).max() > 0.003 for piece in leaves)
