"""A worker's unit of work: the captures of one vehicle, or some steps of its probes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ssrnet.synth.camera.captures import Capture
from ssrnet.synth.camera.imaging import jpeg_bytes, png_bytes
from ssrnet.synth.manifest import write_atomic, write_record
from ssrnet.synth.photographer import Photograph, Photographer
from ssrnet.synth.probes import Step, probe_files
from ssrnet.synth.settings import SynthSettings
from ssrnet.synth.vehicle.assembly import Vehicle, build
from ssrnet.synth.vehicle.specs import IdentitySpec


@lru_cache(maxsize=1)
def photographer(samples: int) -> Photographer:
    """This process's photographer, which caches kernels, sites and background vehicles."""
    return Photographer(samples)


@lru_cache(maxsize=2)
def built(identity: IdentitySpec) -> Vehicle:
    """The current step's vehicle and the one that frames it, as meshes."""
    return build(identity)


@dataclass(frozen=True)
class CityJob:
    """Captures of one vehicle that are not taken yet.

    ``splits`` maps a capture's name to its splits; ``masked`` names the captures with a part mask.
    """

    identity: IdentitySpec
    captures: tuple[Capture, ...]
    splits: dict[str, tuple[str, ...]]
    masked: frozenset[str]

    def __len__(self) -> int:
        return len(self.captures)

    def take(self, settings: SynthSettings) -> Iterator[str]:
        """Takes and writes every capture; yields each name once it is on disk."""
        vehicle = build(self.identity)
        for capture in self.captures:
            photo = photographer(settings.samples).take(vehicle, capture)
            image = jpeg_bytes(photo.pixels)
            for split in self.splits[capture.name]:
                write_atomic(settings.out / f"image_{split}" / capture.name, image)
            mask = ""
            if capture.name in self.masked:
                mask = f"masks/{capture.name.removesuffix('.jpg')}.png"
                write_atomic(settings.out / mask, png_bytes(photo.parts))
            rows = [_row(self.identity, capture, photo, split, mask) for split in self.splits[capture.name]]
            write_record(settings.out, capture.name, rows)
            yield capture.name


@dataclass(frozen=True)
class ProbeJob:
    """Steps of probes that are not taken yet."""

    steps: tuple[Step, ...]

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, settings: SynthSettings) -> Iterator[str]:
        """Takes and writes every step. The mask comes first, so an image on disk means a complete step."""
        for step in self.steps:
            vehicle, frame = built(step.identity), built(step.framed_as or step.identity)
            photo = photographer(settings.samples).take(vehicle, step.capture, step.staging, frame)
            image, mask = probe_files(settings.out, step)
            write_atomic(mask, png_bytes(photo.parts))
            write_atomic(image, jpeg_bytes(photo.pixels))
            yield step.name


def _row(identity: IdentitySpec, capture: Capture, photo: Photograph, split: str, mask: str) -> dict[str, object]:
    height, width = photo.pixels.shape[:2]
    return {
        "image": f"image_{split}/{capture.name}",
        "split": split,
        "vehicle_id": f"{identity.vehicle_id:04d}",
        "camera_id": f"c{capture.camera:03d}",
        "track": capture.track,
        "frame": capture.frame,
        "model": identity.model.name,
        "type": identity.model.body_type,
        "sibling_group": identity.sibling_group if identity.sibling_group >= 0 else "",
        "colour": identity.paint.name,
        "azimuth": photo.azimuth,
        "elevation": photo.elevation,
        "time": capture.clock,
        "weather": capture.weather.kind,
        "light": capture.weather.night_light,
        "occlusion": photo.occlusion,
        "visible_marks": " ".join(kind.replace(" ", "-") for kind in photo.visible_marks),
        "marks": " ".join(mark.name for mark in identity.marks),
        "width": width,
        "height": height,
        "mask": mask,
    }
