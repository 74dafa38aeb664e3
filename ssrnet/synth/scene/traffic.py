"""Other vehicles on the road: a small pool of extras, built coarsely and once per process."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ssrnet.synth.camera.cameras import CITY, FixedCamera
from ssrnet.synth.camera.captures import Capture
from ssrnet.synth.render.materials import Batch, batch
from ssrnet.synth.rng import stream
from ssrnet.synth.vehicle.assembly import build
from ssrnet.synth.vehicle.draw_models import draw_model
from ssrnet.synth.vehicle.fleet import draw_paint
from ssrnet.synth.vehicle.specs import IdentitySpec

EXTRAS = ("sedan", "suv", "hatchback", "van", "sedan", "suv", "estate", "box truck")


@lru_cache(maxsize=len(EXTRAS))
def extra(number: int) -> tuple[tuple[Batch, ...], float]:
    """(batches of one extra, labelled as background, and its length in metres). No extra is in any fleet."""
    model = draw_model(CITY, 9000 + number, EXTRAS[number])
    paint = draw_paint(stream(CITY, "extra paint", number), model)
    identity = IdentitySpec(0, model, paint, 0.35, False, 0.3, (0.05,) * 3, (0.6, 0.6, 0.58))
    vehicle = build(identity, step_scale=1.9)
    batches = batch([*vehicle.fixed, *vehicle.wheels(0.4)], identity)
    return tuple(one.labelled("background") for one in batches), model.shape.total_length


def traffic_around(capture: Capture, site: FixedCamera, rng: np.random.Generator) -> list[Batch]:
    """Moving and parked vehicles near the photographed one, clear of it.

    Seen from the camera most are behind or beside it; rarely one hides a part of it and is an occluder.
    """
    placed: list[tuple[np.ndarray, float]] = [(np.array([capture.x, capture.y]), 5.0)]
    traffic: list[Batch] = []
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.25, 0.35, 0.25, 0.15]))):
        number = int(rng.integers(len(EXTRAS)))
        batches, length = extra(number)
        parked = site.style == "street" and rng.random() < 0.6
        lane, way = site.lanes[int(rng.integers(len(site.lanes)))]
        if parked:
            lane = lane + np.sign(lane) * 2.4
        at = np.array([capture.x + rng.uniform(-16, 16), lane + rng.normal(0, 0.2)])
        yaw = (0.0 if way > 0 else np.pi) + rng.normal(0, 0.02)
        clear = all(
            np.abs(at[0] - p[0]) > (length + other) / 2 + 1.5 or np.abs(at[1] - p[1]) > 2.4 for p, other in placed
        )
        if not clear or (_hides(at, capture, site) and rng.random() > 0.10):
            continue
        placed.append((at, length))
        traffic += [one.posed(float(at[0]), float(at[1]), yaw) for one in batches]
    return [one.labelled("occluder") if _hides(_middle(one), capture, site) else one for one in traffic]


def _hides(at: np.ndarray, capture: Capture, site: FixedCamera) -> bool:
    """Whether a vehicle at ``at`` stands between the lens and the photographed vehicle, in plan."""
    eye, target = site.position[:2], np.array([capture.x, capture.y])
    line = target - eye
    t = float((at - eye) @ line / (line @ line))
    return 0.0 < t < 0.97 and float(np.linalg.norm(at - eye - t * line)) < 4.2


def _middle(one: Batch) -> np.ndarray:
    return one.vertices[:, :2].mean(axis=0)
