"""The first surface behind each pixel: part labels, occlusion, and the albedo and normal that guide the denoiser."""

from __future__ import annotations

import numpy as np

from ssrnet.synth.camera.view import View
from ssrnet.synth.render.materials import Batch
from ssrnet.synth.render.stage import Ground
from ssrnet.synth.vehicle.part_names import FIRST_MARK, OCCLUDER

Rays = tuple[np.ndarray, np.ndarray]  # one origin (3,), directions (n, 3)

RAY_BLOCK = 1 << 16
DEEPEST = 12  # most surfaces that may lie before the vehicle; a plant has several leaves in a row


def device_rays(mi, origin: np.ndarray, toward: np.ndarray):
    """Rays in Mitsuba's arrays, padded to whole blocks; ``origin`` (3,) or (n, 3).

    Two properties of an array are compiled into the kernel that reads it, half a second each time:
    its length, and how its memory is aligned (numpy's is used in place). So we pad to a few lengths
    with rays that leave for the sky at once, and put each component on a 64-byte boundary.
    """
    size = -(-len(toward) // RAY_BLOCK) * RAY_BLOCK

    def column(values: np.ndarray, padding: float):
        room = np.empty(size + 16, np.float32)
        start = (-room.ctypes.data % 64) // 4
        room[start : start + len(values)] = values
        room[start + len(values) : start + size] = padding
        return mi.Float(room[start : start + size])

    starts = np.broadcast_to(origin, toward.shape)
    away = ((0.0, 0.0), (0.0, 0.0), (400.0, 1.0))
    return mi.Ray3f(
        mi.Point3f(*(column(starts[:, i], away[i][0]) for i in range(3))),
        mi.Vector3f(*(column(toward[:, i], away[i][1]) for i in range(3))),
    )


class FirstHits:
    """Casts rays into a scene; ``meshes`` are its shapes with their batches."""

    def __init__(self, mi, scene, meshes: list[tuple[object, Batch]], ground: Ground) -> None:
        self.mi, self.scene, self.meshes, self.ground = mi, scene, meshes, ground

    def labels(self, rays: Rays, view: View, vehicle: int) -> tuple[np.ndarray, np.ndarray]:
        """(part labels, whether the vehicle is there, hidden or not), both (h, w), from one ray per pixel.

        The vehicle is the first ``vehicle`` meshes.
        """
        origin, toward = rays
        point, which, face, _, valid = self._cast(origin, toward)
        parts = self._parts(which, face)
        self._show_marks_behind_glass(parts, which, point, toward)
        whole = (which >= 0) & (which < vehicle)
        vertices = (
            np.concatenate([batch.vertices for _, batch in self.meshes[:vehicle]]) if vehicle else np.zeros((0, 3))
        )
        behind = valid & ~whole & self._before(point, toward, origin, vertices, view)
        for _ in range(DEEPEST):
            left = np.flatnonzero(behind)
            if not len(left):
                break
            point[left], which[left], _, _, valid[left] = self._cast(point[left] + 1e-3 * toward[left], toward[left])
            whole[left] = (which[left] >= 0) & (which[left] < vehicle)
            behind[left] = valid[left] & ~whole[left] & (which[left] >= 0)  # nothing lies under the road
        shape = (view.height, view.width)
        return parts.reshape(shape), whole.reshape(shape)

    def _show_marks_behind_glass(
        self, parts: np.ndarray, which: np.ndarray, point: np.ndarray, toward: np.ndarray
    ) -> None:
        """Relabels, in place, glass through which a mark is seen, such as an ornament behind the windscreen."""
        panes = [index for index, (_, batch) in enumerate(self.meshes) if batch.clear]
        glass = np.flatnonzero(np.isin(which, panes))
        if not len(glass):
            return
        _, behind, face, _, _ = self._cast(point[glass] + 1e-3 * toward[glass], toward[glass])
        names = self._parts(behind, face)
        marks = (names >= FIRST_MARK) & (names < OCCLUDER)
        parts[glass[marks]] = names[marks]

    @staticmethod
    def _before(
        point: np.ndarray, toward: np.ndarray, origin: np.ndarray, vertices: np.ndarray, view: View
    ) -> np.ndarray:
        """Whether a ray's hit lies nearer than the vehicle's far side and inside its bounding box in the image."""
        if not len(vertices):
            return np.zeros(len(point), bool)
        image = view.project(vertices)
        at = view.project(origin + toward)
        inside = ((at >= image.min(axis=0)) & (at <= image.max(axis=0))).all(axis=1)
        reach = np.linalg.norm(vertices - origin, axis=1).max()
        return inside & (np.linalg.norm(point - origin, axis=1) < reach)

    def guides(self, rays: Rays, view: View, samples: int = 4) -> tuple[np.ndarray, np.ndarray]:
        """(albedo, normal) averaged over a pixel's rays, through glass to what is behind."""
        origin, toward = rays
        point, which, face, normal, valid = self._cast(origin, toward)
        albedo = self._albedo(point, which, face, valid)
        glass = np.zeros(len(which), bool)
        for index, (_, batch) in enumerate(self.meshes):
            glass |= (which == index) & batch.clear
        if glass.any():
            # A window shows what lies behind it; the pane only dims it.
            inside = self._cast(point[glass] + 1e-3 * toward[glass], toward[glass])
            albedo[glass] = 0.5 * self._albedo(inside[0], inside[1], inside[2], inside[4])
        shape = (view.height, view.width, samples)
        return (
            np.ascontiguousarray(np.clip(albedo, 0, 1).reshape(*shape, 3).mean(axis=2), dtype=np.float32),
            np.ascontiguousarray(normal.reshape(*shape, 3).mean(axis=2), dtype=np.float32),
        )

    def _cast(self, origin: np.ndarray, toward: np.ndarray):
        """(point, mesh index or -1, face, normal, valid) of each ray."""
        mi = self.mi
        if "scalar" in mi.variant():
            return self._cast_slowly(origin, toward)
        import drjit as dr

        ray = device_rays(mi, origin, toward)
        hit = self.scene.ray_intersect_preliminary(ray, coherent=True)
        surface = hit.compute_surface_interaction(ray)
        count = len(toward)
        valid = np.array(hit.is_valid())[:count]
        which = np.full(len(toward), -1)
        # Compared as numbers in numpy: a pointer in a kernel would be a literal, compiled anew for every mesh.
        shape = np.array(dr.reinterpret_array(mi.UInt32, hit.shape))[:count]
        numbers = np.array(dr.reinterpret_array(mi.UInt32, self.scene.shapes_dr()))
        for number, scene_shape in zip(numbers, self.scene.shapes(), strict=True):
            index = next((i for i, (mesh, _) in enumerate(self.meshes) if mesh is scene_shape), -1)
            which[(shape == number) & valid] = index
        normal = np.where(valid[:, None], np.array(surface.n).T[:count], 0)
        return np.array(surface.p).T[:count], which, np.array(hit.prim_index)[:count], normal, valid

    def _cast_slowly(self, origin: np.ndarray, toward: np.ndarray):
        mi = self.mi
        starts = np.broadcast_to(origin, toward.shape)
        point, normal = np.zeros(toward.shape), np.zeros(toward.shape)
        which, face, valid = np.full(len(toward), -1), np.zeros(len(toward), int), np.zeros(len(toward), bool)
        for k in range(len(toward)):
            hit = self.scene.ray_intersect(mi.Ray3f(mi.Point3f(starts[k].tolist()), mi.Vector3f(toward[k].tolist())))
            if hit.is_valid():
                valid[k], point[k], normal[k], face[k] = True, np.array(hit.p), np.array(hit.n), hit.prim_index
                which[k] = next((i for i, (mesh, _) in enumerate(self.meshes) if hit.shape == mesh), -1)
        return point, which, face, normal, valid

    def _parts(self, which: np.ndarray, face: np.ndarray) -> np.ndarray:
        parts = np.zeros(len(which), np.uint8)
        for index, (_, batch) in enumerate(self.meshes):
            mine = which == index
            parts[mine] = batch.parts[face[mine]]
        return parts

    def _albedo(self, point: np.ndarray, which: np.ndarray, face: np.ndarray, valid: np.ndarray) -> np.ndarray:
        albedo = np.full((len(which), 3), 0.2, np.float32)
        for index, (_, batch) in enumerate(self.meshes):
            mine = which == index
            albedo[mine] = batch.color[batch.faces[face[mine], 0]]
        texture, half = self.ground.texture, self.ground.half_extent
        road = valid & (which < 0) & (np.abs(point[:, :2]).max(axis=1) < half)
        size = texture.shape[0]
        column = np.clip(((point[road, 0] / half + 1) / 2 * size).astype(int), 0, size - 1)
        row = np.clip(((1 - point[road, 1] / half) / 2 * size).astype(int), 0, size - 1)
        albedo[road] = texture[row, column] / 255.0 * self.ground.tone
        return albedo
