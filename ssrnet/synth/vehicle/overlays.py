"""Thin overlays on the body: ribbons (seams, mouldings) and printed patches (decals, stickers)."""

from __future__ import annotations

import numpy as np

from ssrnet.synth.mesh import Mesh, grid_faces
from ssrnet.synth.vehicle.body_field import BodyField


def ribbon(
    field: BodyField,
    line: list[tuple[float, float, float]],
    width: float,
    direction: tuple[float, float, float],
    material: str,
    part: str,
    offset: float = 0.002,
) -> Mesh | None:
    """A strip of ``width`` metres along ``line`` (points off the body), projected onto it along ``direction``.

    None where nothing of it hits the body.
    """
    points = np.asarray(line, float)
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    t = np.linspace(0, lengths[-1], max(3, int(lengths[-1] / 0.03)))
    dense = np.stack([np.interp(t, lengths, points[:, axis]) for axis in range(3)], 1)
    surface, normals, hit = field.project(dense, direction)
    across = np.cross(np.gradient(surface, axis=0), normals)
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    vertices = np.stack(
        [surface + normals * offset - across * width / 2, surface + normals * offset + across * width / 2], 1
    )
    # A jump between neighbours means that the line crosses a wheel well or leaves an edge.
    step = np.linalg.norm(np.diff(surface, axis=0), axis=1)
    whole = hit[:-1] & hit[1:] & (step < 0.12)
    cells = grid_faces(len(surface), 2).reshape(2, -1, 3)[:, whole].reshape(-1, 3)[:, ::-1]
    if not len(cells):
        return None
    return Mesh(vertices.reshape(-1, 3), cells, material, part, np.repeat(normals, 2, axis=0))


def patch(
    field: BodyField,
    center: np.ndarray,
    half_u: np.ndarray,
    half_v: np.ndarray,
    direction: tuple[float, float, float],
    picture: np.ndarray,
    material: str,
    part: str,
    offset: float = 0.004,
    pitch: float = 0.009,
) -> Mesh | None:
    """A printed rectangle projected onto the body along ``direction``; None where nothing of it hits the body.

    ``picture`` is (h, w, 4) in [0, 1], linear RGB and coverage; ``half_u`` points to the picture's
    right, ``half_v`` to its top. The print becomes vertex colours ``pitch`` metres apart, finer than a
    camera's pixel, so that one material serves every print; uncovered cells are left out.
    """
    columns = max(4, int(2 * np.linalg.norm(half_u) / pitch))
    rows = max(4, int(2 * np.linalg.norm(half_v) / pitch))
    coarse_r, coarse_c = max(4, rows // 5), max(4, columns // 5)
    v, u = np.meshgrid(np.linspace(1, -1, coarse_r), np.linspace(-1, 1, coarse_c), indexing="ij")
    points = center + u.reshape(-1, 1) * half_u + v.reshape(-1, 1) * half_v
    surface, normals, hit = field.project(points, direction)
    if not hit.any():
        return None
    fine = [resample(a.reshape(coarse_r, coarse_c, -1), rows, columns) for a in (surface, normals, hit[:, None] * 1.0)]
    colors = resample(picture, rows, columns)
    faces = grid_faces(rows, columns)
    shown = (fine[2].reshape(-1) > 0.99) & (colors[..., 3].reshape(-1) > 0.5)
    faces = faces[shown[faces].all(axis=1)]
    flat = (fine[0] + fine[1] * offset).reshape(-1, 3)
    edges = (
        np.linalg.norm(flat[faces] - flat[np.roll(faces, 1, axis=1)], axis=2).max(axis=1) if len(faces) else np.zeros(0)
    )
    faces = faces[edges < 0.08]
    if not len(faces):
        return None
    return Mesh(flat, faces, material, part, fine[1].reshape(-1, 3), colors[..., :3].reshape(-1, 3))


def resample(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Bilinear (area-averaged where it shrinks much) to (rows, columns, channels)."""
    h, w = array.shape[:2]
    if h >= 2 * rows and w >= 2 * columns:
        fy, fx = h // rows, w // columns
        array = array[: fy * rows, : fx * columns].reshape(rows, fy, columns, fx, -1).mean(axis=(1, 3))
        h, w = array.shape[:2]
    y, x = np.linspace(0, h - 1, rows), np.linspace(0, w - 1, columns)
    y0, x0 = np.minimum(y.astype(int), h - 2), np.minimum(x.astype(int), w - 2)
    ty, tx = (y - y0)[:, None, None], (x - x0)[None, :, None]
    a, b = array[y0][:, x0], array[y0][:, x0 + 1]
    c, d = array[y0 + 1][:, x0], array[y0 + 1][:, x0 + 1]
    return (a * (1 - tx) + b * tx) * (1 - ty) + (c * (1 - tx) + d * tx) * ty
