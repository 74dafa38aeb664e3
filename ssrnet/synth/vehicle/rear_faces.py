"""Cuts a model's rear face into the shell: lamps, reflectors and trim."""

from __future__ import annotations

import numpy as np

from ssrnet.synth.vehicle.cutter import Cutter, Surface, band, circle, polygon, rounded_all
from ssrnet.synth.vehicle.specs import ModelSpec, RearFace


def rear_lamp_outlines(face: RearFace, model: ModelSpec) -> list[tuple[list[tuple[float, float]], float]]:
    """Outlines of one side's lamps: corners (girth from the middle of the tail, z) and rounding of the corners."""
    s = model.shape
    top, a, h, lift = s.deck_height - 0.075, face.lamp_inner, face.lamp_height, face.lamp_lift
    edge = s.width / 2 + 0.30
    shapes = {
        "block": [
            (
                [
                    (a, top),
                    (a + 0.02, top - h),
                    (edge, top - 0.8 * h),
                    (edge + 0.05, top + 0.3 * lift),
                    (edge - 0.2, top + 0.4 * lift),
                ],
                0.025,
            )
        ],
        "bar": [
            (
                [
                    (-0.3, top - 0.02),
                    (-0.3, top - 0.085),
                    (0.6, top - 0.085),
                    (edge - 0.15, top - 0.7 * h),
                    (edge, top - 0.03),
                    (edge - 0.1, top),
                ],
                0.012,
            )
        ],
        "vertical": [
            ([(a + 0.16, top - h), (edge - 0.10, top - h), (edge - 0.04, top + lift), (a + 0.26, top + lift)], 0.025)
        ],
        "hook": [
            ([(a - 0.1, top - 0.02), (a - 0.1, top - 0.08), (edge, top - 0.08), (edge, top - 0.01)], 0.012),
            ([(a + 0.2, top), (a + 0.24, top - 1.2 * h), (edge - 0.05, top - 1.1 * h), (edge + 0.02, top)], 0.02),
        ],
        "round": [
            (
                [(a - 0.02, top), (a + 0.01, top - 0.155), (edge - 0.06, top - 0.145), (edge + 0.04, top + 0.2 * lift)],
                0.03,
            )
        ],
        "slim": [
            (
                [
                    (a - 0.08, top - 0.03),
                    (a - 0.02, top - 0.10),
                    (edge - 0.05, top - 0.12),
                    (edge + 0.08, top - 0.01),
                    (edge - 0.2, top),
                ],
                0.012,
            )
        ],
        "low": [
            (
                [
                    (a + 0.2, s.clearance + 0.32),
                    (a + 0.2, s.clearance + 0.20),
                    (edge - 0.3, s.clearance + 0.20),
                    (edge - 0.3, s.clearance + 0.32),
                ],
                0.015,
            )
        ],
        "stack": [([(a + 0.19, 1.22), (a + 0.19, 0.46), (a + 0.37, 0.46), (a + 0.37, 1.22)], 0.035)],
    }
    return shapes[face.lamp]


def _lamp_chambers(cutter: Cutter, face: RearFace, corners, lamp) -> None:
    """Round chambers side by side under dark glass, or a bus's chambers one over the other."""
    left, low = np.min(corners, axis=0)
    high = np.max(corners, axis=0)[1]
    if face.lamp == "round":
        centers = [(left + 0.105, (low + high) / 2), (left + 0.235, (low + high) / 2)]
        for center in centers:

            def ring(p: Surface, r: float, center: tuple[float, float] = center) -> np.ndarray:
                return np.minimum(lamp(p, 0.010), circle(p.rear_girth, p.z, center, r))

            for radius, material in ((0.020, "tail clear"), (0.034, "tail"), (0.050, "tail bright"), (0.060, "tail")):
                cutter.cut(lambda p, ring=ring, radius=radius: ring(p, radius), material, "rear lamp")
    else:
        quarter = (high - low) / 4
        for k, material in enumerate(("tail", "tail clear", "tail bright", "amber")):

            def chamber(p: Surface, k: int = k) -> np.ndarray:
                return np.minimum(lamp(p, 0.016), band(p.z, low + quarter * k + 0.012, low + quarter * (k + 1) - 0.012))

            cutter.cut(chamber, material, "rear lamp")
    cutter.cut(lambda p: lamp(p, 0.008), "lamp dark", "rear lamp")


def cut_rear(cutter: Cutter, model: ModelSpec) -> None:
    """Cuts lamps, reflectors and bumper trim of ``model`` out of the shell."""
    face, s = model.rear, model.shape
    c, half = s.clearance, s.width / 2
    outlines = rear_lamp_outlines(face, model)

    def behind(p: Surface) -> np.ndarray:
        if face.lamp == "vertical":  # may climb the pillar, over the shoulder between tailgate and window
            return 0.45 - p.from_tail
        return np.minimum(0.75 - p.from_tail, (0.85 - p.normals[:, 2]) * 0.2)

    def lamp(p: Surface, inset: float) -> np.ndarray:
        levels = [polygon(p.rear_girth, p.z, corners, radius) - inset for corners, radius in outlines]
        return np.minimum(np.maximum.reduce(levels), behind(p))

    heights = [corner[1] for corners, _ in outlines for corner in corners]
    white = min(heights) + (0.25 + 0.5 * face.clear_band) * (max(heights) - min(heights))
    if face.clear_band > 0 and face.lamp not in ("round", "slim", "bar", "stack"):
        inner = face.lamp_inner + 0.25
        cutter.cut(
            lambda p: np.minimum.reduce([lamp(p, 0.012), 0.022 - np.abs(p.z - white), inner - p.rear_girth + 0.2]),
            "tail clear",
            "rear lamp",
        )
    if face.lamp in ("round", "stack"):
        _lamp_chambers(cutter, face, outlines[0][0], lamp)
    cutter.cut(lambda p: np.minimum(lamp(p, 0.012), 0.010 - np.abs(lamp(p, 0.05))), "tail bright", "rear lamp")
    cutter.cut(lambda p: lamp(p, 0.01), "tail", "rear lamp")
    cutter.cut(lambda p: lamp(p, 0.0), "trim", "rear lamp")

    def facing(p: Surface, low: float, high: float, inner: float, outer: float) -> np.ndarray:
        return rounded_all(
            band(p.z, low, high),
            np.abs(p.y) - inner if inner > 0 else 1 - np.abs(p.y),
            outer - np.abs(p.y),
            0.5 - p.from_tail,
            (-0.1 - p.normals[:, 0]) * 0.4,
            radius=0.025,
        )

    if model.body_type == "bus":  # the engine's air grille

        def slats(p: Surface) -> np.ndarray:
            return 0.02 * np.cos(p.z * 2 * np.pi / 0.09) - 0.004

        def grille(p: Surface) -> np.ndarray:
            return facing(p, 0.92, 1.36, 0, half - 0.62)

        cutter.cut(lambda p: np.minimum(grille(p), slats(p)), "black", "boot")
        cutter.cut(grille, "plastic", "boot")
    if s.height < 2.6:
        cutter.cut(lambda p: facing(p, c + 0.20, c + 0.245, half - 0.34, half - 0.16), "tail", "rear lamp")
    cutter.cut(lambda p: facing(p, c - 0.1, c + 0.13, 0, half - 0.14), "plastic", "bumper")
