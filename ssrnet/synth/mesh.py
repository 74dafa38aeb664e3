"""Triangle meshes and the few solids the city is built from. Metres, z up, outward-oriented faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

MIRROR_Y = np.array([1.0, -1.0, 1.0])


def rotation(yaw: float) -> np.ndarray:
    """Matrix (3, 3) that turns row vectors about z by ``yaw`` radians, counter-clockwise seen from above."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Mesh:
    """One piece of one material.

    ``vertices`` (n, 3), ``faces`` (m, 3) counter-clockwise from outside, ``normals`` (n, 3) or None
    for flat shading, ``colors`` (n, 3) linear RGB or None for the material's color. ``part`` names the
    piece in a part mask (see :mod:`ssrnet.synth.vehicle.part_names`).
    """

    vertices: np.ndarray
    faces: np.ndarray
    material: str
    part: str
    normals: np.ndarray | None = None
    colors: np.ndarray | None = None

    def moved(self, offset: Sequence[float]) -> Mesh:
        """Translated by ``offset`` (3,)."""
        return replace(self, vertices=self.vertices + np.asarray(offset, float))

    def turned(self, yaw: float) -> Mesh:
        """Rotated about z by ``yaw`` radians, counter-clockwise seen from above."""
        turn = rotation(yaw)
        normals = None if self.normals is None else self.normals @ turn
        return replace(self, vertices=self.vertices @ turn, normals=normals)

    def tinted(self, color: Sequence[float]) -> Mesh:
        """In one linear RGB color instead of its material's."""
        return replace(self, colors=np.tile(color, (len(self.vertices), 1)))

    def mirrored(self) -> Mesh:
        """Reflected to the other side (y -> -y), with faces reversed so that they still face outward."""
        normals = None if self.normals is None else self.normals * MIRROR_Y
        return replace(self, vertices=self.vertices * MIRROR_Y, faces=self.faces[:, ::-1], normals=normals)

    def shaded(self) -> Mesh:
        """With a normal at every vertex; a flat mesh gets three vertices per face for that."""
        if self.normals is not None:
            return self
        corners = self.vertices[self.faces].reshape(-1, 3)
        normal = face_normals(corners, np.arange(len(corners)).reshape(-1, 3))
        colors = None if self.colors is None else self.colors[self.faces].reshape(-1, 3)
        return replace(
            self,
            vertices=corners,
            faces=np.arange(len(corners)).reshape(-1, 3),
            normals=np.repeat(normal, 3, axis=0),
            colors=colors,
        )


def face_crosses(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Outward vectors (m, 3), each twice as long as its face's area."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Outward unit normals (m, 3)."""
    normal = face_crosses(vertices, faces)
    return normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Signed volume by the divergence theorem: positive where a closed mesh faces outward."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def grid_faces(rows: int, columns: int, wrap_rows: bool = False) -> np.ndarray:
    """Two triangles per cell of a (rows, columns) vertex grid; ``wrap_rows`` joins the last row to the first."""
    i = np.arange(rows if wrap_rows else rows - 1)[:, None]
    j = np.arange(columns - 1)[None]
    below = (i + 1) % rows
    a, b, c, d = i * columns + j, below * columns + j, below * columns + j + 1, i * columns + j + 1
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def quad_faces(count: int) -> np.ndarray:
    """Two triangles for each of ``count`` quads whose corners are four vertices in a row."""
    base = 4 * np.arange(count)[:, None]
    return np.concatenate([base + [0, 1, 2], base + [0, 2, 3]])


def joined_faces(meshes: Sequence[Mesh]) -> np.ndarray:
    """Faces of all ``meshes``, numbered as if their vertices were concatenated."""
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)])


def box(
    center: Sequence[float], size: Sequence[float], material: str, part: str, pitch: float = 0.0, yaw: float = 0.0
) -> Mesh:
    """A closed box; ``pitch`` leans it about y, then ``yaw`` turns it about z (radians)."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float) * np.asarray(size) / 2
    c, s = np.cos(pitch), np.sin(pitch)
    corners = corners @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    quads = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    mesh = Mesh(corners, faces, material, part)
    return (mesh.turned(yaw) if yaw else mesh).moved(center)


def ellipsoid(
    center: Sequence[float], radii: Sequence[float], material: str, part: str, n: int = 14, square: float = 1.0
) -> Mesh:
    """A closed ellipsoid; ``square`` below 1 makes it boxier (a superellipsoid)."""
    polar, around = np.meshgrid(np.linspace(0, np.pi, n), np.linspace(0, 2 * np.pi, 2 * n, endpoint=False))
    unit = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1)
    shaped = np.sign(unit) * np.abs(unit) ** square
    normals = np.sign(unit) * np.abs(unit) ** (2 - square) / np.asarray(radii)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-9
    faces = grid_faces(2 * n, n, wrap_rows=True)[:, ::-1]
    vertices = shaped.reshape(-1, 3) * np.asarray(radii) + np.asarray(center)
    return Mesh(vertices, faces, material, part, normals.reshape(-1, 3))


def lathe(profile: Sequence[tuple[float, float]], material: str, part: str, n: int = 40, closed: bool = False) -> Mesh:
    """A profile of (radius, y) turned about the y axis; ``closed`` joins its last point to its first.

    A profile that starts and ends at radius 0, or is closed, gives a closed solid. It faces outward
    where the profile runs from small to large y along its outside.
    """
    points = np.asarray(list(profile) + ([profile[0]] if closed else []), float)
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)[:, None]
    radius, along = points[None, :, 0], np.broadcast_to(points[None, :, 1], (n, len(points)))
    vertices = np.stack([radius * np.sin(angle), along, radius * np.cos(angle)], -1).reshape(-1, 3)
    return Mesh(vertices, grid_faces(n, len(points), wrap_rows=True), material, part)


def upright(mesh: Mesh) -> Mesh:
    """A lathe's axis turned from y to z: poles, cones, tree trunks."""
    swap = mesh.vertices[:, [0, 2, 1]] * np.array([1.0, -1.0, 1.0])
    return replace(mesh, vertices=swap, normals=None)


def tube(path: np.ndarray, radius: float, material: str, part: str, sides: int = 8) -> Mesh:
    """A round bar along ``path`` (k, 3), capped at both ends."""
    path = np.asarray(path, float)
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    helper = np.where(np.abs(along[:, 2:3]) > 0.9, [[1.0, 0, 0]], [[0.0, 0, 1.0]])
    across = np.cross(along, helper)
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    up = np.cross(across, along)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)[None, :, None]
    rings = path[:, None] + radius * (across[:, None] * np.cos(angle) + up[:, None] * np.sin(angle))
    ends = np.repeat(path[[0, -1]][:, None], sides, axis=1)
    grid = np.concatenate([ends[:1], rings, ends[1:]]).transpose(1, 0, 2)  # (sides, k + 2, 3)
    faces = grid_faces(sides, len(path) + 2, wrap_rows=True)
    mesh = Mesh(grid.reshape(-1, 3), faces, material, part)
    return replace(mesh, faces=faces[:, ::-1]) if volume(mesh.vertices, faces) < 0 else mesh


def split(mesh: Mesh, level: np.ndarray) -> tuple[Mesh | None, Mesh | None]:
    """Cut along ``level`` = 0 (one value a vertex): the piece where it is positive, and the rest.

    New vertices lie on the cut with interpolated normals, so the two pieces still fit together.
    """
    positive = level[mesh.faces] > 0
    count = positive.sum(axis=1)
    inside, outside = [mesh.faces[count == 3]], [mesh.faces[count == 0]]
    vertices, normals = [mesh.vertices], [mesh.normals]
    total = len(mesh.vertices)
    for crossing, lone, pair in ((1, inside, outside), (2, outside, inside)):
        chosen = count == crossing
        triangles = mesh.faces[chosen]
        if not len(triangles):
            continue
        rows = np.arange(len(triangles))
        odd = np.argmax(positive[chosen] if crossing == 1 else ~positive[chosen], axis=1)
        a, b, c = (triangles[rows, (odd + k) % 3] for k in range(3))
        first, second = total + rows, total + len(rows) + rows
        for end in (b, c):
            t = (level[a] / (level[a] - level[end]))[:, None]
            vertices.append(mesh.vertices[a] * (1 - t) + mesh.vertices[end] * t)
            normals.append(mesh.normals[a] * (1 - t) + mesh.normals[end] * t)
        total += 2 * len(rows)
        lone.append(np.stack([a, first, second], 1))
        pair += [np.stack([first, b, c], 1), np.stack([first, c, second], 1)]
    all_vertices, all_normals = np.concatenate(vertices), np.concatenate(normals)
    whole = [np.concatenate(faces) for faces in (inside, outside)]
    pieces = [replace(mesh, vertices=all_vertices, normals=all_normals, faces=faces) for faces in whole]
    return tuple(compact(piece) if len(piece.faces) else None for piece in pieces)


def quartered(mesh: Mesh, chosen: np.ndarray) -> Mesh:
    """Faces ``chosen`` (m,) cut into four. New vertices stay on the old edges, so no gap opens."""
    a, b, c = mesh.faces[chosen].T
    edges = np.sort(np.concatenate([np.stack(pair, 1) for pair in ((a, b), (b, c), (c, a))]), axis=1)
    edges, index = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = (len(mesh.vertices) + index.reshape(-1)).reshape(3, -1)
    normals = mesh.normals[edges].sum(axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    quarters = [np.stack(corners, 1) for corners in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    return replace(
        mesh,
        vertices=np.concatenate([mesh.vertices, mesh.vertices[edges].mean(axis=1)]),
        normals=np.concatenate([mesh.normals, normals]),
        faces=np.concatenate([mesh.faces[~chosen], *quarters]),
    )


def compact(mesh: Mesh) -> Mesh:
    """Without the vertices that no face uses."""
    used, index = np.unique(mesh.faces, return_inverse=True)
    return replace(
        mesh,
        vertices=mesh.vertices[used],
        faces=index.reshape(-1, 3),
        normals=None if mesh.normals is None else mesh.normals[used],
        colors=None if mesh.colors is None else mesh.colors[used],
    )
