"""An image of a vehicle, and a data set of such images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from PIL.Image import Image

from ssrnet.data.images import read_image
from ssrnet.errors import DataError

UNLABELLED = "unlabelled"
"""The ``protocol`` of a data set whose images nobody has labelled with vehicles."""
TYPES = ("vehicle_type", "type")
"""Names of the attribute that says what kind of vehicle an image shows."""


@dataclass(frozen=True)
class VehicleImage:
    """One crop of one vehicle, by path; the file is not read here.

    ``name`` is the image's name inside its split (``0002_c002_00030600_0.jpg``; in a CSV data set
    the path from its images' folder). The same name in query and gallery is the same image, as VeRi-776's queries are in
    both folders; where two folders have different photographs of one name, the gallery's is named with its folder
    (``image_test/0002_c002_00030600_0.jpg``; see :mod:`ssrnet.data.label_checks`). ``vehicle_id`` and ``camera_id`` are
    None where nobody has said them.
    """

    path: Path
    name: str
    vehicle_id: str | None
    camera_id: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    def __reduce__(self) -> tuple:
        # A mapping proxy cannot be pickled, and loader processes and caches pickle images.
        fields = (self.path, self.name, self.vehicle_id, self.camera_id, dict(self.attributes))
        return VehicleImage, fields

    def read(self) -> Image:
        """The photograph, as :func:`ssrnet.data.images.read_image` returns it; raises as it does."""
        return read_image(self.path)

    @property
    def stamp(self) -> int | str:
        """What stands for the pixels in :meth:`ReIDDataset.content_hash`: the file's size; -1 where it is missing."""
        try:
            return self.path.stat().st_size
        except OSError:
            return -1


@dataclass(frozen=True)
class Skipped:
    """Files or lines that a reader skipped: the reason, how many, and an example."""

    reason: str
    count: int
    example: str

    def __str__(self) -> str:
        return f"{self.count:,} skipped: {self.reason} (for example {self.example})"


@dataclass(frozen=True)
class Reading:
    """What a folder was taken for that no name in it and no manifest tells, and the ``layout`` that it may be instead."""

    taken_for: str
    otherwise: str
    layout: str

    def __str__(self) -> str:
        return f"{self.taken_for} {self.otherwise} (--layout {self.layout})."


@dataclass(frozen=True)
class ReIDDataset:
    """A re-identification data set as its owners split it.

    ``layout`` was recognised by ``why``. ``protocol`` is the protocol that its owners report
    (see :mod:`ssrnet.data.protocols`). Where the owners give no
    query/gallery split (VehicleID), ``query`` is empty and ``gallery`` holds every test image. So it is where nobody has
    said which vehicle an image shows: then ``protocol`` is :data:`UNLABELLED`, and no image has a vehicle.
    ``distractor_ids`` are gallery identities that stand for no one vehicle (Market-1501's 0000).
    ``damaged`` counts the images left out since they cannot be read (:mod:`ssrnet.data.damaged`).
    ``warnings`` are sentences on labels with which numbers may be wrong or too high. ``reading`` is None where the
    layout was named, or is told by names or a manifest.

    Raises :class:`DataError` if a split names one image twice.
    """

    name: str
    root: Path
    layout: str
    why: str
    train: Sequence[VehicleImage]
    query: Sequence[VehicleImage]
    gallery: Sequence[VehicleImage]
    protocol: str
    skipped: Sequence[Skipped] = ()
    notes: Sequence[str] = ()
    distractor_ids: frozenset[str] = frozenset()
    warnings: Sequence[str] = ()
    damaged: int = 0
    reading: Reading | None = None

    def __post_init__(self) -> None:
        for name in ("train", "query", "gallery", "skipped", "notes", "warnings"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for split in ("train", "query", "gallery"):
            seen: set[str] = set()
            for image in getattr(self, split):
                if image.name in seen:
                    raise DataError(
                        f"{self.root}: the {split} split names {image.name} twice; "
                        "image names must be unique, so rename or remove one."
                    )
                seen.add(image.name)

    @property
    def test(self) -> tuple[VehicleImage, ...]:
        """Query and gallery pooled, each image once by name; queries first."""
        pooled = {image.name: image for image in (*self.query, *self.gallery)}
        return tuple(pooled.values())

    @property
    def is_labelled(self) -> bool:
        """Whether the images say which vehicle they show."""
        return self.protocol != UNLABELLED

    def check_labelled(self, purpose: str) -> None:
        """Raises :class:`DataError` where the images say no vehicle, which ``purpose`` ("a score") needs."""
        if not self.is_labelled:
            raise DataError(
                f"{self.root} does not say which images show the same vehicle, and {purpose} needs that; mark it on the "
                "app's page Label, add a manifest.csv with the columns image, vehicle_id and split, or give each vehicle "
                "a folder of its own."
            )

    def content_hash(self) -> str:
        """16 hex digits over every split's names, labels and file sizes.

        Sizes stand for the pixels, since hashing 50,000 files would take minutes at each start.
        """
        digest = hashlib.sha256()
        for split in ("train", "query", "gallery"):
            for image in sorted(getattr(self, split), key=lambda image: image.name):
                line = f"{split}\0{image.name}\0{image.vehicle_id}\0{image.camera_id}\0{image.stamp}\n"
                # File names that are not UTF-8 reach Python as surrogates.
                digest.update(line.encode(errors="surrogateescape"))
        return digest.hexdigest()[:16]

    def summary(self) -> str:
        """One line for each split with its images, vehicles and cameras; then what it was taken for, skipped files, notes and warnings."""
        lines = [f"{self.name} ({self.layout}: {self.why})"]
        if not self.is_labelled:
            folders = len({image.name.rpartition("/")[0] for image in self.gallery})
            lines.append(
                f"  {len(self.gallery):,} images in {folders:,} folder{'s' if folders > 1 else ''}, no vehicle labels"
            )
        for split in ("train", "query", "gallery") if self.is_labelled else ():
            images = getattr(self, split)
            vehicles = len({image.vehicle_id for image in images})
            cameras = len({image.camera_id for image in images} - {None})
            lines.append(f"  {split:8}{len(images):>8,} images {vehicles:>7,} vehicles {cameras:>4} cameras")
        reading = [self.reading] if self.reading else []
        lines += [f"  {note}" for note in (*reading, *self.skipped, *self.notes, *self.warnings)]
        return "\n".join(lines)
