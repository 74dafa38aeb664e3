"""Cameras drawn from a seed, the towns under them, and the city's own cameras, which stay what they were."""

from collections import Counter
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

from ssrnet.errors import SettingsError
from ssrnet.synth.camera.cameras import CAMERAS
from ssrnet.synth.camera.draw_cameras import OFF_AXIS, PIXELS_PER_METRE, town_cameras
from ssrnet.synth.generate import plan
from ssrnet.synth.scene.roads import road_texture
from ssrnet.synth.scene.scenery import site_scenery
from ssrnet.synth.settings import SynthSettings, city_recipe
from ssrnet.synth.vehicle.fleet import draw_fleet
from ssrnet.synth.weather import NIGHT_COLORS

# Of the captures of the demo recipe: camera, stamp, seed; x, y, yaw, azimuth of the sun, clouds, haze.
DEMO_TOTALS = (8680, 12797771729, 899886687311)
DEMO_SUMS = [
    -208.5847067975248,
    -973.6584537804805,
    749.429884931988,
    -755.2569875703845,
    473.71153883230767,
    49.715534991602965,
]
TOWNS = ("town-choose", "town-report")


@pytest.fixture(scope="module")
def planned():
    """By recipe: the fleet, its jobs, all captures."""
    found = {}
    for name in ("demo", *TOWNS):
        fleet = draw_fleet(city_recipe(name))
        jobs, _ = plan(fleet, city_recipe(name))
        found[name] = fleet, jobs, [capture for job in jobs for capture in job.captures]
    return found


def test_the_demo_is_drawn_as_before_there_were_towns(planned):
    _, _, captures = planned["demo"]
    sums = {key: sum(getattr(one, key) for one in captures) for key in ("camera", "stamp", "seed", "x", "y", "yaw")}
    assert (sums["camera"], sums["stamp"], sums["seed"]) == DEMO_TOTALS
    sky = [sum(getattr(one.weather, key) for one in captures) for key in ("sun_azimuth", "overcast", "haze")]
    assert [sums["x"], sums["y"], sums["yaw"], *sky] == pytest.approx(DEMO_SUMS, rel=1e-9)
    assert all(one.site in CAMERAS for one in captures)


def test_same_seed_gives_the_same_cameras():
    first = town_cameras(5, 8)
    town_cameras.cache_clear()
    assert town_cameras(5, 8) == first != town_cameras(6, 8)
    assert town_cameras(None, 20) is CAMERAS


@pytest.mark.parametrize("count", [2, 7, 20])
def test_cameras_are_spread_over_their_ranges(count):
    cameras = town_cameras(3, count)
    assert [one.number for one in cameras] == list(range(1, count + 1))
    for one in cameras:
        angle = abs(np.rad2deg(np.arcsin(np.sin(np.deg2rad(one.azimuth)))))
        assert OFF_AXIS[0] <= angle <= OFF_AXIS[1] and one.lanes and one.night_light in NIGHT_COLORS
        assert 9 < np.rad2deg(np.arctan2(one.height, one.distance)) < 33
        assert one.position[2] == one.height and 34 <= one.sensor.quality < 93
    scales = np.log([one.lens / one.distance for one in cameras])
    low, high = np.log(PIXELS_PER_METRE)
    assert sorted(((scales - low) / (high - low) * count).astype(int)) == list(range(count))
    assert max(Counter(one.style for one in cameras).values()) <= -(-count // 6)
    assert len({astuple(one.sensor) for one in cameras}) == count


def test_towns_differ_where_their_numbers_agree():
    a, b = town_cameras(3, 7)[0], replace(town_cameras(3, 7)[0], town=4)
    assert not np.array_equal(road_texture(a), road_texture(b))
    shapes = [[piece.vertices.shape for piece in site_scenery(site)] for site in (a, b)]
    assert shapes[0] != shapes[1]


def test_a_town_has_enough_images_of_each_camera(planned):
    for name in TOWNS:
        fleet, jobs, captures = planned[name]
        settings = city_recipe(name)
        counts = Counter(capture.camera for capture in captures)
        assert sorted(counts) == list(range(1, settings.cameras + 1)) and min(counts.values()) >= 70
        assert set(fleet.split_of.values()) == {"test"}
        assert all(6 <= len({capture.camera for capture in job.captures}) <= 7 for job in jobs)
        assert max(capture.frame for capture in captures) == 1 and not settings.masks and not settings.probes
        assert {capture.weather.kind for capture in captures} >= {"sun", "overcast", "rain", "night"}
        assert {capture.site for capture in captures} == set(town_cameras(settings.camera_seed, settings.cameras))


def test_towns_share_no_vehicle_model_or_camera(planned):
    models = [{one.model for one in fleet.identities} for fleet, _, _ in planned.values()]
    sites = [{capture.site for capture in captures} for _, _, captures in planned.values()]
    for one in (models, sites):
        assert sum(map(len, one)) == len(set().union(*one))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cameras": 8, "max_passes": 8}, "cameras is 8, but without a camera_seed the city has its own 20"),
        ({"camera_seed": 1, "cameras": 8}, r"4 to 12; use 2 to 8 \(the number of cameras\)"),
        ({"camera_seed": 1, "cameras": 21}, "cameras is 21; use 2 to 20"),
        ({"camera_seed": -1}, "camera_seed is -1; use at least 0"),
    ],
)
def test_settings_say_what_is_wrong(options, message):
    with pytest.raises(SettingsError, match=message):
        SynthSettings(Path("town"), **options)
