"""Path tracing with Mitsuba 3: from a stage to linear radiance and part labels.

We make the rays instead of a Mitsuba sensor: a film's size is compiled into the kernel
(0.4 s for every new crop size), a ray buffer's length is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssrnet.synth.camera.view import View
from ssrnet.synth.render.first_hits import RAY_BLOCK, FirstHits, device_rays
from ssrnet.synth.render.materials import Batch
from ssrnet.synth.render.mitsuba_setup import load_mitsuba
from ssrnet.synth.render.stage import Glow, Ground, Stage

MAX_RADIANCE = 30.0  # fireflies above this would leave stars after denoising
MOST_OBJECTS = 96  # shapes (and so their BSDFs and textures) alive at once: a stage has 20, 40 grounds are kept
MOST_LIGHTS = 12


@dataclass(frozen=True)
class Exposure:
    """``radiance`` (h, w, 3) linear; ``parts`` (h, w) labels; ``whole`` (h, w) bool: the vehicle, hidden or not."""

    radiance: np.ndarray
    parts: np.ndarray
    whole: np.ndarray


class Renderer:
    """Holds what all stages share: Mitsuba, its materials, and meshes that do not move."""

    def __init__(self) -> None:
        self.mi = mi = load_mitsuba()
        if "llvm" in mi.variant():
            import drjit

            drjit.set_thread_count(1)
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
        self.integrator = mi.load_dict({"type": "path", "max_depth": 5, "rr_depth": 3})
        self._reserved = _reserve_numbers(mi)
        self._dome: tuple[tuple[int, ...], object] | None = None
        self._sun = mi.load_dict({"type": "directional", "irradiance": _rgb((1, 1, 1))})
        # (batch or ground, its shape) by the id of the former, which is held so that ids stay unique
        self._static: dict[int, tuple[object, object]] = {}

    def render(self, stage: Stage, view: View, samples: int, seed: int) -> Exposure:
        """One exposure; the same arguments give the same pixels on one machine.

        ``samples`` light paths per pixel (a square number) are denoised by Open Image Denoise, guided by
        noise-free albedo and normals.
        """
        import mitsuba_oidn

        rng = np.random.Generator(np.random.PCG64(seed))
        meshes = [(self._mesh(batch), batch) for batch in (*stage.vehicle, *stage.surroundings)]
        scene = self._scene(stage, meshes)
        radiance = self._trace(scene, view, samples, seed, rng)
        hits = FirstHits(self.mi, scene, meshes, stage.ground)
        albedo, normal = hits.guides(_rays(view, 4, rng), view)
        parts, whole = hits.labels(_rays(view, 1, rng), view, len(stage.vehicle))
        clean = mitsuba_oidn.denoise(radiance, albedo=albedo, normal=normal, hdr=True)
        return Exposure(np.asarray(clean, np.float32), parts, whole)

    def _trace(self, scene, view: View, samples: int, seed: int, rng: np.random.Generator) -> np.ndarray:
        mi = self.mi
        origin, toward = _rays(view, samples, rng)
        sampler = mi.load_dict({"type": "independent"})
        if "scalar" in mi.variant():  # no working LLVM: one ray at a time
            sampler.seed(seed & 0x7FFFFFFF, 1)
            start = mi.Point3f(origin.tolist())
            rays = (mi.RayDifferential3f(mi.Ray3f(start, mi.Vector3f(way.tolist()))) for way in toward)
            light = np.array([np.array(self.integrator.sample(scene, sampler, ray)[0]) for ray in rays])
        else:
            rays = mi.RayDifferential3f(device_rays(mi, origin, toward))
            sampler.seed(seed & 0x7FFFFFFF, -(-len(toward) // RAY_BLOCK) * RAY_BLOCK)
            light = np.array(self.integrator.sample(scene, sampler, rays)[0]).T[: len(toward)]
        light = np.minimum(np.nan_to_num(light), MAX_RADIANCE).reshape(view.height, view.width, samples, 3)
        return np.ascontiguousarray(light.mean(axis=2), dtype=np.float32)

    def _scene(self, stage: Stage, meshes: list[tuple[object, Batch]]):
        mi = self.mi
        transform = mi.ScalarTransform4f
        scene: dict[str, object] = {
            "type": "scene",
            "environment": self._sky(stage.environment),
            "ground": self._ground(stage.ground),
            "far": {
                "type": "rectangle",
                "to_world": transform().translate([0, 0, -0.02]).scale([500, 500, 1]),
                "bsdf": {"type": "diffuse", "reflectance": _rgb((0.15, 0.15, 0.14))},
            },
        }
        if stage.sun is not None:
            scene["sun"] = self._sunlight(*stage.sun)
        for i, light in enumerate(stage.lights):
            scene[f"light{i}"] = {
                "type": "point",
                "position": list(map(float, light.position)),
                "intensity": _rgb(light.intensity),
            }
        scene.update({f"mesh{i}": mesh for i, (mesh, _) in enumerate(meshes)})
        scene.update({f"glow{i}": self._lamp(glow) for i, glow in enumerate(stage.glow)})
        return mi.load_dict(scene)

    def _sky(self, radiance: np.ndarray):
        """One emitter for all stages: a new one would have a new number, which is compiled into the kernel.

        Its data is set in the same way each time, the first time too: a freshly loaded map treats its poles
        and seam differently, so a process's first photograph would differ from its later ones.
        """
        mirrored = np.ascontiguousarray(radiance[:, ::-1])
        if self._dome is None or self._dome[0] != radiance.shape:
            blank = self.mi.Bitmap(np.ones_like(mirrored))
            upright = self.mi.ScalarTransform4f().rotate([1, 0, 0], 90)
            self._dome = (radiance.shape, self.mi.load_dict({"type": "envmap", "bitmap": blank, "to_world": upright}))
        params = self.mi.traverse(self._dome[1])
        params["data"] = self.mi.TensorXf(np.concatenate([mirrored, mirrored[:, :1]], axis=1))
        params.update()
        return self._dome[1]

    def _sunlight(self, toward: np.ndarray, irradiance: np.ndarray):
        """One emitter for all stages; the direction of a freshly loaded one is compiled into the kernel."""
        mi = self.mi
        params = mi.traverse(self._sun)
        away = [-float(x) for x in toward]
        params["to_world"] = mi.Transform4f().look_at(origin=[0, 0, 0], target=away, up=[0.3, 0.9, 0.3])
        params["irradiance.value"] = mi.Color3f(*(float(x) for x in irradiance))
        params.update()
        return self._sun

    def _ground(self, ground: Ground):
        if id(ground) not in self._static:
            texture = ground.texture.astype(np.float32) * (ground.tone / 255)
            shape = {
                "type": "rectangle",
                "to_world": self.mi.ScalarTransform4f().scale([ground.half_extent, ground.half_extent, 1]),
                "bsdf": {
                    "type": "principled",
                    "base_color": {"type": "bitmap", "bitmap": self.mi.Bitmap(texture), "raw": True, "format": "fp16"},
                    "roughness": float(ground.roughness),
                    "specular": float(ground.specular),
                },
            }
            self._static[id(ground)] = (ground, self.mi.load_dict(shape))
        return self._static[id(ground)][1]

    def _mesh(self, batch: Batch):
        if id(batch) in self._static:
            return self._static[id(batch)][1]
        mi = self.mi
        props = mi.Properties()
        props["bsdf"] = self.clear if batch.clear else self.opaque
        mesh = mi.Mesh(
            "mesh",
            len(batch.vertices),
            len(batch.faces),
            has_vertex_normals=True,
            has_vertex_texcoords=False,
            props=props,
        )
        mesh.add_attribute("vertex_color", 3, batch.color.ravel())
        for column, attribute in enumerate(("roughness", "metallic", "coat")):
            mesh.add_attribute(f"vertex_{attribute}", 1, np.ascontiguousarray(batch.surface[:, column]))
        self._fill(mesh, batch.vertices, batch.faces, batch.normals)
        if batch.static:
            self._static[id(batch)] = (batch, mesh)
        return mesh

    def _lamp(self, glow: Glow):
        mi = self.mi
        props = mi.Properties()
        props["bsdf"] = mi.load_dict({"type": "diffuse", "reflectance": _rgb((0.2, 0.2, 0.2))})
        props["emitter"] = mi.load_dict({"type": "area", "radiance": _rgb(glow.radiance)})
        mesh = mi.Mesh(
            "glow",
            len(glow.vertices),
            len(glow.faces),
            has_vertex_normals=False,
            has_vertex_texcoords=False,
            props=props,
        )
        self._fill(mesh, glow.vertices, glow.faces, None)
        return mesh

    def _fill(self, mesh, vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray | None) -> None:
        params = self.mi.traverse(mesh)
        params["vertex_positions"] = np.ascontiguousarray(vertices, np.float32).ravel()
        params["faces"] = np.ascontiguousarray(faces, np.uint32).ravel()
        if normals is not None:
            params["vertex_normals"] = np.ascontiguousarray(normals, np.float32).ravel()
        params.update()


def _reserve_numbers(mi) -> list[object]:
    """Reserves the highest number of each kind of object for as long as the result lives.

    A kernel holds a table with a row for every number in use, so one object more or less would compile
    it anew (half a second, at every second photograph). Later objects take the free numbers below.
    """
    lamp = {"type": "point", "position": [0, 0, 0], "intensity": _rgb((1, 1, 1))}
    shapes = [mi.load_dict({"type": "rectangle"}) for _ in range(MOST_OBJECTS)]
    lamps = [mi.load_dict(lamp) for _ in range(MOST_LIGHTS)]
    return [shapes[-1], lamps[-1]]


def _rays(view: View, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return view.origin.astype(np.float32), view.directions(samples, rng).astype(np.float32)


def _attribute(name: str) -> dict:
    return {"type": "mesh_attribute", "name": f"vertex_{name}"}


def _rgb(color) -> dict:
    return {"type": "rgb", "value": [float(x) for x in color]}
