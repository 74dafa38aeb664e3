"""Probes: series of photographs of one vehicle in which one thing changes and everything else stays the same.

Counterfactuals are the same capture with one mark removed, or moved to another place: a difference in a
network's output is due to that mark alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ssrnet.synth.camera.cameras import camera
from ssrnet.synth.camera.captures import Capture, weather_at
from ssrnet.synth.camera.visibility import visible_marks
from ssrnet.synth.manifest import csv_bytes, write_atomic
from ssrnet.synth.photographer import Staging
from ssrnet.synth.rng import stream
from ssrnet.synth.vehicle.fleet import Fleet
from ssrnet.synth.vehicle.part_names import PART_VALUES
from ssrnet.synth.vehicle.specs import IdentitySpec, Mark, Viewpoint

CALM = Staging(clutter=False, jitter=0.0, motion=False)
PROBE_CAMERA = (
    15  # of the city, in every town; a bridge: nothing casts a shadow there, and its sensor changes the image little
)
SERIES_VEHICLES = 2
PAIR_VEHICLES = 12
GREYS = frozenset(("white", "silver", "grey", "black"))  # coloured paint shows more of coloured light
ONE_PLACE = frozenset(  # marks that can be removed but not moved
    (
        "rack",
        "roof box",
        "sunroof",
        "spoiler",
        "tow bar",
        "ladder",
        "spare wheel",
        "sun strip",
        "hubcap",
        "mud flap",
        "beacon",
    )
)
AS_IT_IS, REMOVED, MOVED = "as it is", "removed", "moved"
PAIR_AZIMUTHS: dict[Viewpoint, float] = {"front": 12.0, "left": 78.0, "rear": 168.0, "right": 282.0}
PROBE_COLUMNS = ("image", "series", "step", "value", "vehicle_id", "camera_id", "mark", "change", "mark_pixels", "mask")


@dataclass(frozen=True)
class Step:
    """One photograph of a series. ``value`` is what changed, as a number with its unit or in words."""

    series: str
    index: int
    value: str
    identity: IdentitySpec
    capture: Capture
    staging: Staging = CALM
    mark: str = ""
    change: str = ""
    framed_as: IdentitySpec | None = None  # whose box the crop has, where a changed mark could change the box

    @property
    def name(self) -> str:
        """The photograph's file name."""
        return f"{self.series}_{self.identity.vehicle_id:04d}_{self.index:02d}.jpg"


def base_capture(identity: IdentitySpec, seed: int, azimuth: float = 35.0, kind: str = "overcast") -> Capture:
    """A capture at the middle of the probes' site, which sees the vehicle from ``azimuth`` (degrees)."""
    site = camera(PROBE_CAMERA)
    eye = site.position
    toward = np.rad2deg(np.arctan2(eye[1], eye[0]))
    hour = 10 * 24 + {"night": 22.0, "dusk": 18.2}.get(kind, 13.0)
    return Capture(
        vehicle_id=identity.vehicle_id,
        site=site,
        track=0,
        frame=0,
        stamp=int(hour * 3600 * 25),
        x=0.0,
        y=0.0,
        yaw=float(np.deg2rad(toward - azimuth)),
        speed=0.0,
        weather=weather_at(kind, hour, site),
        seed=int(stream(seed, "probe", identity.vehicle_id).integers(1 << 31)),
    )


def turntable(identity: IdentitySpec, seed: int) -> list[Step]:
    """24 views, 15 degrees apart."""
    return [Step("turn", k, f"{15 * k} deg", identity, base_capture(identity, seed, 15.0 * k)) for k in range(24)]


def sun_path(identity: IdentitySpec, seed: int) -> list[Step]:
    """The sun from morning to evening over the same vehicle and camera."""
    steps = []
    for k, hour in enumerate(np.arange(7.0, 17.5, 1.25)):
        capture = base_capture(identity, seed, kind="sun")
        steps.append(
            Step(
                "sun",
                k,
                f"{hour:.2f} h",
                identity,
                replace(capture, weather=weather_at("sun", 240 + hour, capture.site)),
            )
        )
    return steps


def day_and_night(identity: IdentitySpec, seed: int) -> list[Step]:
    """The same pose in every weather, and under every kind of night light."""
    steps = [
        Step("light", k, kind, identity, base_capture(identity, seed, kind=kind))
        for k, kind in enumerate(("sun", "cloud", "overcast", "rain", "dusk"))
    ]
    night = base_capture(identity, seed, kind="night")
    for light in ("sodium", "led", "mercury", "shops", "infrared"):
        steps.append(
            Step(
                "light",
                len(steps),
                f"night {light}",
                identity,
                replace(night, weather=replace(night.weather, night_light=light)),
            )
        )
    return steps


def distance(identity: IdentitySpec, seed: int) -> list[Step]:
    """Ever fewer pixels, then ever more blur."""
    capture = base_capture(identity, seed)
    zooms = [
        Step("distance", k, f"x{zoom:.2f}", identity, capture, replace(CALM, zoom=zoom))
        for k, zoom in enumerate((1.0, 0.8, 0.64, 0.5, 0.4))
    ]
    blurs = [
        Step("distance", 5 + k, f"blur {blur} px", identity, capture, replace(CALM, blur=blur))
        for k, blur in enumerate((0.8, 1.5, 2.5, 4.0))
    ]
    return zooms + blurs


def sliding_occluder(identity: IdentitySpec, seed: int) -> list[Step]:
    """A post crosses the vehicle from edge to edge."""
    capture = base_capture(identity, seed)
    places = np.linspace(-1.0, 1.0, 9)
    return [
        Step("occluder", k, f"{place:+.2f}", identity, capture, replace(CALM, occluder=float(place)))
        for k, place in enumerate(places)
    ]


SERIES: tuple[Callable[[IdentitySpec, int], list[Step]], ...] = (
    turntable,
    sun_path,
    day_and_night,
    distance,
    sliding_occluder,
)


def counterfactuals(identity: IdentitySpec, seed: int) -> list[Step]:
    """For each mark visible from some viewpoint: the capture as it is, without the mark, and with it moved."""
    steps: list[Step] = []
    done: set[str] = set()
    for viewpoint, azimuth in PAIR_AZIMUTHS.items():
        for mark in visible_marks(identity, viewpoint):
            if mark.name in done:
                continue
            done.add(mark.name)
            variants = {AS_IT_IS: identity, REMOVED: identity.without(mark.name)}
            moved = move_mark(identity, mark, viewpoint)
            if moved is not None:
                variants[MOVED] = moved
            capture = base_capture(identity, seed, azimuth)
            steps += [
                Step("mark", len(steps) + k, mark.kind, variant, capture, CALM, mark.name, change, identity)
                for k, (change, variant) in enumerate(variants.items())
            ]
    return steps


def move_mark(identity: IdentitySpec, mark: Mark, viewpoint: Viewpoint) -> IdentitySpec | None:
    """The vehicle with ``mark`` elsewhere in its zone but still visible from ``viewpoint``; None where nothing fits."""
    if mark.kind in ONE_PLACE:
        return None
    others = tuple(other for other in identity.marks if other.name != mark.name)
    for across, up in ((0.5, 0.5), (0.5, 0.0), (0.35, 0.0), (-0.35, 0.0), (0.0, 0.5)):
        place = replace(mark, u=_within(mark.u + across), v=_within(mark.v + up))
        variant = replace(identity, marks=(*others, place))
        if any(seen.name == mark.name for seen in visible_marks(variant, viewpoint)):
            return variant
    return None


def _within(place: float) -> float:
    """``place`` wrapped into the zone, a little away from its edges."""
    return float(np.clip(place % 1.0, 0.1, 0.9))


def probe_steps(fleet: Fleet, seed: int) -> list[Step]:
    """Every photograph of ``probes/``.

    The first test vehicles of different types, coloured ones before grey, get every series; the first
    siblings get the counterfactuals.
    """
    tested = [one for one in fleet.identities if fleet.split_of[one.vehicle_id] == "test"]
    siblings = [one for one in tested if one.sibling_group >= 0]
    by_type: dict[str, IdentitySpec] = {}
    for one in sorted(tested, key=lambda one: one.paint.name in GREYS):
        by_type.setdefault(one.model.body_type, one)
    shown = list(by_type.values())[:SERIES_VEHICLES]
    steps = [step for identity in shown for series in SERIES for step in series(identity, seed)]
    return steps + [step for identity in siblings[:PAIR_VEHICLES] for step in counterfactuals(identity, seed)]


def probe_files(out: Path, step: Step) -> tuple[Path, Path]:
    """(photograph, part mask) of a step."""
    return out / "probes" / step.name, out / "probes" / "masks" / step.name.replace(".jpg", ".png")


def write_probe_table(out: Path, steps: list[Step]) -> None:
    """``probes.csv``: what changed in each photograph, and how many pixels show the changed mark."""
    masks_without = {(s.identity.vehicle_id, s.mark): probe_files(out, s)[1] for s in steps if s.change == REMOVED}
    rows = []
    for step in steps:
        image, mask = probe_files(out, step)
        vehicle_id = step.identity.vehicle_id
        rows.append(
            {
                "image": image.relative_to(out).as_posix(),
                "series": step.series,
                "step": step.index,
                "value": step.value,
                "vehicle_id": f"{vehicle_id:04d}",
                "camera_id": f"c{step.capture.camera:03d}",
                "mark": step.mark,
                "change": step.change,
                "mark_pixels": _mark_pixels(mask, masks_without[vehicle_id, step.mark], step) if step.mark else "",
                "mask": mask.relative_to(out).as_posix(),
            }
        )
    write_atomic(out / "probes.csv", csv_bytes(PROBE_COLUMNS, rows))


def _mark_pixels(mask: Path, mask_without: Path, step: Step) -> int:
    """Pixels with the mark's label in ``mask`` but not in the mask without this mark."""
    label = PART_VALUES[step.value]
    shown, others = (np.asarray(Image.open(path)) == label for path in (mask, mask_without))
    return int((shown & ~others).sum())
