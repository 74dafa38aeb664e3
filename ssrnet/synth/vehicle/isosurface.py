"""Meshes implicit solids: surface nets, then Newton steps onto the exact surface.

Surface nets give one vertex per crossed cell and one quad per crossed edge, so the mesh is closed and
oriented by construction; the Newton steps remove the grid's staircase.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

Field = Callable[[np.ndarray], np.ndarray]


def polygonise(
    field: Field, low: np.ndarray, high: np.ndarray, step: float, symmetric: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) and triangles (m, 3) of ``field`` = 0 (negative inside) within the box.

    ``field`` takes (..., 3) points. The box must enclose the solid, or the mesh has holes.
    ``symmetric`` says that the field does not change under y -> -y, which halves the work.
    """
    half = int(np.ceil(max(-low[1], high[1]) / step))
    x, z = (np.arange(low[i], high[i] + step, step) for i in (0, 2))
    y = step * np.arange(0 if symmetric else -half, half + 1)
    values = field(np.stack(np.meshgrid(x, y, z, indexing="ij"), -1))
    if symmetric:
        values = np.concatenate([values[:, :0:-1], values], axis=1)
    vertices, faces = _surface_nets(values)
    vertices = np.array([low[0], -half * step, low[2]]) + vertices * step
    return _newton(field, vertices, step), faces


def gradient(field: Field, points: np.ndarray, step: float = 0.004) -> np.ndarray:
    """Central differences, (n, 3)."""
    columns = []
    for axis in range(3):
        offset = np.zeros(3)
        offset[axis] = step
        columns.append((field(points + offset) - field(points - offset)) / (2 * step))
    return np.stack(columns, -1)


def normals_at(field: Field, points: np.ndarray) -> np.ndarray:
    """Outward unit normals (n, 3)."""
    slope = gradient(field, points)
    return slope / (np.linalg.norm(slope, axis=1, keepdims=True) + 1e-9)


def first_hit(
    field: Field, points: np.ndarray, direction: np.ndarray, reach: float, steps: int = 140
) -> tuple[np.ndarray, np.ndarray]:
    """(points where rays from ``points`` (n, 3) along ``direction`` first enter the solid, which rays do (n,) bool)."""
    points, direction = np.asarray(points, float), np.asarray(direction, float)
    t = np.linspace(0, reach, steps)
    values = field(points[:, None] + t[None, :, None] * direction.reshape(-1, 1, 3))
    inside = values < 0
    index = np.maximum(np.argmax(inside, axis=1), 1)
    rows = np.arange(len(points))
    before, after = values[rows, index - 1], values[rows, index]
    reached = t[index - 1] + (t[1] - t[0]) * np.clip(before / (before - after + 1e-12), 0, 1)
    return points + reached[:, None] * direction, inside.any(axis=1)


def _newton(field: Field, vertices: np.ndarray, step: float) -> np.ndarray:
    """``vertices`` moved onto the surface by two steps with one gradient, since it hardly turns within a cell."""
    slope = gradient(field, vertices)
    per_unit = -slope / np.maximum((slope**2).sum(axis=1, keepdims=True), 0.04)
    for _ in range(2):
        move = field(vertices)[:, None] * per_unit
        length = np.linalg.norm(move, axis=1, keepdims=True)
        vertices = vertices + move * np.minimum(1, 0.5 * step / (length + 1e-12))
    return vertices


def _surface_nets(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices in grid units and triangles, outward where ``values`` is positive."""
    inside = values < 0
    cells = tuple(n - 1 for n in values.shape)

    def corner(array: np.ndarray, offset: tuple[int, ...]) -> np.ndarray:
        return array[tuple(slice(o, o + n) for o, n in zip(offset, cells, strict=True))]

    count = sum(corner(inside, offset).astype(np.int8) for offset in product((0, 1), repeat=3))
    active = np.argwhere((count > 0) & (count < 8))
    index = np.full(cells, -1)
    index[tuple(active.T)] = np.arange(len(active))

    total, crossings = np.zeros((len(active), 3)), np.zeros(len(active))
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        for offsets in product((0, 1), repeat=2):
            start = active.copy()
            start[:, others] += offsets
            end = start.copy()
            end[:, axis] += 1
            a, b = values[tuple(start.T)], values[tuple(end.T)]
            crossed = (a < 0) != (b < 0)
            t = np.where(crossed, a / np.where(crossed, a - b, 1.0), 0.0)
            point = start.astype(float)
            point[:, axis] += t
            total += np.where(crossed[:, None], point, 0.0)
            crossings += crossed
    vertices = total / crossings[:, None]

    quads = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        edges = np.argwhere(inside[tuple(low)] != inside[tuple(high)])
        edges = edges[(edges[:, u] > 0) & (edges[:, v] > 0) & (edges[:, u] < cells[u]) & (edges[:, v] < cells[v])]
        ring = []
        for du, dv in ((1, 1), (0, 1), (0, 0), (1, 0)):
            cell = edges.copy()
            cell[:, u] -= du
            cell[:, v] -= dv
            ring.append(index[tuple(cell.T)])
        quad = np.stack(ring, 1)
        leaving = inside[tuple(edges.T)]
        quads.append(np.where(leaving[:, None], quad, quad[:, ::-1]))
    quads = np.concatenate(quads)
    # The shorter diagonal keeps lamp and window edges from zigzagging.
    first = np.linalg.norm(vertices[quads[:, 0]] - vertices[quads[:, 2]], axis=1)
    second = np.linalg.norm(vertices[quads[:, 1]] - vertices[quads[:, 3]], axis=1)
    turn = (second < first)[:, None]
    quads = np.where(turn, np.roll(quads, -1, axis=1), quads)
    return vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
