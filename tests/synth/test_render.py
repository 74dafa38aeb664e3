"""One tiny rendering; skipped, with the reason, where the ``synth`` extra is missing."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssrnet.errors import InstallationError
from ssrnet.synth.render import mitsuba_setup


def test_missing_extra_says_what_to_do(monkeypatch):
    monkeypatch.setattr(mitsuba_setup.importlib.util, "find_spec", lambda name: None)
    mitsuba_setup.load_mitsuba.cache_clear()
    with pytest.raises(InstallationError, match=r"pip install -e \.\[synth\]"):
        mitsuba_setup.load_mitsuba()
    mitsuba_setup.load_mitsuba.cache_clear()


def test_a_dead_llvm_means_the_slow_variant(monkeypatch):
    monkeypatch.setattr(mitsuba_setup, "_PROBE", "import os; os.abort()")
    mitsuba_setup.llvm_works.cache_clear()
    assert not mitsuba_setup.llvm_works()
    mitsuba_setup.llvm_works.cache_clear()


def test_sixteen_pixels_one_sample():
    # Not importorskip: importing Mitsuba here would let Dr.Jit pick an LLVM before we point at the wheel's.
    if any(importlib.util.find_spec(name) is None for name in ("mitsuba", "mitsuba_oidn")):
        pytest.skip("the synth extra (Mitsuba 3 and Open Image Denoise) is not installed")
    from ssrnet.synth.camera.view import View, camera_axes
    from ssrnet.synth.render.materials import batch
    from ssrnet.synth.render.renderer import Renderer
    from ssrnet.synth.render.stage import Ground, Stage
    from ssrnet.synth.settings import SynthSettings
    from ssrnet.synth.vehicle.assembly import build
    from ssrnet.synth.vehicle.fleet import draw_fleet

    identity = draw_fleet(SynthSettings(Path("city"), identities=1)).identities[0]
    vehicle = build(identity, step_scale=3.0)
    eye = np.array([10.0, 4.0, 4.0])
    view = View(eye, *camera_axes(eye, np.array([0, 0, 0.7])), (-0.25, -0.2, 0.25, 0.2), 16, 16)
    ground = Ground(np.full((8, 8, 3), 40, np.uint8), 20.0, 0.8, 0.3)
    stage = Stage(
        tuple(batch(list(vehicle.fixed), identity)), (), np.full((8, 16, 3), 0.5, np.float32), None, (), (), ground
    )
    renderer = Renderer()
    shots = [renderer.render(stage, view, samples=1, seed=3) for _ in range(2)]
    first = shots[0]
    assert first.radiance.shape == (16, 16, 3) and np.isfinite(first.radiance).all() and first.radiance.mean() > 0.01
    assert len(np.unique(first.parts)) >= 4 and np.array_equal(first.parts > 0, first.whole)
    assert np.array_equal(first.radiance, shots[1].radiance)
    other = renderer.render(replace(stage, vehicle=()), view, samples=1, seed=3)
    assert not other.parts.any()
