"""The roadside: pavements, buildings, trees, rails, and the posts and plants that hide a part of a vehicle."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from ssrnet.synth.camera.cameras import FixedCamera
from ssrnet.synth.mesh import Mesh, box, grid_faces, lathe, quad_faces, tube, upright
from ssrnet.synth.rng import stream

REACH = 32.0  # metres of roadside on each side of the capture point


def site_scenery(site: FixedCamera) -> list[Mesh]:
    """The fixed surroundings of one camera, the same in every photograph."""
    rng = stream(site.town, "scenery", site.number)
    edge = max(abs(lane) for lane, _ in site.lanes) + 2.2
    pieces: list[Mesh] = []
    for side in (1, -1):
        if site.style == "highway":
            pieces += _guard_rail(side * (edge + 0.5), "rim" if site.number % 2 else "pole")
            pieces += _verge(side, edge + 1.2, rng)
        elif site.style == "bridge":
            pieces += _parapet(side * (edge + 0.7))
        elif site.style == "gate":
            pieces += _pavement(side, edge + 1.2, 3.0, rng)
            pieces += _fence(side * (edge + 4.2))
        else:
            pieces += _pavement(side, edge, 3.6, rng)
            if site.style == "avenue":
                pieces += [
                    piece
                    for k in range(7)
                    for piece in _tree((-21 + 7 * k + rng.uniform(-1, 1), side * (edge + 1.4)), rng)
                ]
            pieces += _buildings(side, edge + 4.5 + rng.uniform(0, 2), rng)
        if site.style != "gate":
            pieces += [_lamp_post((x, side * (edge + 0.8))) for x in (-24.0, 14.0 + 2 * side)]
    if site.style == "crossing":
        pieces += _traffic_light((8.4, -(edge + 0.6)))
    if site.style == "street":
        pieces += [piece for k in range(3) for piece in _bollard((-9 + 6 * k, -(edge + 0.4)))]
    return [piece for piece in pieces if not _in_the_way(piece, site.position)]


def _in_the_way(piece: Mesh, eye: np.ndarray) -> bool:
    """Whether ``piece`` blocks the view from ``eye``, as a house around the camera's pole would."""
    low, high = piece.vertices.min(axis=0) - 0.8, piece.vertices.max(axis=0) + 0.8
    if high[2] < 1.9:
        return False
    for target in ((-5.0, 0.0, 0.8), (0.0, 0.0, 0.8), (5.0, 0.0, 0.8), (0.0, 3.5, 0.8), (0.0, -3.5, 0.8)):
        t = np.linspace(0, 0.85, 40)[:, None]
        sight = eye * (1 - t) + np.array(target) * t
        if ((sight > low) & (sight < high)).all(axis=1).any():
            return True
    return False


def _pavement(side: int, edge: float, width: float, rng: np.random.Generator) -> list[Mesh]:
    """Kerb and slabs; slabs differ in tone."""
    kerb = box((0, side * (edge + 0.09), 0.05), (2 * REACH, 0.18, 0.14), "concrete", "background")
    xs, ys = np.arange(-REACH, REACH, 0.6), np.arange(edge + 0.18, edge + 0.18 + width, 0.6)
    x, y = (a.ravel() for a in np.meshgrid(xs, ys))
    corners = np.stack(
        [
            np.stack([x + dx, side * (y + dy), np.full_like(x, 0.115)], 1)
            for dx, dy in ((0.01, 0.01), (0.59, 0.01), (0.59, 0.59), (0.01, 0.59))
        ],
        1,
    )
    faces = quad_faces(len(x))
    tone = rng.uniform(0.16, 0.34) * (1 + rng.normal(0, 0.06, (len(x), 1))) * np.array([1.0, 0.97, 0.92])
    slabs = Mesh(
        corners.reshape(-1, 3),
        faces if side > 0 else faces[:, ::-1],
        "concrete",
        "background",
        np.tile([0, 0, 1.0], (4 * len(x), 1)),
        np.repeat(tone, 4, axis=0),
    )
    bed = box((0, side * (edge + 0.18 + width / 2), 0.05), (2 * REACH, width, 0.12), "black", "background")
    return [kerb, bed, slabs]


def _buildings(side: int, start: float, rng: np.random.Generator) -> list[Mesh]:
    pieces, x = [], -REACH - 4
    while x < REACH + 4:
        width, height, depth = rng.uniform(9, 20), rng.uniform(6, 22), 9.0
        wall = rng.uniform(0.18, 0.55) * np.array([1, rng.uniform(0.85, 1), rng.uniform(0.68, 0.98)])
        block = box(
            (x + width / 2, side * (start + depth / 2), height / 2), (width, depth, height), "wall", "background"
        )
        pieces.append(block.tinted(wall))
        pitch_x, pitch_z = rng.uniform(1.8, 3.0), rng.uniform(2.8, 3.4)
        for wx in np.arange(x + 1.1, x + width - 0.8, pitch_x):
            pieces.append(box((wx, side * (start - 0.01), 1.5), (0.8 * pitch_x, 0.08, 2.3), "window", "background"))
            for wz in np.arange(4.6, height - 1, pitch_z):
                pieces.append(box((wx, side * (start - 0.01), wz), (0.55 * pitch_x, 0.06, 1.5), "window", "background"))
        if rng.random() < 0.7:  # a shop's awning
            dye = rng.uniform(0.05, 0.4, 3)
            color = 0.45 * dye + 0.55 * dye.mean()  # faded by the sun
            awning = box((x + width / 2, side * (start - 0.6), 3.1), (0.8 * width, 1.2, 0.4), "wall", "background")
            pieces.append(awning.tinted(color))
        x += width + (rng.uniform(1, 5) if rng.random() < 0.4 else 0.02)
    return pieces


def leaves(
    centers: np.ndarray, spread: float, count: int, size: float, rng: np.random.Generator, label: str = "background"
) -> Mesh:
    """Leaf quads scattered around ``centers`` (n, 3), ``count`` each; visible from both sides, not a closed solid."""
    where = np.repeat(centers, count, axis=0) + rng.normal(0, 0.6 * spread, (len(centers) * count, 3))
    where[:, 2] = np.maximum(where[:, 2], 0.05)
    a = rng.normal(size=where.shape)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(a, rng.normal(size=where.shape))
    b /= np.linalg.norm(b, axis=1, keepdims=True) + 1e-9
    s = size * rng.uniform(0.5, 1.3, (len(where), 1))
    vertices = np.stack([where - a * s, where + 0.6 * b * s, where + a * s, where - 0.6 * b * s], 1).reshape(-1, 3)
    normal = np.cross(a, b)
    normal *= np.sign(normal[:, 2:3] + 1e-6)
    tone = np.array([0.05, 0.095, 0.028]) * rng.uniform(0.5, 1.5, (len(where), 1))
    return Mesh(
        vertices, quad_faces(len(where)), "leaf", label, np.repeat(normal, 4, axis=0), np.repeat(tone, 4, axis=0)
    )


def _tree(at: tuple[float, float], rng: np.random.Generator) -> list[Mesh]:
    x, y = at
    trunk = tube(
        np.array([[x, y, 0], [x + 0.05, y, 1.5], [x, y + 0.1, 3.4]]), rng.uniform(0.10, 0.17), "wood", "background", 8
    )
    center = np.array([x, y, rng.uniform(4.4, 5.4)])
    return [trunk, leaves(center + rng.normal(0, 0.9, (26, 3)), 0.7, 60, 0.17, rng)]


def _verge(side: int, start: float, rng: np.random.Generator) -> list[Mesh]:
    """Grass and shrubs behind a motorway's rail."""
    grass = _patchwork(side, start, 18.0, rng.uniform(0.5, 1.0) * np.array([0.060, 0.068, 0.036]), rng)
    n = 60
    centers = np.stack(
        [rng.uniform(-REACH, REACH, n), side * (start + rng.uniform(0.8, 6, n)), rng.uniform(0.2, 0.9, n)], 1
    )
    return [grass, leaves(centers, 0.45, 60, 0.11, rng)]


def _patchwork(side: int, start: float, width: float, tone: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Rough ground: a grid whose corners differ in tone and height, so that it does not look flat."""
    xs, ys = np.arange(-REACH, REACH + 0.1, 0.8), start + np.linspace(0, width, 24)
    x, y = np.meshgrid(xs, side * ys, indexing="ij")
    blotch = gaussian_filter(rng.normal(0, 1, x.shape), 1.5) * 0.9 + rng.normal(0, 0.22, x.shape)
    dry = np.clip(0.5 * blotch, 0, 1)[..., None]
    colors = tone * np.clip(1 + 0.5 * blotch, 0.4, 2.0)[..., None] * (1 - dry) + np.array([0.10, 0.088, 0.055]) * dry
    height = 0.03 + 0.012 * np.clip(rng.normal(0, 1, x.shape), -1, 2)
    faces = grid_faces(*x.shape)
    vertices = np.stack([x, y, height], -1).reshape(-1, 3)
    up = np.tile([0, 0, 1.0], (x.size, 1))  # any tilt would turn black where a low camera sees it from behind
    return Mesh(vertices, faces if side > 0 else faces[:, ::-1], "leaf", "background", up, colors.reshape(-1, 3))


def _guard_rail(y: float, material: str) -> list[Mesh]:
    rails = [box((0, y, z), (2 * REACH, 0.05, 0.12), material, "background") for z in (0.52, 0.70)]
    return rails + [
        box((x, y, 0.35), (0.09, 0.10, 0.75), material, "background") for x in np.arange(-REACH, REACH, 2.0)
    ]


def _parapet(y: float) -> list[Mesh]:
    base = box((0, y, 0.35), (2 * REACH, 0.28, 0.7), "concrete", "background")
    rail = tube(np.array([[-REACH, y, 1.15], [REACH, y, 1.15]]), 0.05, "pole", "background")
    return [
        base,
        rail,
        *(box((x, y, 0.9), (0.06, 0.06, 0.5), "pole", "background") for x in np.arange(-REACH, REACH, 1.5)),
    ]


def _fence(y: float) -> list[Mesh]:
    bars = [box((x, y, 1.0), (0.04, 0.04, 2.0), "steel", "background") for x in np.arange(-14, 14, 0.22)]
    return [
        *bars,
        *(box((0, y, z), (28, 0.05, 0.06), "steel", "background") for z in (0.2, 1.8)),
        box((6.0, y * 0.96, 1.3), (2.2, 2.2, 2.6), "wall", "background"),
    ]


def _lamp_post(at: tuple[float, float]) -> Mesh:
    x, y = at
    return tube(
        np.array([[x, y, 0], [x, y, 7.0], [x, y * 0.9, 7.9], [x, y * 0.72, 8.1]]), 0.07, "pole", "background", 8
    )


def _traffic_light(at: tuple[float, float]) -> list[Mesh]:
    x, y = at
    return [
        tube(np.array([[x, y, 0], [x, y, 3.4]]), 0.06, "pole", "background"),
        box((x, y, 3.1), (0.22, 0.3, 0.9), "black", "background"),
    ]


def _bollard(at: tuple[float, float]) -> list[Mesh]:
    return [
        upright(lathe([(0.0, 0.0), (0.07, 0.0), (0.07, 0.8), (0.0, 0.85)], "steel", "background", 12)).moved((*at, 0.1))
    ]


def pole_between(site: FixedCamera, vehicle: np.ndarray, rng: np.random.Generator) -> list[Mesh]:
    """A lamp or sign post between the lens and the vehicle."""
    toward = site.position[:2] - vehicle[:2]
    across = np.array([-toward[1], toward[0]]) / np.linalg.norm(toward)
    at = vehicle[:2] + toward * rng.uniform(0.22, 0.45) + across * rng.uniform(-1.3, 1.3)
    path = np.array([[*at, 0.0], [*at, 7.5]])
    return [tube(path, rng.uniform(0.03, 0.07), str(rng.choice(["pole", "steel"])), "occluder", 10)]


def plant_between(site: FixedCamera, vehicle: np.ndarray, rng: np.random.Generator) -> list[Mesh]:
    """A twig near the lens or a shrub at the kerb that covers a corner of the vehicle."""
    toward = site.position - np.array([*vehicle[:2], 0.7])
    flat = np.array([-toward[1], toward[0], 0.0]) / np.linalg.norm(toward[:2])
    at = (
        np.array([*vehicle[:2], 0.5])
        + toward * rng.uniform(0.2, 0.4)
        + flat * rng.choice([-1, 1]) * rng.uniform(1.0, 1.9)
    )
    return [leaves(at + rng.normal(0, 0.22, (10, 3)), 0.3, 70, 0.045, rng, "occluder")]


def shade_tree(sun: np.ndarray, vehicle: np.ndarray, rng: np.random.Generator) -> list[Mesh]:
    """A crown between the sun and the vehicle: dappled shadow."""
    center = np.array([*vehicle[:2], 0.8]) + sun * rng.uniform(9, 13) + np.array([*rng.uniform(-2.5, 2.5, 2), 0])
    return [leaves(center + rng.normal(0, 1.2, (50, 3)), 0.55, 70, 0.17, rng)]
