"""The fleet: determinism, independence of subsystems, siblings, splits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssrnet.errors import SettingsError
from ssrnet.synth.camera.captures import captures_of
from ssrnet.synth.rng import stream
from ssrnet.synth.settings import SynthSettings
from ssrnet.synth.vehicle.body_types import BODY_TYPES
from ssrnet.synth.vehicle.draw_models import draw_model
from ssrnet.synth.vehicle.fleet import draw_fleet

SETTINGS = SynthSettings(Path("city"), identities=120, seed=3)


@pytest.fixture(scope="module")
def fleet():
    return draw_fleet(SETTINGS)


def test_stream_is_the_same_on_every_machine():
    assert stream(7, "paint", 3).integers(0, 1 << 32, 3).tolist() == [3801475683, 3367507849, 846687958]


def test_same_seed_gives_the_same_fleet(fleet):
    assert draw_fleet(SETTINGS) == fleet
    assert draw_fleet(replace(SETTINGS, seed=4)) != fleet


def test_more_identities_only_add(fleet):
    more = draw_fleet(replace(SETTINGS, identities=160))
    assert more.identities[:120] == fleet.identities


def test_capture_settings_do_not_reshuffle_the_fleet(fleet):
    changed = replace(SETTINGS, max_frames=1, max_passes=6, samples=4, masks=True, workers=2)
    assert draw_fleet(changed) == fleet


def test_captures_are_deterministic_and_independent_of_other_vehicles(fleet):
    identity = fleet.identities[40]
    alone = captures_of(identity, SETTINGS)
    assert alone == captures_of(identity, replace(SETTINGS, identities=500))
    cameras = {capture.camera for capture in alone}
    assert 4 <= len(cameras) <= 12 and all(1 <= camera <= 20 for camera in cameras)
    assert len({capture.name for capture in alone}) == len(alone)


def test_siblings_share_everything_but_marks(fleet):
    groups = fleet.groups()
    assert len(groups) >= 8
    for members in list(groups.values())[:-1]:  # the last one may be cut short by the fleet's size
        assert 3 <= len(members) <= 5
        first = members[0]
        for other in members[1:]:
            # Everything else is the same, dirt included: only marks may tell siblings apart.
            assert replace(other, vehicle_id=first.vehicle_id, marks=first.marks) == first
            assert other.marks != first.marks


def test_no_identity_model_or_group_is_in_both_splits(fleet):
    side: dict[object, str] = {}
    for identity in fleet.identities:
        split = fleet.split_of[identity.vehicle_id]
        for key in (identity.vehicle_id, identity.model.name, identity.model, ("group", identity.sibling_group)):
            if key == ("group", -1):
                continue
            assert side.setdefault(key, split) == split


def test_ten_types_and_distinct_faces():
    assert len(BODY_TYPES) == 10
    models = [draw_model(0, number, "sedan") for number in range(60)]
    assert len({model.front.lamp for model in models}) >= 4
    assert len({model.rear.lamp for model in models}) >= 4
    assert len({model.shape for model in models}) == 60


def test_settings_say_what_is_wrong():
    with pytest.raises(SettingsError, match="samples is 10"):
        SynthSettings(Path("x"), samples=10)


def test_prints_are_deterministic_and_drawn():
    from ssrnet.synth.vehicle.printed_textures import draw_print

    for kind in ("sticker", "decal", "lettering", "stripe", "sun strip", "patch"):
        first, again = draw_print(kind, 11, 2.0), draw_print(kind, 11, 2.0)
        assert np.array_equal(first, again)
        assert first.shape[2] == 4 and first[..., 3].mean() > 0.1
        assert 0 <= first.min() and first.max() <= 1
