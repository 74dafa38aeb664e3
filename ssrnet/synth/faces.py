"""Front and rear faces: lamps, grille, intakes and trim cut into the shell by family and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ssrnet.synth.bodyfield import BodyField
from ssrnet.synth.mesh import Mesh
from ssrnet.synth.outlines import band, circle, polygon, rounded_all
from ssrnet.synth.specs import FrontFace, ModelSpec, RearFace

if TYPE_CHECKING:
    from ssrnet.synth.panels import Cutter


@dataclass(frozen=True)
class Surface:
    """The vertices of what is left of the shell, in the coordinates that panels are drawn in."""

    points: np.ndarray
    normals: np.ndarray
    station: np.ndarray
    from_tail: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @classmethod
    def of(cls, mesh: Mesh, field: BodyField) -> Surface:
        station = field.station(mesh.vertices)
        return cls(
            mesh.vertices, mesh.normals, station, field.shape.length - station, mesh.vertices[:, 1], mesh.vertices[:, 2]
        )

    @property
    def front_girth(self) -> np.ndarray:
        """From the middle of the nose outwards and around the corner."""
        return np.abs(self.y) + 0.9 * np.maximum(self.station, 0)

    @property
    def rear_girth(self) -> np.ndarray:
        return np.abs(self.y) + 0.9 * np.maximum(self.from_tail, 0)


def front_lamp_outline(face: FrontFace, hood: float) -> tuple[list[tuple[float, float]], float]:
    """Corners (girth, z) of a front lamp and the rounding of its corners."""
    a, b, h, s = face.lamp_inner, face.lamp_outer, face.lamp_height, face.lamp_slant
    top = hood - 0.055
    shapes = {
        "slim": ([(a, top - 0.02), (a + 0.04, top - 0.02 - 0.75 * h), (0.75 * b, top - 0.8 * h + s * 0.5), (b, top + s), (0.7 * b, top + 0.5 * s)], 0.012),
        "teardrop": ([(a, top - 0.35 * h), (a + 0.06, top - h), (0.78 * b, top - 0.9 * h), (b, top + 0.9 * s), (0.75 * b, top + 0.5 * s)], 0.03),
        "box": ([(a, top), (a, top - h), (b, top - h + 0.3 * s), (b, top + 0.2 * s)], 0.02),
        "round": ([(a, top), (a, top - h), (a + h, top - h), (a + h, top)], 0.48 * h),
        "split": ([(a - 0.05, top - 0.02), (a, top - 0.065), (0.8 * b, top - 0.05 + 0.4 * s), (b, top + 0.6 * s), (0.7 * b, top + 0.3 * s)], 0.008),
        "tall": ([(a + 0.08, top), (a, top - h), (0.82 * b, top - 0.9 * h), (b, top + 0.1 + s), (b - 0.12, top + 0.12 + s)], 0.025),
        "low": ([(a, top - 0.26), (a, top - 0.26 - h), (b, top - 0.24 - h), (b, top - 0.22)], 0.03),
    }  # fmt: skip
    return shapes[face.lamp]


def cut_front(cutter: Cutter, model: ModelSpec) -> None:
    face, s = model.front, model.shape
    hood, c = s.hood_height, s.clearance
    corners, radius = front_lamp_outline(face, hood)

    def ahead(p: Surface) -> np.ndarray:
        return np.minimum(0.9 - p.station, (0.80 - p.normals[:, 2]) * 0.2)

    def lamp(p: Surface, inset: float = 0.0) -> np.ndarray:
        return np.minimum(polygon(p.front_girth, p.z, corners, radius) - inset, ahead(p))

    _front_lamp(cutter, face, corners, lamp)
    if face.lamp == "split":
        _second_lamp(cutter, hood, c)
    _grille(cutter, model, ahead)

    def facing(p: Surface, low: float, high: float, inner: float, outer: float, r: float = 0.03) -> np.ndarray:
        return rounded_all(
            band(p.z, c + low, c + high), np.abs(p.y) - inner if inner > 0 else 1 - np.abs(p.y), outer - np.abs(p.y),
            0.6 - p.station, (p.normals[:, 0] - 0.1) * 0.4, radius=r,
        )  # fmt: skip

    half = s.width / 2
    low = 0.06 + 0.02 * (face.intake == "low")
    high = {"wide": 0.19, "split": 0.17, "low": 0.14}[face.intake]
    if model.body_type == "bus":
        low, high = 0.12, 0.3
    if face.fog:
        fog = lambda p: circle(np.abs(p.y), p.z, (half - 0.25, c + 0.15), 0.042)
        cutter.take(lambda p: np.minimum(fog(p), 0.5 - p.station), "lens", "front lamp")
    cutter.take(lambda p: facing(p, low, high + 0.02, half - 0.34, half - 0.15), "black", "grille")
    inner_edge = half - 0.38 if face.intake != "low" else 0.45
    bars = lambda p: 0.012 * np.cos(p.z * 2 * np.pi / 0.05) - 0.004
    cutter.take(lambda p: np.minimum(facing(p, low, high, 0, inner_edge), bars(p)), "black", "grille")
    cutter.take(lambda p: facing(p, low, high, 0, inner_edge), "plastic", "grille")
    if s.height < 1.9:
        cutter.take(lambda p: np.minimum(facing(p, -0.2, 0.045, 0, half + 0.1), 0.45 - p.station), "plastic", "bumper")


def _front_lamp(cutter: Cutter, face: FrontFace, corners, lamp) -> None:
    middle = np.mean(corners, axis=0)
    if face.lens:
        size = min(0.05, 0.36 * face.lamp_height)
        spots = (
            [(middle[0] - 0.04, middle[1])]
            if face.lens == 1
            else [(middle[0] - 0.11, middle[1] - 0.008), (middle[0] + 0.05, middle[1] + 0.008)]
        )
        for spot in spots:
            cutter.take(
                lambda p: np.minimum(lamp(p, 0.008), circle(p.front_girth, p.z, spot, size)), "lens", "front lamp"
            )
            cutter.take(
                lambda p: np.minimum(lamp(p, 0.008), circle(p.front_girth, p.z, spot, size + 0.014)),
                "lamp dark",
                "front lamp",
            )
    if face.daytime_strip:
        cutter.take(lambda p: np.minimum(lamp(p, 0.012), 0.036 - lamp(p)), "lamp", "front lamp")
        cutter.take(lambda p: lamp(p, 0.01), "lamp dark", "front lamp")
    edge = max(corner[0] for corner in corners) - 0.13
    cutter.take(lambda p: np.minimum(lamp(p, 0.01), p.front_girth - edge), "amber", "front lamp")
    cutter.take(lambda p: lamp(p, 0.01), "lamp", "front lamp")
    cutter.take(lambda p: lamp(p, 0.0), "trim", "front lamp")


def _second_lamp(cutter: Cutter, hood: float, clearance: float) -> None:
    """The split face's main lamps, low in the bumper."""
    z = 0.55 * hood + 0.45 * clearance + 0.05
    pod = [(0.62, z + 0.06), (0.62, z - 0.06), (0.98, z - 0.05), (1.04, z + 0.07)]
    level = lambda p, inset: np.minimum(polygon(p.front_girth, p.z, pod, 0.025) - inset, 0.7 - p.station)
    for x in (0.74, 0.88):
        cutter.take(
            lambda p: np.minimum(level(p, 0.01), circle(p.front_girth, p.z, (x, z), 0.042)), "lens", "front lamp"
        )
    cutter.take(lambda p: level(p, 0.0), "lamp dark", "front lamp")


def _grille(cutter: Cutter, model: ModelSpec, ahead) -> None:
    face, hood = model.front, model.shape.hood_height
    w, h, top = face.grille_width, face.grille_height, hood - 0.075
    if face.grille == "none":
        return
    loops = {
        "slot": [(0, top - 0.02), (0, top - 0.02 - 0.45 * h), (w, top - 0.02 - 0.4 * h), (w + 0.03, top)],
        "trapezoid": [(0, top), (0, top - h), (0.68 * w, top - h), (w, top)],
        "hexagon": [(0, top), (0, top - h), (0.7 * w, top - h), (w, top - 0.55 * h), (0.82 * w, top)],
        "pair": [(0.03, top), (0.05, top - 0.75 * h), (0.62 * w, top - 0.75 * h), (0.75 * w, top)],
        "slats": [(0, top), (0, top - 0.7 * h), (w, top - 0.7 * h), (w, top)],
        "oval": [(0, top - 0.1 * h), (0, top - 0.75 * h), (0.55 * w, top - 0.7 * h), (0.72 * w, top - 0.4 * h), (0.55 * w, top - 0.1 * h)],
    }  # fmt: skip
    loop = loops[face.grille]
    if loop[0][0] == 0:  # half an outline: mirrored over the middle line, so the corners there are not rounded
        loop = [(-0.3, loop[0][1]), (-0.3, loop[1][1]), *loop[2:]]

    def level(p: Surface, inset: float) -> np.ndarray:
        return np.minimum(polygon(np.abs(p.y), p.z, loop, 0.02) - inset, np.minimum(ahead(p), 0.5 - p.station))

    def bars(p: Surface) -> np.ndarray:
        pitch = 0.062
        across = np.cos(p.z * 2 * np.pi / pitch), np.cos(p.y * 2 * np.pi / pitch)
        pattern = {"horizontal": across[0], "vertical": across[1], "mesh": np.maximum(*across) - 0.35}[face.grille_bars]
        return 0.014 * (pattern + 0.1)

    bar_material = "chrome" if face.chrome else "gloss black"
    cutter.take(lambda p: np.minimum(level(p, 0.018), bars(p)), bar_material, "grille")
    cutter.take(lambda p: level(p, 0.018), "black", "grille")
    cutter.take(lambda p: level(p, 0.0), "chrome" if face.surround else "gloss black", "grille")


def rear_lamp_outlines(face: RearFace, model: ModelSpec) -> list[tuple[list[tuple[float, float]], float]]:
    """Outlines (girth from the middle of the tail, z) of the lamps of one side."""
    s = model.shape
    top, a, h, lift = s.deck_height - 0.075, face.lamp_inner, face.lamp_height, face.lamp_lift
    edge = s.width / 2 + 0.30
    shapes = {
        "block": [([(a, top), (a + 0.02, top - h), (edge, top - 0.8 * h), (edge + 0.05, top + 0.3 * lift), (edge - 0.2, top + 0.4 * lift)], 0.025)],
        "bar": [([(-0.3, top - 0.02), (-0.3, top - 0.085), (0.6, top - 0.085), (edge - 0.15, top - 0.7 * h), (edge, top - 0.03), (edge - 0.1, top)], 0.012)],
        "vertical": [([(a + 0.16, top - h), (edge - 0.10, top - h), (edge - 0.04, top + lift), (a + 0.26, top + lift)], 0.025)],
        "hook": [
            ([(a - 0.1, top - 0.02), (a - 0.1, top - 0.08), (edge, top - 0.08), (edge, top - 0.01)], 0.012),
            ([(a + 0.2, top), (a + 0.24, top - 1.2 * h), (edge - 0.05, top - 1.1 * h), (edge + 0.02, top)], 0.02),
        ],
        "round": [([(x, top - 0.01), (x, top - 0.15), (x + 0.14, top - 0.15), (x + 0.14, top - 0.01)], 0.066) for x in (a + 0.04, a + 0.24)],
        "slim": [([(a - 0.08, top - 0.03), (a - 0.02, top - 0.10), (edge - 0.05, top - 0.12), (edge + 0.08, top - 0.01), (edge - 0.2, top)], 0.012)],
        "low": [([(a + 0.2, s.clearance + 0.32), (a + 0.2, s.clearance + 0.20), (edge - 0.3, s.clearance + 0.20), (edge - 0.3, s.clearance + 0.32)], 0.015)],
        "stack": [([(a + 0.2, 0.62 + 0.19 * k), (a + 0.2, 0.47 + 0.19 * k), (a + 0.36, 0.47 + 0.19 * k), (a + 0.36, 0.62 + 0.19 * k)], 0.07) for k in range(4)],
    }  # fmt: skip
    return shapes[face.lamp]


def cut_rear(cutter: Cutter, model: ModelSpec) -> None:
    face, s = model.rear, model.shape
    c, half = s.clearance, s.width / 2
    outlines = rear_lamp_outlines(face, model)

    def behind(p: Surface) -> np.ndarray:
        return np.minimum(0.75 - p.from_tail, (0.85 - p.normals[:, 2]) * 0.2)

    def lamp(p: Surface, inset: float) -> np.ndarray:
        levels = [polygon(p.rear_girth, p.z, corners, radius) - inset for corners, radius in outlines]
        return np.minimum(np.maximum.reduce(levels), behind(p))

    heights = [corner[1] for corners, _ in outlines for corner in corners]
    white = min(heights) + (0.25 + 0.5 * face.clear_band) * (max(heights) - min(heights))
    if face.clear_band > 0 and face.lamp not in ("round", "slim", "bar"):
        inner = face.lamp_inner + 0.25
        cutter.take(
            lambda p: np.minimum.reduce([lamp(p, 0.012), 0.022 - np.abs(p.z - white), inner - p.rear_girth + 0.2]),
            "tail clear",
            "rear lamp",
        )
    cutter.take(lambda p: np.minimum(lamp(p, 0.012), 0.010 - np.abs(lamp(p, 0.05))), "tail bright", "rear lamp")
    cutter.take(lambda p: lamp(p, 0.01), "tail", "rear lamp")
    cutter.take(lambda p: lamp(p, 0.0), "trim", "rear lamp")

    def facing(p: Surface, low: float, high: float, inner: float, outer: float) -> np.ndarray:
        return rounded_all(
            band(p.z, low, high), np.abs(p.y) - inner if inner > 0 else 1 - np.abs(p.y), outer - np.abs(p.y),
            0.5 - p.from_tail, (-0.1 - p.normals[:, 0]) * 0.4, radius=0.025,
        )  # fmt: skip

    if s.height < 2.6:
        cutter.take(lambda p: facing(p, c + 0.20, c + 0.245, half - 0.34, half - 0.16), "tail", "rear lamp")
    cutter.take(lambda p: facing(p, c - 0.1, c + 0.13, 0, half - 0.14), "plastic", "bumper")
