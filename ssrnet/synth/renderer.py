"""Path tracing with Mitsuba 3: a stage in, linear radiance and part labels out.

The rays are ours rather than a Mitsuba sensor's: a film's size is compiled into the kernel
(0.4 s for every new crop size), a ray buffer's length is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssrnet.synth.materials import Batch
from ssrnet.synth.mitsuba_setup import load_mitsuba
from ssrnet.synth.view import View

MAX_RADIANCE = 30.0  # fireflies above this would leave stars after denoising


@dataclass(frozen=True)
class PointLight:
    position: tuple[float, float, float]
    intensity: tuple[float, float, float]


@dataclass(frozen=True)
class Stage:
    """Everything one exposure sees. ``vehicle`` and ``rest`` are (opaque, glass) batches.

    ``glow`` holds emissive (vertices, faces, radiance); ``road`` is (texture (h, w, 3), half length,
    half width, yaw, roughness, specular) of the textured ground around the origin.
    """

    vehicle: tuple[Batch | None, Batch | None]
    rest: tuple[Batch | None, Batch | None]
    environment: np.ndarray
    sun: tuple[np.ndarray, np.ndarray] | None  # towards it, irradiance
    lights: tuple[PointLight, ...]
    glow: tuple[tuple[np.ndarray, np.ndarray, tuple[float, float, float]], ...]
    road: tuple[np.ndarray, float, float, float]  # texture, half extent (m), roughness, specular


@dataclass(frozen=True)
class Exposure:
    """``radiance`` (h, w, 3) linear; ``parts`` (h, w) labels; ``alone`` the vehicle's labels without the rest."""

    radiance: np.ndarray
    parts: np.ndarray
    alone: np.ndarray


class Renderer:
    """Holds what every stage shares: the module, its materials, the denoiser."""

    def __init__(self, threads: int = 1) -> None:
        self.mi = load_mitsuba()
        import drjit

        self.dr = drjit
        if "llvm" in self.mi.variant():
            drjit.set_thread_count(threads)
        mi = self.mi
        self.opaque = mi.load_dict(
            {
                "type": "twosided",
                "inner": {
                    "type": "principled",
                    "base_color": _attribute("color"),
                    "roughness": _attribute("roughness"),
                    "metallic": _attribute("metallic"),
                    "clearcoat": _attribute("coat"),
                    "clearcoat_gloss": 0.97,
                    "specular": 0.5,
                },
            }
        )
        self.clear = mi.load_dict({"type": "thindielectric", "specular_transmittance": _attribute("color")})

    def render(self, stage: Stage, view: View, samples: int, seed: int, denoise: bool = True) -> Exposure:
        """One exposure; the same arguments give the same pixels on one machine."""
        mi, dr = self.mi, self.dr
        rng = np.random.Generator(np.random.PCG64(seed))
        shapes, scene = self._scene(stage)
        pixels = view.width * view.height
        if "scalar" in mi.variant():
            raise NotImplementedError
        rays = self._rays(view, samples, rng)
        sampler = mi.load_dict({"type": "independent"})
        sampler.seed(seed & 0x7FFFFFFF, pixels * samples)
        integrator = mi.load_dict({"type": "path", "max_depth": 6, "rr_depth": 4})
        light, _, _ = integrator.sample(scene, sampler, rays)
        light = np.minimum(np.array(light).T.reshape(view.height, view.width, samples, 3), MAX_RADIANCE)
        radiance = np.ascontiguousarray(np.nan_to_num(light).mean(axis=2), dtype=np.float32)
        guide = self._guides(scene, shapes, stage, view, rng)
        alone = self._alone(shapes, stage, view)
        if denoise:
            import mitsuba_oidn

            radiance = np.asarray(
                mitsuba_oidn.denoise(radiance, albedo=guide[0], normal=guide[1], hdr=True), np.float32
            )
        del scene
        dr.flush_malloc_cache if False else None
        return Exposure(radiance, guide[2], alone)

    def _rays(self, view: View, samples: int, rng: np.random.Generator):
        mi = self.mi
        toward = view.directions(samples, rng).astype(np.float32)
        origin = mi.Point3f(*(mi.Float(np.full(len(toward), x, np.float32)) for x in view.origin))
        return mi.RayDifferential3f(mi.Ray3f(origin, mi.Vector3f(np.ascontiguousarray(toward.T))))

    def _scene(self, stage: Stage):
        mi = self.mi
        transform = mi.ScalarTransform4f
        scene = {
            "type": "scene",
            "env": {
                "type": "envmap",
                "bitmap": mi.Bitmap(np.ascontiguousarray(stage.environment[:, ::-1])),
                "to_world": transform().rotate([1, 0, 0], 90),
            },
        }
        if stage.sun is not None:
            toward, irradiance = stage.sun
            scene["sun"] = {"type": "directional", "direction": [-float(x) for x in toward], "irradiance": _rgb(irradiance)}
        for i, light in enumerate(stage.lights):
            scene[f"light{i}"] = {"type": "point", "position": list(map(float, light.position)), "intensity": _rgb(light.intensity)}
        texture, half, roughness, specular = stage.road
        scene["road"] = {
            "type": "rectangle",
            "to_world": transform().scale([half, half, 1]),
            "bsdf": {
                "type": "principled",
                "base_color": {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(texture)), "raw": True},
                "roughness": float(roughness),
                "specular": float(specular),
            },
        }
        scene["far"] = {
            "type": "rectangle",
            "to_world": transform().translate([0, 0, -0.02]).scale([500, 500, 1]),
            "bsdf": {"type": "diffuse", "reflectance": _rgb((0.17, 0.17, 0.16))},
        }
        shapes = {}
        for name, batch, bsdf in (
            ("vehicle", stage.vehicle[0], self.opaque), ("vehicle glass", stage.vehicle[1], self.clear),
            ("rest", stage.rest[0], self.opaque), ("rest glass", stage.rest[1], self.clear),
        ):  # fmt: skip
            if batch is not None:
                shapes[name] = (self._mesh(name, batch, bsdf), batch)
                scene[name.replace(" ", "_")] = shapes[name][0]
        for i, (vertices, faces, radiance) in enumerate(stage.glow):
            scene[f"glow{i}"] = self._lamp(vertices, faces, radiance)
        return shapes, mi.load_dict(scene)

    def _mesh(self, name: str, batch: Batch, bsdf):
        mi = self.mi
        props = mi.Properties()
        props["bsdf"] = bsdf
        mesh = mi.Mesh(name, len(batch.vertices), len(batch.faces), has_vertex_normals=True, has_vertex_texcoords=False, props=props)
        mesh.add_attribute("vertex_color", 3, mi.Float(batch.color.ravel()))
        for column, attribute in enumerate(("roughness", "metallic", "coat")):
            mesh.add_attribute(f"vertex_{attribute}", 1, mi.Float(np.ascontiguousarray(batch.surface[:, column])))
        params = mi.traverse(mesh)
        params["vertex_positions"] = mi.Float(batch.vertices.ravel())
        params["faces"] = mi.UInt32(batch.faces.ravel())
        params["vertex_normals"] = mi.Float(batch.normals.ravel())
        params.update()
        return mesh

    def _lamp(self, vertices: np.ndarray, faces: np.ndarray, radiance: tuple[float, float, float]):
        mi = self.mi
        props = mi.Properties()
        props["bsdf"] = mi.load_dict({"type": "diffuse", "reflectance": _rgb((0.2, 0.2, 0.2))})
        props["emitter"] = mi.load_dict({"type": "area", "radiance": _rgb(radiance)})
        mesh = mi.Mesh("glow", len(vertices), len(faces), has_vertex_normals=False, has_vertex_texcoords=False, props=props)
        params = mi.traverse(mesh)
        params["vertex_positions"] = mi.Float(np.ascontiguousarray(vertices, np.float32).ravel())
        params["faces"] = mi.UInt32(np.ascontiguousarray(faces, np.uint32).ravel())
        params.update()
        return mesh

    def _guides(self, scene, shapes, stage: Stage, view: View, rng: np.random.Generator):
        """Albedo and normal of the first opaque hit (through glass), four rays a pixel, and part labels."""
        samples = 4
        rays = self._rays(view, samples, rng)
        hit = scene.ray_intersect(rays)
        count = view.width * view.height * samples
        albedo, normal = np.full((count, 3), 0.2, np.float32), np.zeros((count, 3), np.float32)
        parts = np.zeros(count, np.uint8)
        through = np.ones((count, 1), np.float32)
        glass = self._read(hit, shapes, stage, albedo, normal, parts, first=True)
        if glass.any():
            again = scene.ray_intersect(hit.spawn_ray(rays.d))
            inner_albedo, inner_normal = albedo.copy(), normal.copy()
            self._read(again, shapes, stage, inner_albedo, inner_normal, parts.copy(), first=False)
            albedo = np.where(glass[:, None], inner_albedo * 0.5, albedo)
        albedo = (albedo * through).reshape(view.height, view.width, samples, 3).mean(axis=2)
        normal = normal.reshape(view.height, view.width, samples, 3).mean(axis=2)
        labels = parts.reshape(view.height, view.width, samples)
        return np.ascontiguousarray(np.clip(albedo, 0, 1)), np.ascontiguousarray(normal), labels[:, :, 0].copy()

    def _read(self, hit, shapes, stage: Stage, albedo, normal, parts, first: bool) -> np.ndarray:
        """Fills the arrays from one hit a ray; says which rays met glass."""
        mi = self.mi
        normal[:] = np.array(hit.sh_frame.n).T
        valid = np.array(hit.is_valid())
        normal[~valid] = 0
        point = np.array(hit.p).T
        ground = valid & (np.abs(point[:, 2]) < 1e-4)
        texture, half, *_ = stage.road
        h, w = texture.shape[:2]
        column = np.clip(((point[ground, 0] / half + 1) / 2 * w).astype(int), 0, w - 1)
        row = np.clip(((1 - (point[ground, 1] / half + 1) / 2) * h).astype(int), 0, h - 1)
        albedo[ground] = texture[row, column]
        glass = np.zeros(len(albedo), bool)
        prim = np.array(hit.prim_index)
        for name, (mesh, batch) in shapes.items():
            mine = np.array(hit.shape == mi.ShapePtr(mesh)) & valid
            if not mine.any():
                continue
            albedo[mine] = batch.color[batch.faces[prim[mine], 0]]
            if first:
                parts[mine] = batch.parts[prim[mine]]
            if name.endswith("glass"):
                glass |= mine
        return glass

    def _alone(self, shapes, stage: Stage, view: View) -> np.ndarray:
        """Part labels of the vehicle with nothing in front of it: what occlusion is measured against."""
        mi = self.mi
        own = {name: shapes[name] for name in ("vehicle", "vehicle glass") if name in shapes}
        scene = mi.load_dict({"type": "scene", **{name.replace(" ", "_"): mesh for name, (mesh, _) in own.items()}})
        hit = scene.ray_intersect(self._rays(view, 1, np.random.default_rng(0)))
        parts, prim, valid = np.zeros(view.width * view.height, np.uint8), np.array(hit.prim_index), np.array(hit.is_valid())
        for mesh, batch in own.values():
            mine = np.array(hit.shape == mi.ShapePtr(mesh)) & valid
            parts[mine] = batch.parts[prim[mine]]
        return parts.reshape(view.height, view.width)


def _attribute(name: str) -> dict:
    return {"type": "mesh_attribute", "name": f"vertex_{name}"}


def _rgb(color) -> dict:
    return {"type": "rgb", "value": [float(x) for x in color]}
