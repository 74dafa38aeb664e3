"""The implicit body: hull and greenhouse as smooth intersections of named faces.

A face is a signed function, negative inside. Because each face is explicit, we choose its curvature and
the roundness of each edge, and can cut windows and lamps where a face lies. The body frame is x forward,
y left, z up, origin on the road under the middle of the body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from ssrnet.synth.vehicle.body_types import BodyShape
from ssrnet.synth.vehicle.isosurface import first_hit, normals_at


@dataclass(frozen=True)
class Dent:
    """A dent in the surface, on one side only: centre (body frame), radius and depth in metres."""

    center: tuple[float, float, float]
    radius: float
    depth: float


def smooth_max(a: np.ndarray, b: np.ndarray, k: float) -> np.ndarray:
    """Polynomial smooth maximum: intersects two solids with an edge rounded over about ``k``."""
    h = np.clip(0.5 + 0.5 * (a - b) / k, 0, 1)
    return b + (a - b) * h + k * h * (1 - h)


def smooth_min(a: np.ndarray, b: np.ndarray, k: float) -> np.ndarray:
    """Polynomial smooth minimum: joins two solids with a fillet of about ``k``."""
    return -smooth_max(-a, -b, k)


def smooth_step(t: np.ndarray) -> np.ndarray:
    """Cubic step from 0 at ``t`` 0 to 1 at ``t`` 1."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


class BodyField:
    """``field(points)`` is negative inside the body; points (..., 3) in the body frame."""

    def __init__(self, shape: BodyShape, dents: tuple[Dent, ...] = ()) -> None:
        self.shape = shape
        self.dents = dents
        s = shape
        self.half_width = s.width / 2
        hood = s.hood_height
        knots = [
            (-0.2, hood - 0.14),
            (0.0, hood - 0.06),
            (0.12, hood),
            (0.35, hood + 0.3 * (s.cowl_height - hood)),
            (max(0.7 * s.cowl, 0.45), hood + 0.78 * (s.cowl_height - hood)),
            (max(s.cowl + 0.12, 0.62), s.cowl_height),
            (0.55 * s.length, max(s.belt, s.cowl_height - 0.02)),
            (s.tail_glass - 0.05, s.deck_height),
            (s.length - 0.06, s.deck_height - 0.015),
            (s.length + 0.3, s.deck_height - 0.06),
        ]
        if s.bed:
            knots[7] = (s.roof_rear - 0.2, s.deck_height)
        if s.cowl < 0.3:  # forward control: no bonnet, the hull ends under the windscreen
            knots = [(-0.2, s.cowl_height), (0.5 * s.length, s.cowl_height), (s.length + 0.3, s.deck_height)]
        stations, heights = np.array(sorted(knots)).T
        self.top = PchipInterpolator(stations, heights)
        b = s.belt
        self.section = PchipInterpolator(
            [0.0, s.clearance, s.clearance + 0.10, s.clearance + 0.22, 0.62 * b, 0.86 * b, 1.02 * b, 1.4 * b, 4 * b],
            [0.12, 0.085, 0.045, 0.022, 0.0, 0.004, 0.030, 0.06, 0.06],
        )
        c, h = s.clearance, hood
        lean = s.front_lean
        self.front = PchipInterpolator(
            [0.0, c, c + 0.09, 0.5 * (c + h), h - 0.16, h - 0.03, h + 0.12, 4.0],
            [0.22, 0.13, 0.035, 0.0, 0.012 + 0.25 * lean, 0.04 + lean, 0.10 + 1.4 * lean, 0.10 + 1.4 * lean],
        )
        d = s.deck_height
        self.rear = PchipInterpolator(
            [0.0, c, c + 0.10, 0.5 * (c + d), d - 0.18, d - 0.03, d + 0.1, 4.0],
            [
                0.16,
                0.09,
                0.02,
                0.0,
                0.01 + 0.3 * s.rear_lean,
                0.02 + s.rear_lean,
                0.03 + s.rear_lean,
                0.03 + s.rear_lean,
            ],
        )

    def station(self, points: np.ndarray) -> np.ndarray:
        """Distance rearwards from the nose."""
        return self.shape.length / 2 - points[..., 0]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        points = np.asarray(points, float)
        value = smooth_min(self.hull(points), self.greenhouse(points), 0.025)
        value = smooth_max(value, self._wells(points), 0.012)
        if self.shape.bed:
            value = smooth_max(value, self._bed(points), 0.02)
        for dent in self.dents:
            away = ((points - np.asarray(dent.center)) ** 2).sum(-1) / dent.radius**2
            value = value + dent.depth * np.exp(-away)
        return value

    def hull(self, points: np.ndarray) -> np.ndarray:
        """The body below the windows."""
        s = self.shape
        x, y, z = self.station(points), np.abs(points[..., 1]), points[..., 2]
        q = np.clip(y / self.half_width, 0, 1.15)
        half = self._half_width(x, z)
        front = self.front(z) + s.nose_bow * q**2.6 - x
        rear = x - (s.length - self.rear(z) - s.tail_bow * q**2.6)
        top = z - (self.top(x) - 0.045 * q**2 + self._bonnet_relief(x, y))
        rise = 0.10 * smooth_step((0.5 - x) / 0.5) + 0.10 * smooth_step((x - s.length + 0.5) / 0.5)
        bottom = (s.clearance + 0.5 * rise) - z
        value = smooth_max(y - half, front, 0.10)
        value = smooth_max(value, rear, 0.09)
        value = smooth_max(value, top, 0.065)
        return smooth_max(value, bottom, 0.05)

    def greenhouse(self, points: np.ndarray) -> np.ndarray:
        """The cabin above the belt: windscreen, roof, side glass and rear window."""
        y = np.abs(points[..., 1])
        value = smooth_max(self.windscreen(points), self.roof(points), 0.10)
        value = smooth_max(
            value, self.backlight(points), 0.10 if self.shape.tail_drop or not self.shape.tailgate else 0.06
        )
        value = smooth_max(value, y - self.glass_width(points), 0.085)
        tail = self.shape.length - 0.012 - self.shape.tail_bow * (y / self.half_width) ** 2.6
        value = smooth_max(value, self.station(points) - tail, 0.04)
        return smooth_max(value, self.shape.belt - 0.15 - points[..., 2], 0.02)

    def windscreen(self, points: np.ndarray) -> np.ndarray:
        """The windscreen's face, negative behind it."""
        s = self.shape
        q = points[..., 1] / self.half_width
        curve = min(0.20, 0.5 * (s.roof_front - s.cowl) + 0.04)
        return _bulged_plane(
            self.station(points) - curve * q**2,
            points[..., 2],
            (s.cowl, s.cowl_height - 0.02),
            (s.roof_front, s.height - 0.035),
            bulge=0.035,
            facing_front=True,
        )

    def backlight(self, points: np.ndarray) -> np.ndarray:
        """The rear window's face, negative ahead of it."""
        s = self.shape
        q = points[..., 1] / self.half_width
        curve = min(0.14, 0.3 * (s.tail_glass - s.roof_rear) + 0.03)
        return _bulged_plane(
            self.station(points) + curve * q**2,
            points[..., 2],
            (s.tail_glass, s.deck_height - 0.02),
            (s.roof_rear, s.height - s.tail_drop - 0.035),
            bulge=0.05 if s.tail_drop else 0.03,
            facing_front=False,
        )

    def roof(self, points: np.ndarray) -> np.ndarray:
        """The roof's face, negative below it."""
        s = self.shape
        x = self.station(points)
        middle = 0.5 * (s.roof_front + s.roof_rear) - 0.1
        half = max(0.5 * (s.roof_rear - s.roof_front), 0.5)
        t = (x - middle) / half
        # Straight beyond the arc: a roof that bent back there would dent the car's profile.
        end = 0.5 if s.tail_glass - s.roof_rear > 1.0 else 1.12
        arc = np.minimum(np.abs(t), end)
        fall = np.where(t < 0, s.roof_arc, s.roof_arc + s.tail_drop) * (arc**2 + 2 * end * (np.abs(t) - arc))
        return points[..., 2] - (s.height - fall - 0.05 * (points[..., 1] / self.half_width) ** 2)

    def glass_width(self, points: np.ndarray) -> np.ndarray:
        """Half width of the greenhouse: leaning inwards with height, narrower at both ends."""
        s = self.shape
        x, z = self.station(points), points[..., 2]
        above = np.clip(z - s.belt, -0.4, 2)
        front = np.clip((s.roof_front - x) / max(s.roof_front - s.cowl, 0.3), 0, 1.4)
        rear = np.clip((x - s.roof_rear + 0.2) / max(s.tail_glass - s.roof_rear + 0.2, 0.5), 0, 1.4)
        taper = 0.05 * front**2 + (0.09 if s.tumble > 0.2 else 0.03) * rear**2
        lean = s.tumble * above + 0.10 * s.tumble * above**2
        return self.half_width - (0.052 if s.tumble > 0.2 else 0.035) - lean - taper

    def project(self, points: np.ndarray, direction: tuple[float, float, float], reach: float = 2.5):
        """Points moved along ``direction`` onto the body: (surface points, outward normals, which hit)."""
        surface, hit = first_hit(self, points, np.asarray(direction, float), reach)
        return surface, normals_at(self, surface), hit

    def _half_width(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        s = self.shape
        front = 0.075 * np.clip((1.0 - x) / 1.0, 0, 1.2) ** 2
        rear = 0.055 * np.clip((x - s.length + 1.0) / 1.0, 0, 1.2) ** 2
        if s.tumble < 0.2:
            front, rear = 0.5 * front, 0.5 * rear
        rise = s.belt_rise * np.clip((x - s.cowl) / s.length, 0, 1)
        half = self.half_width - self.section(z - rise) - front - rear
        crease = s.crease_height * s.belt + 1.1 * rise
        half = half - s.crease_depth * smooth_step((z - crease) / 0.03) * (z < s.belt + 0.3)
        half = half - 0.5 * s.crease_depth * np.exp(-(((z - crease + 0.17) / 0.09) ** 2))
        for axle in s.axles:
            r = np.hypot(x - axle, z - s.wheel_radius)
            half = half + s.flare * np.exp(-(((r - s.well_radius - 0.015) / 0.055) ** 2))
        return half

    def _bonnet_relief(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        s = self.shape
        if s.cowl < 0.9:
            return 0.0 * x
        on_bonnet = smooth_step((s.cowl + 0.1 - x) / 0.3)
        return on_bonnet * 0.014 * (smooth_step((0.62 * self.half_width - y) / 0.06) - 0.5)

    def _wells(self, points: np.ndarray) -> np.ndarray:
        """Positive inside the wheel wells, which are cut out of the body."""
        s = self.shape
        x, y, z = self.station(points), np.abs(points[..., 1]), points[..., 2]
        inner = y - (self.half_width - 0.32)
        return np.maximum.reduce(
            [np.minimum(s.well_radius - np.hypot(x - axle, z - s.wheel_radius), inner) for axle in s.axles]
        )

    def _bed(self, points: np.ndarray) -> np.ndarray:
        """Positive inside the pickup's bed, without the wheel housings, so that no wheel well opens into it."""
        s = self.shape
        x, y, z = self.station(points), np.abs(points[..., 1]), points[..., 2]
        cavity = np.minimum.reduce(
            [x - (s.tail_glass + 0.12), s.length - 0.09 - x, self.half_width - 0.12 - y, z - (s.deck_height - 0.46)]
        )
        axle = s.axles[1]
        housing = np.minimum(
            s.well_radius + 0.05 - np.hypot(x - axle, z - s.wheel_radius), y - (self.half_width - 0.38)
        )
        return np.minimum(cavity, -housing)


def _bulged_plane(
    x: np.ndarray, z: np.ndarray, low: tuple[float, float], high: tuple[float, float], bulge: float, facing_front: bool
) -> np.ndarray:
    """Signed distance to the line low-high in the side view, bowed outwards by ``bulge`` in its middle.

    Beyond its ends the line goes straight on, so that it is convex all along.
    """
    along = np.array(high) - np.array(low)
    length = float(np.hypot(*along))
    along = along / length
    normal = np.array([-along[1], along[0]]) if facing_front else np.array([along[1], -along[0]])
    dx, dz = x - low[0], z - low[1]
    t = (dx * along[0] + dz * along[1]) / length
    bow = np.where(t < 0, t, np.where(t > 1, 1 - t, t * (1 - t)))
    return dx * normal[0] + dz * normal[1] - bulge * 4 * bow * min(1.0, length)
