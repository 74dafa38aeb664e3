"""Materials as vertex attributes: linear reflectance, roughness, metalness, clear coat, and dirt on top.

One BSDF serves all opaque meshes and one all glass, so a new vehicle compiles no new kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import map_coordinates

from ssrnet.synth.mesh import Mesh, joined_faces, rotation
from ssrnet.synth.rng import stream
from ssrnet.synth.vehicle.part_names import PART_VALUES
from ssrnet.synth.vehicle.specs import IdentitySpec

GLASS = ("glass", "windscreen", "rear glass")
# name: (linear RGB, roughness, metallic, clear coat)
MATERIALS: dict[str, tuple[tuple[float, float, float], float, float, float]] = {
    "trim": ((0.012,) * 3, 0.28, 0.0, 0.0),
    "gloss black": ((0.008,) * 3, 0.12, 0.0, 1.0),
    "black": ((0.010,) * 3, 0.75, 0.0, 0.0),
    "plastic": ((0.028, 0.028, 0.030), 0.6, 0.0, 0.0),
    "seam": ((0.006,) * 3, 0.9, 0.0, 0.0),
    "lamp": ((0.62, 0.64, 0.66), 0.16, 0.6, 1.0),
    "lamp dark": ((0.035, 0.036, 0.040), 0.14, 0.3, 1.0),
    "lens": ((0.82, 0.84, 0.86), 0.10, 0.9, 1.0),
    "amber": ((0.62, 0.20, 0.02), 0.2, 0.0, 1.0),
    "tail": ((0.22, 0.006, 0.007), 0.14, 0.0, 1.0),
    "tail bright": ((0.42, 0.015, 0.012), 0.14, 0.0, 1.0),
    "tail clear": ((0.55, 0.50, 0.48), 0.16, 0.2, 1.0),
    "chrome": ((0.72,) * 3, 0.12, 1.0, 0.0),
    "rim": ((0.52, 0.52, 0.53), 0.30, 0.9, 0.0),
    "rim dark": ((0.035,) * 3, 0.25, 0.3, 0.6),
    "hubcap": ((0.42, 0.42, 0.43), 0.35, 0.4, 0.3),
    "steel": ((0.030,) * 3, 0.55, 0.2, 0.0),
    "brake": ((0.09, 0.085, 0.08), 0.5, 0.7, 0.0),
    "tyre": ((0.017, 0.017, 0.018), 0.85, 0.0, 0.0),
    "plate": ((0.003,) * 3, 0.7, 0.0, 0.0),
    "interior": ((0.030, 0.030, 0.032), 0.8, 0.0, 0.0),
    "skin": ((0.42, 0.27, 0.19), 0.6, 0.0, 0.0),
    "cloth": ((0.2, 0.2, 0.25), 0.9, 0.0, 0.0),
    "print": ((0.7, 0.7, 0.7), 0.45, 0.0, 0.2),
    "scratch": ((0.48, 0.47, 0.45), 0.7, 0.0, 0.0),
    "sunroof": ((0.008, 0.009, 0.010), 0.06, 0.0, 1.0),
    "wood": ((0.17, 0.13, 0.09), 0.9, 0.0, 0.0),
    "pole": ((0.25, 0.25, 0.255), 0.55, 0.3, 0.0),
    "leaf": ((0.055, 0.10, 0.030), 0.7, 0.0, 0.0),
    "concrete": ((0.27, 0.26, 0.245), 0.9, 0.0, 0.0),
    "white plastic": ((0.6, 0.6, 0.6), 0.5, 0.0, 0.0),
    "wall": ((0.4, 0.38, 0.35), 0.85, 0.0, 0.0),
    "window": ((0.02, 0.025, 0.03), 0.08, 0.0, 1.0),
}
DUSTY = frozenset(
    (
        "paint",
        "black",
        "plastic",
        "tyre",
        "rim",
        "rim dark",
        "hubcap",
        "steel",
        "cargo",
        "trim",
        "chrome",
        "tail",
        "print",
    )
)
DUST = np.array([0.23, 0.205, 0.17])


@dataclass(frozen=True, eq=False)
class Batch:
    """Merged meshes for one BSDF: float32 arrays with one row per vertex; ``parts`` has one label per face.

    ``clear`` is glass; a ``static`` batch is used again unmoved, so a renderer may keep it.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    color: np.ndarray
    surface: np.ndarray  # (n, 3): roughness, metallic, clear coat
    parts: np.ndarray
    clear: bool = False
    static: bool = False

    def posed(self, x: float, y: float, yaw: float) -> Batch:
        """Turned by ``yaw`` and moved to (x, y)."""
        turn = rotation(yaw).astype(np.float32)
        moved = self.vertices @ turn + np.array([x, y, 0.0], np.float32)
        return replace(self, vertices=moved, normals=self.normals @ turn, static=False)

    def labelled(self, part: str) -> Batch:
        """The same batch with ``part`` as the label of every face."""
        return replace(self, parts=np.full_like(self.parts, PART_VALUES[part]))


def batch(pieces: list[Mesh], identity: IdentitySpec | None = None, static: bool = False) -> list[Batch]:
    """``pieces`` merged into at most two batches, opaque and glass; ``identity`` gives paint, tint and dirt."""
    table = dict(MATERIALS)
    tint, dirt, seed = 0.6, 0.0, 0
    if identity is not None:
        paint = identity.paint
        table["paint"] = (paint.rgb, paint.roughness, paint.metallic, 1.0)
        table["seat"] = (identity.seat, 0.8, 0.0, 0.0)
        table["cargo"] = (identity.box_color, 0.4, 0.0, 0.3)
        if identity.rim_dark:
            table["rim"] = table["rim dark"]
        tint, dirt, seed = identity.tint, identity.dirt, identity.vehicle_id
    glass_color = {"glass": tint, "windscreen": 0.5 + 0.4 * tint, "rear glass": 0.55 * tint}
    opaque, clear = [], []
    for piece in pieces:
        if not len(piece.faces):
            continue
        mesh = piece.shaded()
        part = np.full(len(mesh.faces), PART_VALUES[piece.part], np.uint8)
        if piece.material in GLASS:
            color = np.tile(np.array([0.96, 1.0, 0.98]) * glass_color[piece.material], (len(mesh.vertices), 1))
            clear.append((mesh, color, np.zeros((len(mesh.vertices), 3)), part))
            continue
        rgb, *finish = table[piece.material]
        color = np.tile(rgb, (len(mesh.vertices), 1)) if mesh.colors is None else mesh.colors
        surface = np.tile(finish, (len(mesh.vertices), 1))
        if dirt and piece.material in DUSTY:
            color, surface = _dust(mesh, color, surface, dirt, seed)
        opaque.append((mesh, color, surface, part))
    merged = [_merge(opaque, False, static), _merge(clear, True, static)]
    return [one for one in merged if one is not None]


def _dust(mesh: Mesh, color: np.ndarray, surface: np.ndarray, dirt: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Road dust rises from the sills and settles on flat tops."""
    z = mesh.vertices[:, 2]
    cloud = 0.6 * _blotches(mesh.vertices, 3.1, seed) + 0.4 * _blotches(mesh.vertices, 11.0, seed + 1)
    low = np.exp(-np.maximum(z - 0.15, 0) / 0.26)
    flat = np.clip(mesh.normals[:, 2], 0, 1)
    share = np.clip(dirt * (1.0 * low * (0.35 + cloud) + 0.2 * flat * cloud + 0.08 * cloud), 0, 0.85)[:, None]
    color = color * (1 - share) + DUST * share
    clean = 1 - share
    return color, np.concatenate([surface[:, :1] * clean + 0.85 * share, surface[:, 1:] * clean], axis=1)


def _blotches(points: np.ndarray, frequency: float, seed: int) -> np.ndarray:
    """Smooth noise (n,) in [0, 1] at ``points``, ``frequency`` cells per metre."""
    grid = stream(seed, "dust").random((20, 20, 20)).astype(np.float32)
    return map_coordinates(grid, (points * frequency).T, order=1, mode="wrap")


def _merge(parts: list[tuple[Mesh, np.ndarray, np.ndarray, np.ndarray]], clear: bool, static: bool) -> Batch | None:
    if not parts:
        return None
    meshes = [mesh for mesh, *_ in parts]
    return Batch(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]).astype(np.float32),
        faces=joined_faces(meshes).astype(np.uint32),
        normals=np.concatenate([mesh.normals for mesh in meshes]).astype(np.float32),
        color=np.concatenate([color for _, color, _, _ in parts]).astype(np.float32),
        surface=np.concatenate([surface for _, _, surface, _ in parts]).astype(np.float32),
        parts=np.concatenate([part for *_, part in parts]),
        clear=clear,
        static=static,
    )
