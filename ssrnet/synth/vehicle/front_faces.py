"""Cuts a model's front face into the shell: lamps, grille, intakes and trim."""

from __future__ import annotations

import numpy as np

from ssrnet.synth.vehicle.cutter import Cutter, Surface, band, circle, polygon
from ssrnet.synth.vehicle.specs import FrontFace, ModelSpec


def front_lamp_outline(face: FrontFace, hood: float) -> tuple[list[tuple[float, float]], float]:
    """Corners (girth, z) of a front lamp and the rounding of its corners."""
    a, b, h, s = face.lamp_inner, face.lamp_outer, face.lamp_height, face.lamp_slant
    top = hood - 0.055
    shapes = {
        "slim": (
            [
                (a, top - 0.02),
                (a + 0.04, top - 0.02 - 0.75 * h),
                (0.75 * b, top - 0.8 * h + s * 0.5),
                (b, top + s),
                (0.7 * b, top + 0.5 * s),
            ],
            0.012,
        ),
        "teardrop": (
            [
                (a, top - 0.35 * h),
                (a + 0.06, top - h),
                (0.78 * b, top - 0.9 * h),
                (b, top + 0.9 * s),
                (0.75 * b, top + 0.5 * s),
            ],
            0.03,
        ),
        "box": ([(a, top), (a, top - h), (b, top - h + 0.3 * s), (b, top + 0.2 * s)], 0.02),
        "round": ([(a, top), (a, top - h), (a + h, top - h), (a + h, top)], 0.48 * h),
        "split": (
            [
                (a - 0.05, top - 0.02),
                (a, top - 0.065),
                (0.8 * b, top - 0.05 + 0.4 * s),
                (b, top + 0.6 * s),
                (0.7 * b, top + 0.3 * s),
            ],
            0.008,
        ),
        "tall": (
            [(a + 0.08, top), (a, top - h), (0.82 * b, top - 0.9 * h), (b, top + 0.05 + s), (b - 0.12, top + 0.05 + s)],
            0.025,
        ),
        "low": ([(a, top - 0.26), (a, top - 0.26 - h), (b, top - 0.24 - h), (b, top - 0.22)], 0.03),
    }
    return shapes[face.lamp]


def cut_front(cutter: Cutter, model: ModelSpec) -> None:
    """Cuts lamps, grille and intakes of ``model`` out of the shell."""
    face, s = model.front, model.shape
    hood, c = s.hood_height, s.clearance
    corners, radius = front_lamp_outline(face, hood)

    def ahead(p: Surface) -> np.ndarray:  # without the bonnet, where a lamp drawn in the girth would appear again
        return np.minimum(0.9 - p.station, (0.66 - p.normals[:, 2]) * 0.2)

    def lamp(p: Surface, inset: float = 0.0) -> np.ndarray:
        return np.minimum(polygon(p.front_girth, p.z, corners, radius) - inset, ahead(p))

    _front_lamp(cutter, face, corners, lamp)
    if face.lamp == "split":
        _second_lamp(cutter, hood, c)
    _grille(cutter, model, ahead)
    if model.body_type in ("bus", "box truck"):
        _flat_front(cutter, model)
    else:
        _corner_intakes(cutter, model)
        _lower_intake(cutter, model)


def _corner_intakes(cutter: Cutter, model: ModelSpec) -> None:
    """A framed, slanted, dark recess at each end of the bumper, with the fog lamp in it."""
    face, s = model.front, model.shape
    half, tall = s.width / 2, s.hood_height - s.clearance
    low = s.clearance + 0.20 * tall
    high = low + {"wide": 0.15, "split": 0.20, "low": 0.12}[face.intake] * tall
    inner, outer = half - 0.30, half - 0.02
    loops = {
        "wide": [(inner, low), (outer, low + 0.02), (outer + 0.05, high), (inner + 0.13, high - 0.03)],
        "split": [(inner + 0.10, low), (outer, low + 0.01), (outer + 0.06, high), (inner + 0.15, high - 0.04)],
        "low": [(inner - 0.04, low), (outer, low + 0.03), (outer - 0.05, high), (inner, high - 0.01)],
    }
    middle = np.mean(loops[face.intake], axis=0)

    def facing(p: Surface) -> np.ndarray:
        return np.minimum(0.45 - p.station, p.normals[:, 0] - 0.1)

    def recess(p: Surface, inset: float) -> np.ndarray:
        return np.minimum(polygon(p.front_girth, p.z, loops[face.intake], 0.02) - inset, facing(p))

    if face.fog:

        def fog(p: Surface) -> np.ndarray:
            return circle(p.front_girth, p.z, tuple(middle), 0.038)

        cutter.cut(lambda p: np.minimum(fog(p), facing(p)), "lens", "front lamp")
        cutter.cut(lambda p: np.minimum(fog(p) + 0.014, facing(p)), "gloss black", "grille")

    def slats(p: Surface) -> np.ndarray:
        return 0.012 * np.cos((p.z - middle[1]) * 2 * np.pi / 0.045) - 0.004

    cutter.cut(lambda p: np.minimum(recess(p, 0.012), slats(p)), "black", "grille")
    cutter.cut(lambda p: recess(p, 0.012), "plastic", "grille")
    cutter.cut(lambda p: recess(p, 0.0), "chrome" if face.chrome and face.surround else "gloss black", "grille")


def _lower_intake(cutter: Cutter, model: ModelSpec) -> None:
    """The air intake in the middle of the bumper, the lip under it and an off-roader's skid plate."""
    face, s = model.front, model.shape
    half, tall = s.width / 2, s.hood_height - s.clearance
    low, high = s.clearance + 0.12 * tall, s.clearance + {"wide": 0.36, "split": 0.33, "low": 0.28}[face.intake] * tall
    base, top = {"wide": (half - 0.28, half - 0.40), "split": (0.42, 0.52), "low": (half - 0.36, half - 0.42)}[
        face.intake
    ]
    loop = [(-0.3, high), (-0.3, low), (base, low), (top, high)]

    def facing(p: Surface) -> np.ndarray:
        return np.minimum(0.6 - p.station, p.normals[:, 0] - 0.1)

    def opening(p: Surface, inset: float) -> np.ndarray:
        return np.minimum(polygon(np.abs(p.y), p.z, loop, 0.02) - inset, facing(p))

    def bars(p: Surface) -> np.ndarray:
        return 0.012 * np.cos(p.z * 2 * np.pi / 0.05) - 0.004

    cutter.cut(lambda p: np.minimum(opening(p, 0.012), bars(p)), "black", "grille")
    cutter.cut(lambda p: opening(p, 0.0), "plastic", "grille")
    if model.cladding:
        skid = [(-0.3, low - 0.015), (-0.3, s.clearance - 0.05), (0.36, s.clearance - 0.05), (0.46, low - 0.015)]
        cutter.cut(lambda p: np.minimum(polygon(np.abs(p.y), p.z, skid, 0.015), facing(p) + 0.4), "rim", "bumper")
    if s.height < 1.9:

        def lip(p: Surface) -> np.ndarray:
            return np.minimum(band(p.z, s.clearance - 0.2, s.clearance + 0.045), 0.45 - p.station)

        cutter.cut(lip, "plastic", "bumper")


def _flat_front(cutter: Cutter, model: ModelSpec) -> None:
    """A bus's or truck's bumper: a dark band with a step and fog lamps, and on some a black panel above."""
    face, s = model.front, model.shape
    half, c = s.width / 2, s.clearance

    def ahead(p: Surface) -> np.ndarray:
        return np.minimum(0.5 - p.station, p.normals[:, 0] - 0.1)

    if face.fog:

        def fog(p: Surface) -> np.ndarray:
            return circle(np.abs(p.y), p.z, (half - 0.30, c + 0.13), 0.045)

        cutter.cut(lambda p: np.minimum(fog(p), ahead(p)), "lens", "front lamp")
    step = [(-0.3, c + 0.20), (-0.3, c + 0.06), (half - 0.46, c + 0.06), (half - 0.52, c + 0.20)]
    cutter.cut(lambda p: np.minimum(polygon(np.abs(p.y), p.z, step, 0.02), ahead(p)), "black", "grille")
    if model.body_type == "box truck":
        cutter.cut(lambda p: np.minimum(c + 0.27 - p.z, 0.42 - p.station), "plastic", "bumper")
    else:
        _destination(cutter, model)
    if face.surround or face.grille in ("slot", "none", "slats"):
        high, low = s.cowl_height + 0.02, s.hood_height - (0.24 if model.body_type == "bus" else 0.16)
        mask = [(-0.3, high), (-0.3, low), (half - 0.42, low), (half - 0.20, high)]
        cutter.cut(lambda p: np.minimum(polygon(np.abs(p.y), p.z, mask, 0.03), ahead(p)), "gloss black", "grille")


def _destination(cutter: Cutter, model: ModelSpec) -> None:
    """The lit route display over a bus's windscreen."""
    top = model.shape.height - 0.14

    def board(p: Surface) -> np.ndarray:
        return np.minimum.reduce(
            [
                band(p.z, top - 0.26, top),
                model.shape.width / 2 - 0.30 - np.abs(p.y),
                0.6 - p.station,
                p.normals[:, 0] - 0.3,
            ]
        )

    def strokes(p: Surface) -> np.ndarray:
        return 0.03 * (np.cos(p.y * 2 * np.pi / 0.17) + np.cos(p.y * 2 * np.pi / 0.071) + 0.3)

    def shown(p: Surface) -> np.ndarray:
        return np.minimum.reduce([board(p), band(p.z, top - 0.19, top - 0.07), 0.62 - np.abs(p.y), strokes(p)])

    cutter.cut(shown, "amber", "body")
    cutter.cut(board, "gloss black", "body")


def _front_lamp(cutter: Cutter, face: FrontFace, corners, lamp) -> None:
    """Running light, lenses, indicator, housing (dark or mirrored) and rim."""
    dark = face.daytime_strip or face.lamp in ("slim", "split")
    middle = np.mean(corners, axis=0)
    size = min(0.042 if dark else 0.052, 0.32 * face.lamp_height)
    spots = [middle + [-0.03, 0.0]] if face.lens < 2 else [middle + [-0.10, -0.008], middle + [0.05, 0.008]]
    if face.daytime_strip:

        def strip(p: Surface) -> np.ndarray:
            return np.minimum.reduce([lamp(p, 0.010), 0.030 - lamp(p), middle[1] - p.z])

        cutter.cut(strip, "lamp", "front lamp")
    for spot in spots:

        def bowl(p: Surface, more: float, spot: np.ndarray = spot) -> np.ndarray:
            return np.minimum(lamp(p, 0.012), circle(p.front_girth, p.z, spot, size + more))

        cutter.cut(lambda p: bowl(p, 0.0), "lens" if dark else "lamp", "front lamp")
        cutter.cut(lambda p: bowl(p, 0.008), "chrome" if dark else "lamp dark", "front lamp")
    edge = max(corner[0] for corner in corners) - 0.09
    if face.lamp in ("box", "tall", "teardrop"):
        cutter.cut(lambda p: np.minimum(lamp(p, 0.014), p.front_girth - edge), "amber", "front lamp")
    cutter.cut(lambda p: lamp(p, 0.012), "lamp dark" if dark else "chrome", "front lamp")
    cutter.cut(lambda p: lamp(p, 0.0), "chrome" if face.lamp == "round" else "trim", "front lamp")


def _second_lamp(cutter: Cutter, hood: float, clearance: float) -> None:
    """The split face's main lamps, low in the bumper."""
    z = 0.55 * hood + 0.45 * clearance + 0.05
    pod = [(0.62, z + 0.06), (0.62, z - 0.06), (0.98, z - 0.05), (1.04, z + 0.07)]

    def level(p: Surface, inset: float) -> np.ndarray:
        return np.minimum(polygon(p.front_girth, p.z, pod, 0.025) - inset, 0.7 - p.station)

    for x in (0.74, 0.88):
        cutter.cut(
            lambda p, x=x: np.minimum(level(p, 0.01), circle(p.front_girth, p.z, (x, z), 0.042)), "lens", "front lamp"
        )
    cutter.cut(lambda p: level(p, 0.0), "lamp dark", "front lamp")


def _grille(cutter: Cutter, model: ModelSpec, ahead) -> None:
    face, hood = model.front, model.shape.hood_height
    w, top = face.grille_width, hood - 0.075
    h = min(face.grille_height, 0.6 * (hood - model.shape.clearance))
    if face.grille == "none":
        return
    loops = {
        "slot": [(0, top - 0.02), (0, top - 0.02 - 0.45 * h), (w, top - 0.02 - 0.4 * h), (w + 0.03, top)],
        "trapezoid": [(0, top), (0, top - h), (0.68 * w, top - h), (w, top)],
        "hexagon": [(0, top), (0, top - h), (0.7 * w, top - h), (w, top - 0.55 * h), (0.82 * w, top)],
        "pair": [(0.03, top), (0.05, top - 0.75 * h), (0.62 * w, top - 0.75 * h), (0.75 * w, top)],
        "slats": [(0, top), (0, top - 0.7 * h), (w, top - 0.7 * h), (w, top)],
        "oval": [
            (0, top - 0.1 * h),
            (0, top - 0.75 * h),
            (0.55 * w, top - 0.7 * h),
            (0.72 * w, top - 0.4 * h),
            (0.55 * w, top - 0.1 * h),
        ],
    }
    loop = loops[face.grille]
    if loop[0][0] == 0:  # half an outline is mirrored over the middle line, so its corners there must not be rounded
        loop = [(-0.3, loop[0][1]), (-0.3, loop[1][1]), *loop[2:]]

    def level(p: Surface, inset: float) -> np.ndarray:
        return np.minimum(polygon(np.abs(p.y), p.z, loop, 0.02) - inset, np.minimum(ahead(p), 0.5 - p.station))

    def bars(p: Surface) -> np.ndarray:
        pitch = 0.062
        across = np.cos(p.z * 2 * np.pi / pitch), np.cos(p.y * 2 * np.pi / pitch)
        pattern = {"horizontal": across[0], "vertical": across[1], "mesh": np.maximum(*across) - 0.35}[face.grille_bars]
        return 0.014 * (pattern - 0.25)

    # Upright chrome bars would look like teeth: only lying ones are bright.
    bar_material = "chrome" if face.chrome and face.grille_bars == "horizontal" else "plastic"
    cutter.cut(lambda p: np.minimum(level(p, 0.018), bars(p)), bar_material, "grille")
    cutter.cut(lambda p: level(p, 0.018), "black", "grille")
    cutter.cut(lambda p: level(p, 0.0), "chrome" if face.surround else "gloss black", "grille")
