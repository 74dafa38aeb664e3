"""Part labels, where the renderer is installed: marks behind glass and hidden vehicles."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssrnet.synth.probes import CALM, base_capture
from ssrnet.synth.settings import SynthSettings
from ssrnet.synth.vehicle.fleet import draw_fleet
from ssrnet.synth.vehicle.part_names import PART_VALUES
from ssrnet.synth.vehicle.specs import Mark

if any(importlib.util.find_spec(name) is None for name in ("mitsuba", "mitsuba_oidn")):
    pytest.skip("the synth extra (Mitsuba 3 and Open Image Denoise) is not installed", allow_module_level=True)

from ssrnet.synth.photographer import Photograph, Photographer
from ssrnet.synth.vehicle.assembly import build

IDENTITY = replace(draw_fleet(SynthSettings(Path("city"), identities=1)).identities[0], marks=())


@pytest.fixture(scope="module")
def photographer() -> Photographer:
    return Photographer(samples=1)


def shot(photographer: Photographer, identity=IDENTITY, azimuth=10.0, **staging) -> Photograph:
    vehicle = build(identity, step_scale=2.0)
    return photographer.take(vehicle, base_capture(identity, 1, azimuth), replace(CALM, **staging))


def test_an_ornament_is_named_through_the_windscreen(photographer):
    ornament = Mark("ornament-dashboard-1", "ornament", "dashboard", 0.5, 0.5, (0.3, 0.3), print_seed=4)
    with_it, without = shot(photographer, replace(IDENTITY, marks=(ornament,))), shot(photographer)
    here = with_it.parts == PART_VALUES["ornament"]
    assert here.sum() >= 12 and "ornament" in with_it.visible_marks
    assert (without.parts[here] == PART_VALUES["windscreen"]).mean() > 0.8


def test_occlusion_is_the_hidden_share(photographer):
    free, hidden = shot(photographer, azimuth=90.0), shot(photographer, azimuth=90.0, occluder=0.0)
    assert free.occlusion == 0 < hidden.occlusion < 0.5
    post = hidden.parts == PART_VALUES["occluder"]
    behind = (free.parts > 0) & post
    assert behind.sum() / (free.parts > 0).sum() == pytest.approx(hidden.occlusion, abs=0.01)
    assert np.array_equal(free.parts[~post] > 0, hidden.parts[~post] > 0)
