"""Splits labelled images into train, query and gallery, by vehicle and camera.

Which vehicles train, and which image is a query, is decided by the order of SHA-256 hashes of the seed and the name: the
same on every machine and with every library, and a vehicle that joins later moves no other.
"""

from __future__ import annotations

import hashlib
import os.path
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ssrnet.data.manifest_files import can_be_written, image_folder, write_manifest
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError, SettingsError

Images = Mapping[str, VehicleImage]
"""By path from one folder."""
Reasons = dict[str, list[VehicleImage]]
"""Images that are left out, by the reason."""


@dataclass(frozen=True)
class LeftOut:
    """Vehicles (0 where none is known) and images that are in no split, and why."""

    reason: str
    vehicles: int
    images: int

    def __str__(self) -> str:
        vehicles = f" of {self.vehicles:,} vehicle{'s' * (self.vehicles != 1)}" if self.vehicles else ""
        return f"{self.images:,} image{'s' * (self.images != 1)}{vehicles} left out: {self.reason}"


@dataclass(frozen=True)
class Division:
    """Train, query and gallery images by their path from ``folder``, by vehicle and name.

    Where all cameras are known a query is in the gallery too, as VeRi-776's are: the junk rule sets it aside.
    """

    folder: Path
    train: Images
    query: Images
    gallery: Images
    left_out: tuple[LeftOut, ...]

    def summary(self) -> str:
        """One line for each split with its images, vehicles and cameras, and one for each reason to leave images out."""
        lines = []
        for name in ("train", "query", "gallery"):
            images = getattr(self, name).values()
            vehicles = len({image.vehicle_id for image in images})
            cameras = len({image.camera_id for image in images} - {None})
            lines.append(f"  {name:8}{len(images):>8,} images {vehicles:>7,} vehicles {cameras:>4} cameras")
        return "\n".join([*lines, *(f"  {each}" for each in self.left_out)])


def divide(dataset: ReIDDataset, train_share: float = 0.5, seed: int = 0) -> Division:
    """All images of ``dataset``, whatever split they are in, as new splits; no vehicle is in both halves.

    ``train_share``: the share of the vehicles with at least two images that train. In the test half one image of each
    vehicle and camera is a query; where a camera is not known, one image of each vehicle. Left out are vehicles with one
    image, test vehicles by one camera only, distractors, and images without a vehicle.

    Raises :class:`SettingsError` for a share outside [0, 1), :class:`DataError` where nothing is left to test with.
    """
    if not 0 <= train_share < 1:
        raise SettingsError(
            f"the share of training vehicles is {train_share:g}; it must be at least 0 and less than 1."
        )
    images = {os.path.abspath(image.path): image for image in (*dataset.train, *dataset.test)}
    if not images:
        raise DataError(f"{dataset.root} has no images to split; choose another data set.")
    folder = _common_folder(dataset, images)
    named = {Path(path).relative_to(folder).as_posix(): image for path, image in images.items()}
    reasons: Reasons = defaultdict(list)
    vehicles = _usable_vehicles(dataset, named, reasons)
    order = sorted(vehicles, key=lambda vehicle: (_draw(seed, vehicle), vehicle))
    training = sorted(order[: round(train_share * len(order))])
    train = {name: image for vehicle in training for name, image in vehicles[vehicle].items()}
    query, gallery = _test_half({each: vehicles[each] for each in sorted(order[len(training) :])}, seed, reasons)
    if not query:
        raise DataError(
            f"{dataset.root} leaves no vehicle to test with: {len(order):,} vehicles have two images or more, "
            f"{len(training):,} of them train, and no other one is seen by two cameras; lower the share of training vehicles."
        )
    left_out = [
        LeftOut(reason, len({image.vehicle_id for image in images} - {None}), len(images))
        for reason, images in reasons.items()
    ]
    return Division(folder, train, query, gallery, tuple(left_out))


def write_division(division: Division, out: Path) -> None:
    """``division`` as a manifest at ``out``, with the images' attributes as further columns.

    Raises :class:`DataError` where another file is there, :class:`ResourceError` where it cannot be written.
    """
    if out.exists():
        raise DataError(f"{out} is there already and is not overwritten; remove it or choose another name.")
    where = image_folder(out, division.folder)
    prefix = "" if os.path.isabs(where) else where and f"{where}/"
    where = where if os.path.isabs(where) else ""  # paths from the manifest on need no column
    rows = []
    for split in ("train", "query", "gallery"):
        for name, image in getattr(division, split).items():
            own = {"image": prefix + name, "vehicle_id": image.vehicle_id, "split": split}
            rows.append({**image.attributes, **own, "camera_id": image.camera_id or "", "image_folder": where})
    write_manifest(out, rows)


def _usable_vehicles(dataset: ReIDDataset, named: Images, reasons: Reasons) -> dict[str, dict[str, VehicleImage]]:
    """The images, by name, of each vehicle that has two or more; the others go to ``reasons``."""
    vehicles: dict[str, dict[str, VehicleImage]] = defaultdict(dict)
    for name, image in sorted(named.items()):
        reason = _unusable(dataset, name, image)
        if reason:
            reasons[reason].append(image)
        else:
            vehicles[image.vehicle_id][name] = image
    for vehicle in [each for each, of_vehicle in vehicles.items() if len(of_vehicle) < 2]:
        reasons["vehicles with one image, which nothing could match"] += vehicles.pop(vehicle).values()
    return vehicles


def _test_half(vehicles: Mapping[str, Images], seed: int, reasons: Reasons) -> tuple[Images, Images]:
    """Queries and gallery; vehicles by one camera only go to ``reasons``, where all cameras are known."""
    by_camera = all(image.camera_id is not None for of in vehicles.values() for image in of.values())
    query: dict[str, VehicleImage] = {}
    gallery: dict[str, VehicleImage] = {}
    for images in vehicles.values():
        if by_camera and len({image.camera_id for image in images.values()}) < 2:
            reasons["test vehicles by one camera only, for which every match would be junk"] += images.values()
            continue
        queries = _queries(images, seed, by_camera)
        query |= queries
        gallery |= {name: image for name, image in images.items() if by_camera or name not in queries}
    return query, gallery


def _common_folder(dataset: ReIDDataset, paths: Iterable[str]) -> Path:
    """The data set's folder, or the deepest that holds all images where that does not."""
    root = Path(os.path.abspath(dataset.root))
    root = root.parent if root.is_file() else root
    if all(Path(path).is_relative_to(root) for path in paths):
        return root
    return Path(os.path.commonpath([os.path.dirname(path) for path in paths]))


def _unusable(dataset: ReIDDataset, name: str, image: VehicleImage) -> str | None:
    """Why an image can be in no split, whatever the others are."""
    if image.vehicle_id is None:
        return "not labelled"
    if image.vehicle_id in dataset.distractor_ids:
        return "distractors, which are no one vehicle"
    return None if can_be_written(name) else "names that no manifest can hold"


def _queries(images: Images, seed: int, by_camera: bool) -> dict[str, VehicleImage]:
    """One of a vehicle's images, or one of each camera, by name."""
    groups: dict[str | None, list[str]] = defaultdict(list)
    for name, image in images.items():
        groups[image.camera_id if by_camera else None].append(name)
    chosen = [min(names, key=lambda name: (_draw(seed, name), name)) for names in groups.values()]
    return {name: images[name] for name in sorted(chosen)}


def _draw(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()
