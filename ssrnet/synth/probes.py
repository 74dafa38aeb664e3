"""Controlled series for teaching: one thing changes, everything else stands still.

Each series is a list of steps over one capture of one vehicle. Counterfactual pairs are the same
capture with one mark removed, or moved to another place: what a network answers to them is owed to
that mark alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssrnet.synth.cameras import camera
from ssrnet.synth.fleet import Fleet
from ssrnet.synth.imaging import jpeg_bytes, png_bytes
from ssrnet.synth.manifest import write_atomic
from ssrnet.synth.parts import PART_VALUES
from ssrnet.synth.passes import Capture, weather_at
from ssrnet.synth.photographer import MARK_PIXELS, Photographer, Staging
from ssrnet.synth.rng import stream
from ssrnet.synth.specs import IdentitySpec, Mark, View
from ssrnet.synth.vehicle import Vehicle, build
from ssrnet.synth.visibility import visible_marks

CALM = Staging(clutter=False, jitter=0.0, motion=False)
STAGE_CAMERA = 5  # an avenue in plain light, seen from a usual height
PROBE_COLUMNS = ("image", "series", "step", "value", "vehicle_id", "camera_id", "mark", "change", "mark_pixels", "mask")


@dataclass(frozen=True)
class Step:
    """One photograph of a series. ``value`` is what changed, in its own unit."""

    series: str
    index: int
    value: str
    identity: IdentitySpec
    capture: Capture
    staging: Staging = CALM
    mark: str = ""
    change: str = ""

    @property
    def name(self) -> str:
        return f"{self.series}_{self.identity.vehicle_id:04d}_{self.index:02d}.jpg"


def base_capture(
    identity: IdentitySpec, seed: int, azimuth: float = 35.0, kind: str = "overcast", number: int = STAGE_CAMERA
) -> Capture:
    """The vehicle in the middle of a site, turned so that the camera sees it from ``azimuth`` (degrees, 0 its front)."""
    eye = camera(number).position
    toward = np.rad2deg(np.arctan2(eye[1], eye[0]))
    hour = 10 * 24 + {"night": 22.0, "dusk": 18.2}.get(kind, 13.0)
    return Capture(
        vehicle_id=identity.vehicle_id, camera=number, track=0, frame=0, stamp=int(hour * 3600 * 25), x=0.0, y=0.0,
        yaw=float(np.deg2rad(toward - azimuth)), speed=0.0, weather=weather_at(kind, hour, number),
        seed=int(stream(seed, "probe", identity.vehicle_id).integers(1 << 31)),
    )  # fmt: skip


def turntable(identity: IdentitySpec, seed: int) -> list[Step]:
    """24 views, 15 degrees apart."""
    return [Step("turn", k, f"{15 * k} deg", identity, base_capture(identity, seed, 15.0 * k)) for k in range(24)]


def sun_path(identity: IdentitySpec, seed: int) -> list[Step]:
    """The sun from morning to evening, vehicle and camera unmoved."""
    steps = []
    for k, hour in enumerate(np.arange(7.0, 17.5, 1.25)):
        capture = base_capture(identity, seed, kind="sun")
        steps.append(
            Step(
                "sun",
                k,
                f"{hour:.2f} h",
                identity,
                replace(capture, weather=weather_at("sun", 240 + hour, capture.camera)),
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
    """Fewer and fewer pixels, then more and more blur."""
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


def moved(mark: Mark) -> Mark:
    """The mark in another place of its zone: across the middle, and at another height."""
    return replace(mark, u=(mark.u + 0.5) % 1.0, v=float(np.clip(1.0 - mark.v, 0.1, 0.9)))


def counterfactuals(identity: IdentitySpec, seed: int) -> list[Step]:
    """For each mark that some view shows: the capture as it is, without the mark, and with it moved."""
    steps: list[Step] = []
    done: set[str] = set()
    views: dict[View, float] = {"front": 12.0, "left": 78.0, "rear": 168.0, "right": 282.0}
    for view, azimuth in views.items():
        for mark in visible_marks(identity, view):
            if mark.name in done:
                continue
            done.add(mark.name)
            capture = base_capture(identity, seed, azimuth)
            others = tuple(m for m in identity.marks if m.name != mark.name)
            changed = {
                "as it is": identity,
                "removed": identity.without(mark.name),
                "moved": replace(identity, marks=(*others, moved(mark))),
            }
            if mark.kind in (
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
            ):
                changed.pop("moved")  # these have one place
            for change, variant in changed.items():
                steps.append(Step("mark", len(steps), mark.kind, variant, capture, CALM, mark.name, change))
    return steps


def render_probes(
    fleet: Fleet, out: Path, seed: int, samples: int = 16, series_vehicles: int = 2, pair_vehicles: int = 12
) -> int:
    """Writes ``probes/`` with its ``probes.csv`` and masks; images that are there already are kept.

    The first ``series_vehicles`` test vehicles get every series, the first ``pair_vehicles`` siblings
    the counterfactuals. Returns the number of photographs in the table.
    """
    tested = [one for one in fleet.identities if fleet.split_of[one.vehicle_id] == "test"]
    siblings = [one for one in tested if one.sibling_group >= 0]
    steps = [step for identity in tested[:series_vehicles] for series in SERIES for step in series(identity, seed)]
    steps += [step for identity in siblings[:pair_vehicles] for step in counterfactuals(identity, seed)]
    rows = list(_photographed(steps, out, samples))
    table = io.StringIO()
    writer = csv.DictWriter(table, PROBE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(out / "probes.csv", table.getvalue().encode())
    return len(rows)


def _photographed(steps: list[Step], out: Path, samples: int) -> Iterator[dict[str, object]]:
    photographer = Photographer(samples)
    built: tuple[IdentitySpec | None, Vehicle | None] = (None, None)
    for step in steps:
        image, mask = out / "probes" / step.name, out / "probes" / "masks" / step.name.replace(".jpg", ".png")
        if not (image.exists() and mask.exists()):
            if built[0] != step.identity:
                built = (step.identity, build(step.identity))
            photo = photographer.take(built[1], step.capture, step.staging)
            write_atomic(mask, png_bytes(photo.parts))
            write_atomic(image, jpeg_bytes(photo.pixels))
        yield {
            "image": f"probes/{step.name}", "series": step.series, "step": step.index, "value": step.value,
            "vehicle_id": f"{step.identity.vehicle_id:04d}", "camera_id": f"c{step.capture.camera:03d}", "mark": step.mark,
            "change": step.change, "mark_pixels": _mark_pixels(mask, step), "mask": f"probes/masks/{mask.name}",
        }  # fmt: skip


def _mark_pixels(mask: Path, step: Step) -> int:
    """How many pixels the changed mark has; below MARK_PIXELS nobody could see the change."""
    from PIL import Image

    if not step.mark:
        return 0
    count = int((np.asarray(Image.open(mask)) == PART_VALUES[step.value]).sum())
    return count if count >= MARK_PIXELS else 0
