"""Where and when each vehicle is photographed: outings through the city, passes under cameras, frames of a track."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssrnet.synth.camera.cameras import FixedCamera
from ssrnet.synth.camera.draw_cameras import town_cameras
from ssrnet.synth.rng import choose, stream
from ssrnet.synth.settings import SynthSettings
from ssrnet.synth.vehicle.specs import IdentitySpec
from ssrnet.synth.weather import Weather

HOURS = {
    "sun": (8.0, 17.0),
    "cloud": (7.5, 17.5),
    "overcast": (7.5, 17.5),
    "rain": (7.5, 17.5),
    "dusk": (17.7, 18.8),
    "night": (19.5, 29.0),
}
WEATHERS = {"sun": 0.28, "cloud": 0.16, "overcast": 0.20, "rain": 0.11, "dusk": 0.09, "night": 0.16}
FRAMES_PER_SECOND = 25


@dataclass(frozen=True)
class Capture:
    """One photograph to take: a vehicle at a place and time. The pixels follow from it and the vehicle's spec.

    ``site`` is the camera; ``x``, ``y`` (metres) and ``yaw`` (radians) are the vehicle's pose in the site frame; ``speed`` is in
    m/s; ``seed`` draws what belongs to this pass or frame alone (wheel angle, people, traffic, noise).
    """

    vehicle_id: int
    site: FixedCamera
    track: int
    frame: int
    stamp: int  # video frame number since the city's first midnight
    x: float
    y: float
    yaw: float
    speed: float
    weather: Weather
    seed: int  # shared by the frames of a pass

    @property
    def camera(self) -> int:
        """The camera's number."""
        return self.site.number

    @property
    def name(self) -> str:
        """The file's name, as in VeRi-776: vehicle, camera, time stamp, index."""
        return f"{self.vehicle_id:04d}_c{self.camera:03d}_{self.stamp:08d}_{self.frame}.jpg"

    @property
    def hour(self) -> int:
        """Whole hours since the city's first midnight."""
        return self.stamp // (3600 * FRAMES_PER_SECOND)

    @property
    def clock(self) -> str:
        """Day and time in words, as the manifest has them."""
        seconds = self.stamp // FRAMES_PER_SECOND
        return f"day {seconds // 86400 + 1} {seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def captures_of(identity: IdentitySpec, settings: SynthSettings) -> list[Capture]:
    """Every capture of one vehicle, in time order; independent of all other vehicles."""
    vehicle_id = identity.vehicle_id
    rng = stream(settings.seed, "passes", vehicle_id)
    count = int(rng.integers(settings.min_passes, settings.max_passes + 1))
    cameras = town_cameras(settings.camera_seed, settings.cameras)
    passed = [cameras[place] for place in rng.choice(len(cameras), size=count, replace=False)]
    first_outing = count if rng.random() < 0.35 else int(np.ceil(count * rng.uniform(0.4, 0.7)))
    captures: list[Capture] = []
    for outing, sites in enumerate((passed[:first_outing], passed[first_outing:])):
        if not sites:
            continue
        kind, day, hour = draw_moment(stream(settings.seed, "moment", vehicle_id, outing))
        seconds = (day * 24 + hour) * 3600
        for site in sites:
            track = len({capture.track for capture in captures})
            captures += _track(identity, site, track, seconds, kind, settings)
            seconds += rng.uniform(60, 420)
    return captures


def draw_moment(rng: np.random.Generator) -> tuple[str, int, float]:
    """(kind of weather, day, hour of the day)."""
    kind = choose(rng, WEATHERS)
    return kind, int(rng.integers(0, 14)), float(rng.uniform(*HOURS[kind]))


def _track(
    identity: IdentitySpec, site: FixedCamera, track: int, seconds: float, kind: str, settings: SynthSettings
) -> list[Capture]:
    rng = stream(settings.seed, "track", identity.vehicle_id, track)
    lane_y, way = site.lanes[int(rng.integers(len(site.lanes)))]
    frames = int(rng.integers(1, settings.max_frames + 1))
    speed = float(
        rng.uniform(2, 7)
        if site.style == "gate"
        else rng.uniform(16, 28)
        if site.style == "highway"
        else rng.uniform(4, 14)
    )
    turn = np.deg2rad(rng.uniform(-site.turning, site.turning))
    heading = (0.0 if way > 0 else np.pi) + turn
    start = rng.uniform(-3.0, 1.0)
    lateral = lane_y + rng.normal(0, 0.25)
    step = float(rng.uniform(1.0, 2.2))  # metres between two chosen frames of the track
    captures = []
    for frame in range(frames):
        along = start + frame * step
        yaw = heading + turn * 0.12 * frame + rng.normal(0, 0.01)
        when = seconds + frame * step / speed
        captures.append(
            Capture(
                vehicle_id=identity.vehicle_id,
                site=site,
                track=track,
                frame=frame,
                stamp=int(when * FRAMES_PER_SECOND) % 10**8,
                x=float(along * np.cos(heading)),
                y=float(lateral + along * np.sin(heading)),
                yaw=float(yaw),
                speed=speed,
                weather=weather_at(kind, seconds / 3600, site),
                seed=int(rng.integers(1 << 31)) if frame == 0 else captures[0].seed,
            )
        )
    return captures


def weather_at(kind: str, hours: float, site: FixedCamera) -> Weather:
    """Sun and sky over ``site`` at ``hours`` since the first midnight."""
    hour = hours % 24
    day = stream(site.town, "day", int(hours // 24), kind)
    arc = np.clip((hour - 6) / 12, 0, 1) * np.pi
    elevation = np.deg2rad(4 + 58 * np.sin(arc)) if kind != "dusk" else np.deg2rad(day.uniform(3, 9))
    overcast = {"sun": day.uniform(0, 0.15), "cloud": day.uniform(0.35, 0.6), "dusk": day.uniform(0.1, 0.7)}.get(
        kind, 1.0
    )
    return Weather(
        kind=kind,
        sun_azimuth=float(np.pi - arc - site.road_yaw),
        sun_elevation=float(elevation),
        overcast=float(overcast),
        haze=float(day.uniform(0, 0.10) + (0.06 if kind == "rain" else 0)),
        wetness=1.0 if kind == "rain" or (kind == "night" and day.random() < 0.25) else 0.0,
        night_light=site.night_light if kind == "night" else "none",
    )
