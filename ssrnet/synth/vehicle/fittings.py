"""Fittings of a body: shut lines, handles, mirrors, wipers, plates, badges, exhausts, aerials."""

from __future__ import annotations

import numpy as np

from ssrnet.synth.mesh import Mesh, box, ellipsoid, tube
from ssrnet.synth.vehicle.body_field import BodyField
from ssrnet.synth.vehicle.interior import liner
from ssrnet.synth.vehicle.overlays import ribbon
from ssrnet.synth.vehicle.panels import BUS_DOORS, BUS_LEAF, pillars
from ssrnet.synth.vehicle.specs import ModelSpec


class Fitter:
    """Collects meshes; lines are points in the coordinates of a drawing: (station, z), (y, z) or (station, y)."""

    def __init__(self, field: BodyField) -> None:
        self.field = field
        self.x = field.shape.x
        self.pieces: list[Mesh] = []

    def add(self, *pieces: Mesh | None) -> None:
        """Collects ``pieces``; None stands for a line that does not hit the body."""
        self.pieces += [piece for piece in pieces if piece is not None]

    def side_line(self, line, width: float, material: str = "seam", part: str = "body", offset: float = 0.0025) -> None:
        """The same line on both sides; ``line`` has (station, z) points."""
        reach = self.field.half_width + 0.12
        for sign in (1, -1):
            points = [(self.x(s), sign * reach, z) for s, z in line]
            self.add(ribbon(self.field, points, width, (0, -sign, 0), material, part, offset))

    def end_line(
        self, line, width: float, rear: bool, material: str = "seam", part: str = "body", offset: float = 0.0025
    ) -> None:
        """A line on the front or the ``rear``; ``line`` has (y, z) points."""
        x = self.x(self.field.shape.length + 0.4 if rear else -0.4)
        points = [(x, y, z) for y, z in line]
        self.add(ribbon(self.field, points, width, (1.0 if rear else -1.0, 0, 0), material, part, offset))

    def top_line(self, line, width: float, material: str = "seam", part: str = "body") -> None:
        """A line on bonnet, roof or boot lid; ``line`` has (station, y) points."""
        points = [(self.x(s), y, self.field.shape.height + 0.1) for s, y in line]
        self.add(ribbon(self.field, points, width, (0, 0, -1), material, part))

    def on_end(self, y: float, z: float, rear: bool) -> tuple[np.ndarray, np.ndarray]:
        """The point (3,) of the front or ``rear`` at (y, z), and its normal (3,)."""
        x = self.x(self.field.shape.length + 0.5 if rear else -0.5)
        point, normal, _ = self.field.project(np.array([[x, y, z]]), (1.0 if rear else -1.0, 0, 0))
        return point[0], normal[0]

    def on_side(self, station: float, z: float, sign: int) -> tuple[np.ndarray, np.ndarray]:
        """The point (3,) of the left (``sign`` 1) or right side at (station, z), and its normal (3,)."""
        point, normal, _ = self.field.project(
            np.array([[self.x(station), sign * (self.field.half_width + 0.15), z]]), (0, -sign, 0)
        )
        return point[0], normal[0]


def fittings(model: ModelSpec, field: BodyField) -> list[Mesh]:
    """All fittings of a model in the body frame, and the cabin's lining."""
    fit = Fitter(field)
    _doors(fit, model)
    _shut_lines(fit, model)
    _mirrors(fit, model)
    _plates_and_badges(fit, model)
    _trim(fit, model)
    return fit.pieces + liner(model, field)


def _doors(fit: Fitter, model: ModelSpec) -> None:
    s = model.shape
    low = s.clearance + 0.10

    def belt(station: float) -> float:
        return s.belt + s.belt_rise * np.clip((station - s.cowl) / s.length, 0, 1) + 0.02

    stations = pillars(model)
    if model.body_type == "bus":
        for door in BUS_DOORS:
            for k in range(3):
                x = fit.x(door + k * BUS_LEAF)
                fit.add(ribbon(fit.field, [(x, -2, 0.42), (x, -2, 2.5)], 0.05, (0, 1, 0), "trim", "door"))
        unit = fit.x(0.56 * s.length), 0, s.height - s.roof_arc + 0.05
        fit.add(ellipsoid(unit, (1.15, 0.78, 0.15), "paint", "roof", 12, square=0.45))  # air conditioning
        for z in (0.62, 1.12):
            fit.side_line([(0.3, z), (s.length - 0.3, z)], 0.012)
        return
    front = s.axles[0] + s.well_radius + 0.07
    first = stations[0] if stations else s.length - 0.25
    start = max(s.cowl + 0.10, front) if s.cowl > 0.9 else s.cowl + 0.16
    if model.body_type == "box truck":
        start, low = 0.22, 0.72
    lean = 0.02
    fit.side_line(
        [
            (start + 0.02, belt(start)),
            (start - lean, s.belt - 0.35),
            (max(start, front if s.cowl > 0.9 else start), low),
            (first, low),
            (first, belt(first)),
        ],
        0.014,
    )
    handles = [first - 0.20]
    if s.doors == 4 and len(s.axles) > 1 and not s.panel_sides and model.body_type != "minibus":
        rear_well = s.axles[1] - s.well_radius
        rear = min(stations[1] if len(stations) > 1 else s.tail_glass - 0.28, s.axles[1] + 0.12)
        if s.bed:
            rear = s.roof_rear + 0.10
            fit.side_line([(rear + 0.06, s.deck_height - 0.02), (rear + 0.06, low)], 0.018)
        fit.side_line(
            [
                (first, low),
                (min(rear_well - 0.07, rear), low),
                (min(rear_well + 0.02, rear), low + 0.25),
                (rear - 0.04, s.belt - 0.14),
                (rear, belt(rear)),
            ],
            0.014,
        )
        handles.append(rear - 0.22)
    if s.panel_sides or model.body_type == "minibus":  # a sliding door and its rail
        end = first + 1.12
        fit.side_line([(first, low), (end, low), (end, s.height - 0.28), (first, s.height - 0.28)], 0.014)
        fit.side_line([(end, s.belt - 0.02), (s.tail_glass - 0.25, s.belt - 0.02)], 0.022, "black", "door")
        handles.append(first + 0.16)
    if s.panel_sides:  # the pressing where a minibus has its windows
        a, b, low_edge, high_edge = end + 0.14, s.tail_glass - 0.36, s.belt + 0.06, s.height - 0.32
        fit.side_line([(a, low_edge), (a, high_edge), (b, high_edge), (b, low_edge), (a, low_edge)], 0.012)
    for station in handles:
        grip = belt(station) - 0.145  # the hollow under the handle
        fit.side_line([(station - 0.07, grip), (station + 0.07, grip)], 0.022, "black", "door")
        for sign in (1, -1):
            point, normal = fit.on_side(station, belt(station) - 0.13, sign)
            fit.add(
                ellipsoid(
                    point + 0.014 * normal, (0.09, 0.018, 0.014), "chrome" if model.belt_chrome else "paint", "door", 8
                )
            )
    if s.cowl > 0.9:
        cap = s.axles[-1] + 0.10, s.deck_height - 0.20
        square = [
            (cap[0] + dx, cap[1] + dz)
            for dx, dz in ((-0.08, -0.08), (0.08, -0.08), (0.08, 0.08), (-0.08, 0.08), (-0.08, -0.08))
        ]
        reach = fit.field.half_width + 0.12
        fit.add(ribbon(fit.field, [(fit.x(a), -reach, b) for a, b in square], 0.008, (0, 1, 0), "seam", "body"))


def _shut_lines(fit: Fitter, model: ModelSpec) -> None:
    s, half = model.shape, model.shape.width / 2
    if s.cowl > 0.5:
        edge = 0.83 * half
        line = [(s.cowl + 0.02, edge), (0.5 * s.cowl, edge - 0.01), (0.24, 0.78 * half)]
        for sign in (1, -1):
            fit.top_line([(a, sign * y) for a, y in line], 0.012)
        fit.top_line(
            [(0.24, -0.78 * half), (0.14, -0.5 * half), (0.11, 0), (0.14, 0.5 * half), (0.24, 0.78 * half)], 0.014
        )
        bumper = s.clearance + 0.5 * (s.hood_height - s.clearance)
        fit.side_line([(0.16, bumper + 0.04), (s.axles[0] - s.well_radius - 0.02, bumper - 0.02)], 0.010)
    if model.body_type in ("bus", "box truck"):
        return
    low = s.clearance + 0.40
    if s.tailgate:
        fit.end_line([(-half + 0.16, low), (half - 0.16, low)], 0.014, rear=True)
        for sign in (1, -1):
            fit.end_line([(sign * (half - 0.16), low), (sign * (half - 0.14), s.deck_height - 0.05)], 0.012, rear=True)
        if s.panel_sides:
            fit.end_line([(0, low - 0.1), (0, s.height - 0.1)], 0.018, rear=True)
    elif s.bed:
        z = s.clearance + 0.36
        fit.end_line([(-half + 0.2, z), (half - 0.2, z)], 0.016, rear=True)
        for sign in (1, -1):
            fit.end_line(
                [(sign * (half - 0.19), low - 0.04), (sign * (half - 0.19), s.deck_height - 0.02)], 0.016, rear=True
            )
    else:
        for sign in (1, -1):
            fit.end_line(
                [(sign * 0.55, low), (sign * 0.58, s.deck_height - 0.22), (sign * (half - 0.20), s.deck_height - 0.06)],
                0.012,
                rear=True,
            )
            fit.top_line([(s.tail_glass + 0.06, sign * 0.80 * half), (s.length - 0.08, sign * 0.76 * half)], 0.012)
        fit.end_line([(-0.55, low), (0.55, low)], 0.012, rear=True)
    fit.side_line([(s.axles[-1] + s.well_radius + 0.02, low + 0.06), (s.length - 0.16, low + 0.10)], 0.010)


def _mirrors(fit: Fitter, model: ModelSpec) -> None:
    s = model.shape
    material = "black" if model.body_type in ("bus", "box truck", "van") or model.rub_strip else "paint"
    for sign in (1, -1):
        if model.body_type in ("bus", "box truck"):
            _hung_mirror(fit, model, sign)
            continue
        tall = 0.075 if s.height < 1.75 else 0.12
        root = s.cowl + (0.42 if s.cowl > 0.9 else 0.34)
        point, _ = fit.on_side(root, s.belt + 0.07, sign)
        fit.add(box(point + [0, sign * 0.05, 0.0], (0.05, 0.14, 0.03), "black", "mirror"))
        fit.add(
            ellipsoid(point + [0.015, sign * 0.155, 0.045], (0.055, 0.105, tall), material, "mirror", 12, square=0.75)
        )
        fit.add(box(point + [-0.037, sign * 0.155, 0.045], (0.012, 0.15, 1.3 * tall), "chrome", "mirror"))


def _hung_mirror(fit: Fitter, model: ModelSpec, sign: int) -> None:
    """A mirror on stays: before a bus's front corner, beside a truck's door."""
    s = model.shape
    bus = model.body_type == "bus"
    top = s.height - 0.55 if bus else s.belt + 0.62
    head = np.array([fit.x(-0.10 if bus else 0.20), sign * (fit.field.half_width + 0.12), top - 0.30])
    fit.add(ellipsoid(head, (0.06, 0.11, 0.22), "black", "mirror", 12, square=0.5))
    for z in (top + 0.05,) if bus else (top - 0.06, top - 0.54):
        root, _ = fit.on_side(0.32 if bus else 0.42, z, sign)
        elbow = np.array([head[0], head[1], z])
        fit.add(tube(np.stack([root, elbow, head]), 0.016, "black", "mirror", 6))


def _plates_and_badges(fit: Fitter, model: ModelSpec) -> None:
    """Plates are masked black, as VehicleID's are."""
    s = model.shape
    front_z = s.clearance + (0.25 if s.height < 2.6 else 0.30)
    point, _ = fit.on_end(0, front_z, rear=False)
    fit.add(box(point + [0.006, 0, 0], (0.022, 0.46, 0.13), "plate", "plate"))
    badge_z = (
        s.hood_height
        - 0.075
        - (0.5 * model.front.grille_height if model.front.grille in ("trapezoid", "hexagon") else 0.06)
    )
    point, _ = fit.on_end(0, badge_z, rear=False)
    fit.add(ellipsoid(point + [0.012, 0, 0], (0.014, 0.06, 0.045), "chrome", "grille", 10))
    if model.body_type == "box truck":
        return
    rear_z = s.clearance + 0.27 if model.rear.plate_low or s.bed else s.deck_height - (0.30 if not s.tailgate else 0.24)
    if model.body_type == "bus":
        rear_z = 0.75
    point, _ = fit.on_end(0, rear_z, rear=True)
    fit.add(box(point + [-0.006, 0, 0], (0.022, 0.46, 0.13), "plate", "plate"))
    if model.body_type != "bus":
        point, _ = fit.on_end(0, s.deck_height - 0.10 if not s.tailgate else s.deck_height - 0.06, rear=True)
        fit.add(ellipsoid(point - [0.012, 0, 0], (0.014, 0.055, 0.04), "chrome", "boot", 10))
        fit.end_line(
            [(-0.56, s.deck_height - 0.17), (-0.34, s.deck_height - 0.17)], 0.022, True, "chrome", "boot", 0.005
        )


def _trim(fit: Fitter, model: ModelSpec) -> None:
    s = model.shape
    field = fit.field
    cowl = s.cowl_height
    spread = field.half_width / 0.9
    for a, b in ((0.62, 0.08), (0.05, -0.52)):
        fit.end_line(
            [(a * spread, cowl + 0.045), (b * spread, cowl + 0.085)], 0.028, False, "black", "windscreen", 0.014
        )
    if s.tailgate and model.body_type in ("hatchback", "estate", "suv"):
        fit.end_line(
            [(0.30, s.deck_height + 0.085), (-0.12, s.deck_height + 0.10)], 0.02, True, "black", "rear glass", 0.012
        )
    if model.antenna == "fin":
        station = s.roof_rear - 0.12
        z = float(field.shape.height - s.roof_arc - s.tail_drop)
        fit.add(ellipsoid((fit.x(station), 0, z - 0.008), (0.085, 0.02, 0.042), "paint", "roof", 10))
    elif model.antenna == "rod":
        start = np.array([fit.x(s.roof_front + 0.2), 0.0, s.height - 0.03])
        fit.add(tube(np.stack([start, start + [-0.14, 0, 0.26]]), 0.005, "black", "roof", 5))
    if model.belt_chrome and s.cowl > 0.9:
        line = [
            (st, s.belt + 0.022 + s.belt_rise * (st - s.cowl) / s.length)
            for st in np.linspace(s.cowl + 0.3, s.tail_glass - 0.3, 6)
        ]
        fit.side_line(line, 0.020, "chrome", "trim", 0.005)
    if model.rub_strip and len(s.axles) > 1:
        a, b = s.axles[0] + s.well_radius + 0.1, s.axles[1] - s.well_radius - 0.1
        fit.side_line([(a, s.clearance + 0.27), (b, s.clearance + 0.27)], 0.055, "plastic", "trim", 0.008)
    if model.rear.chrome and s.cowl > 0.9 and not s.bed:
        fit.end_line(
            [(-0.38, s.deck_height - 0.215), (0.38, s.deck_height - 0.215)], 0.028, True, "chrome", "boot", 0.007
        )
    for k in range(model.rear.exhausts):
        sign = 1 if k == 0 else -1
        y, x = sign * 0.52, fit.x(s.length - 0.12)
        fit.add(
            tube(
                np.array([[x + 0.12, y, s.clearance + 0.04], [x - 0.08, y, s.clearance + 0.035]]),
                0.034,
                "chrome",
                "bumper",
                10,
            )
        )
