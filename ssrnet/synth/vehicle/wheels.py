"""Wheels: tyre, rim or hubcap, brake. Axis along y, outer side towards +y."""

from __future__ import annotations

import numpy as np

from ssrnet.synth.mesh import Mesh, ellipsoid, lathe
from ssrnet.synth.vehicle.specs import WheelSpec


def wheel(spec: WheelSpec, radius: float, width: float, phase: float, hubcap_missing: bool = False) -> list[Mesh]:
    """Meshes of one wheel; ``phase`` turns the spokes (radians) and belongs to the capture, not to the vehicle."""
    half, rim = width / 2, spec.rim_share * radius
    tyre = [
        (rim, -half),
        (0.94 * radius, -half),
        (0.985 * radius, -0.8 * half),
        (radius, -0.55 * half),
        (radius, 0.55 * half),
        (0.985 * radius, 0.8 * half),
        (0.94 * radius, 0.99 * half),
        (rim + 0.02, half),
        (rim, 0.86 * half),
    ]
    pieces = [lathe(tyre, "tyre", "wheel", 56, closed=True)]
    if hubcap_missing:
        return pieces + _steel(rim, half, "hubcap")
    if spec.style == "steel":
        return pieces + _steel(rim, half, "wheel")
    if spec.style == "hubcap":
        return pieces + _hubcap(spec, rim, half, phase)
    return pieces + _alloy(spec, rim, half, phase)


def _steel(rim: float, half: float, part: str) -> list[Mesh]:
    """A bare steel wheel: black dish with holes and nuts."""
    dish = [
        (0.0, -0.7 * half),
        (0.96 * rim, -0.7 * half),
        (0.97 * rim, 0.9 * half),
        (0.88 * rim, 0.75 * half),
        (0.74 * rim, 0.30 * half),
        (0.45 * rim, 0.5 * half),
        (0.25 * rim, 0.42 * half),
        (0.22 * rim, 0.7 * half),
        (0.0, 0.72 * half),
    ]
    pieces = [lathe(dish, "steel", part, 36)]
    for k in range(5):
        a = 2 * np.pi * k / 5
        pieces.append(
            ellipsoid((0.33 * rim * np.sin(a), 0.50 * half, 0.33 * rim * np.cos(a)), (0.014,) * 3, "chrome", part, 6)
        )
    return pieces


def _hubcap(spec: WheelSpec, rim: float, half: float, phase: float) -> list[Mesh]:
    """A plastic cover: a domed disc with dark slots."""
    dome = [
        (0.0, -0.7 * half),
        (0.98 * rim, -0.7 * half),
        (0.99 * rim, 0.93 * half),
        (0.9 * rim, 0.98 * half),
        (0.5 * rim, 0.86 * half),
        (0.2 * rim, 0.92 * half),
        (0.0, 0.92 * half),
    ]
    pieces = [lathe(dome, "hubcap", "wheel", 40)]
    for k in range(spec.spokes * 2):
        a = np.pi * k / spec.spokes + phase
        center = np.array([0.72 * rim * np.sin(a), 0.935 * half, 0.72 * rim * np.cos(a)])
        radial, tangent = np.array([np.sin(a), 0, np.cos(a)]), np.array([np.cos(a), 0, -np.sin(a)])
        long, short = 0.15 * rim, 0.30 * 0.72 * rim * np.pi / (2 * spec.spokes) * 2
        corners = np.stack(
            [center + i * long * radial + j * short * tangent for i, j in ((-1, -0.6), (1, -1), (1, 1), (-1, 0.6))]
        )
        lift = 0.02 * np.array([0, 1, 0]) * half + (0.9 - 0.86) * half * np.array(
            [[0, -0.3, 0], [0, 1.6, 0], [0, 1.6, 0], [0, -0.3, 0]]
        )
        pieces.append(Mesh(corners + lift, np.array([[0, 1, 2], [0, 2, 3]])[:, ::-1], "black", "wheel"))
    return pieces


def _alloy(spec: WheelSpec, rim: float, half: float, phase: float) -> list[Mesh]:
    material = "rim dark" if spec.dark else "rim"
    pieces = [
        lathe(
            [
                (rim, 0.92 * half),
                (0.965 * rim, 0.95 * half),
                (0.93 * rim, 0.78 * half),
                (0.92 * rim, -0.8 * half),
                (rim, -0.8 * half),
            ],
            material,
            "wheel",
            48,
        ),
        lathe(
            [(0.0, -0.4 * half), (0.93 * rim, -0.4 * half), (0.93 * rim, -0.36 * half), (0.0, -0.36 * half)],
            "black",
            "wheel",
            28,
        ),
        lathe([(0.0, 0.0), (0.66 * rim, 0.0), (0.66 * rim, 0.12 * half), (0.0, 0.12 * half)], "brake", "wheel", 28),
        lathe(
            [(0.21 * rim, 0.2 * half), (0.20 * rim, 0.74 * half), (0.10 * rim, 0.82 * half), (0.0, 0.82 * half)],
            material,
            "wheel",
            20,
        ),
    ]
    gaps = np.pi / spec.spokes
    arms = {
        "five": [0.0],
        "twin": [-0.34 * gaps, 0.34 * gaps],
        "multi": [0.0],
        "mesh": [-0.5 * gaps, 0.5 * gaps],
        "star": [0.0],
    }[spec.style]
    wide = {"five": 0.34, "twin": 0.17, "multi": 0.30, "mesh": 0.16, "star": 0.55}[spec.style]
    for k in range(spec.spokes):
        for shift in arms:
            lean = 0.8 * shift if spec.style == "mesh" else 0.0
            pieces.append(_spoke(rim, half, 2 * gaps * k + phase + shift, lean, wide * gaps * rim, material))
    return pieces


def _spoke(rim: float, half: float, angle: float, lean: float, width: float, material: str) -> Mesh:
    along = np.linspace(0.14, 0.95, 5)
    rings = []
    for t in along:
        a = angle + lean * (t - 0.5) * 2
        out, side = np.array([np.sin(a), 0, np.cos(a)]), np.array([np.cos(a), 0, -np.sin(a)])
        w = np.interp(t, [0.14, 0.95], [0.12 * rim, 0.9 * width])
        y = np.interp(t, [0.14, 0.5, 0.95], [0.72, 0.80, 0.86]) * half
        center = t * rim * out + np.array([0, y, 0])
        down = np.array([0, -0.032, 0])
        rings.append(
            [center - w * side + down, center - 0.72 * w * side, center + 0.72 * w * side, center + w * side + down]
        )
    vertices = np.array(rings).reshape(-1, 3)
    faces = []
    for i in range(4):
        for j in range(4):
            a, b = i * 4 + j, i * 4 + (j + 1) % 4
            faces += [[a, a + 4, b], [b, a + 4, b + 4]]
    faces += [[0, 1, 2], [0, 2, 3], [16, 18, 17], [16, 19, 18]]
    return Mesh(vertices, np.array(faces), material, "wheel")
