"""Which vehicles and cameras a model was trained on, as hashes, and how many of a data set's are among them.

Identities alone prove nothing: VeRi-776 and the bundled city both have a vehicle 0001 and a camera c001. So a training
set stores one example image of each vehicle: a hash of its file name and size, to find candidates, and a hash of its
bytes, to confirm them. Once an image with the same identity occurs in both data sets, they share a numbering, and their
vehicle and camera identities are compared directly.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.files import open_regular

IDENTITY_DIGITS, FILE_DIGITS, BYTES_DIGITS = 10, 10, 6
"""Hex digits: 10,000 test vehicles beside 100,000 training vehicles have a chance below 1 in 1,000 of a false match."""
EXAMPLE_DIGITS = FILE_DIGITS + BYTES_DIGITS
READ_BYTES = 2**16
"""Of an example's file, from its start."""
CONFIRMED_FILES = 200
"""Candidate files whose bytes are read to confirm a match; the others are matched by name and size."""


@dataclass(frozen=True)
class TrainingSet:
    """The images of one data set that a model was trained on, without those held back.

    ``content_hash`` is :meth:`ReIDDataset.content_hash` of the data set opened alone. ``vehicles`` are hashes of
    identities; ``examples`` has one image for each, in the same order: hash of name and size, then hash of its bytes.
    """

    name: str
    content_hash: str
    images: int
    vehicles: tuple[str, ...]
    examples: tuple[str, ...]
    cameras: tuple[str, ...]

    @classmethod
    def of(cls, name: str, content_hash: str, images: Sequence[VehicleImage]) -> TrainingSet:
        """The training set of ``images``; of each vehicle, one image's file is read."""
        example: dict[str, tuple[str, Path]] = {}
        for image in images:
            candidate = file_hash(image), image.path
            # The smallest, so that it does not depend on how a layout orders its images.
            example[image.vehicle_id] = min(candidate, example.get(image.vehicle_id, candidate))
        pairs = sorted(
            (_identity(vehicle_id), of_file + _bytes_hash(path)) for vehicle_id, (of_file, path) in example.items()
        )
        cameras = sorted(_identity(camera) for camera in {image.camera_id for image in images} - {None})
        vehicles, examples = (tuple(column) for column in zip(*pairs, strict=True)) if pairs else ((), ())
        return cls(name, content_hash, len(images), vehicles, examples, tuple(cameras))

    def packed(self) -> dict[str, object]:
        """For JSON: each tuple of hashes as one string."""
        hashes = {key: "".join(getattr(self, key)) for key in ("vehicles", "examples", "cameras")}
        return {"name": self.name, "content_hash": self.content_hash, "images": self.images, **hashes}


def unpack(packed: object) -> tuple[TrainingSet, ...]:
    """The training sets of a list of :meth:`TrainingSet.packed`; raises ValueError for anything else."""
    if not isinstance(packed, list):
        raise ValueError("training_sets is no list")
    return tuple(_unpack(values) for values in packed)


def describe_training(parts: Sequence[ReIDDataset], fit: Iterable[VehicleImage]) -> tuple[TrainingSet, ...]:
    """A training set for each data set of joined training data, of those of its images that are in ``fit``."""
    paths = {image.path for image in fit}  # joining changes names and identities
    return tuple(
        TrainingSet.of(part.name, part.content_hash(), [image for image in part.train if image.path in paths])
        for part in parts
    )


def union(sets: Iterable[TrainingSet], earlier: Iterable[TrainingSet]) -> tuple[TrainingSet, ...]:
    """``sets``, then those of ``earlier`` that are not among them."""
    return tuple(dict.fromkeys((*sets, *earlier)))


@dataclass(frozen=True)
class SeenInTraining:
    """How many of a data set's test vehicles and cameras a model saw in training.

    ``by_name``: the cameras were matched by name alone, since no image is in common, but every test camera has the name
    of a training camera and no test vehicle that of a training vehicle, as in two halves of one data set.
    ``train_split``: images of the data set's training split were trained on.
    """

    vehicles: int
    test_vehicles: int
    cameras: int
    test_cameras: int
    by_name: bool
    train_split: bool

    @property
    def warning(self) -> str | None:
        """One sentence where test vehicles were trained on; None where not. Shown after a model's name."""
        if not self.vehicles:
            return None
        if self.vehicles == self.test_vehicles:
            count = f"All {self.test_vehicles:,}"
        else:
            count = f"{self.vehicles:,} of the {self.test_vehicles:,}"
        return f"{count} test vehicles were in the training data: numbers here say nothing about new vehicles."

    @property
    def note(self) -> str | None:
        """One or two sentences on other vehicles and cameras; None where nothing is known."""
        seen = f"{self.cameras:,} of {self.test_cameras:,}"
        if self.vehicles:
            return f"Test cameras seen in training: {seen}, {self._meaning}." if self.cameras else None
        if self.by_name:
            return (
                "No test vehicle was in the training data. The test cameras seem to have been: "
                f"{seen} have the name of a training camera. If they were, {self._meaning.removeprefix('so ')}."
            )
        if not self.train_split:
            return None
        text = "Trained on this data set's training split"
        if not self.test_vehicles:
            return f"{text}."
        cameras = f"; test cameras seen in training: {seen}, {self._meaning}." if self.cameras else "."
        return f"{text}, which has none of the test vehicles{cameras}"

    @property
    def _meaning(self) -> str:
        """What numbers on cameras that were seen in training are worth."""
        if self.cameras == self.test_cameras:
            return "so numbers here say nothing of new cameras"
        return "so numbers here mix new cameras with known ones"

    @property
    def record(self) -> dict[str, object]:
        """The entry of a protocol record."""
        return {"test_vehicles_in_training": self.vehicles}


def seen_in_training(sets: Sequence[TrainingSet], dataset: ReIDDataset) -> SeenInTraining | None:
    """How much of ``dataset`` is in a model's training sets; None where the model has none, or the images have no labels.

    A test vehicle was seen where a training vehicle's example is among its images, or where its identity is in the
    training set and both sets share a numbering. Images that were renamed or saved anew are not recognised.
    """
    if not sets or not dataset.is_labelled:
        return None
    test = [image for image in dataset.test if image.vehicle_id not in dataset.distractor_ids]
    vehicles = {image.vehicle_id: _identity(image.vehicle_id) for image in test}
    cameras = {image.camera_id: _identity(image.camera_id) for image in test if image.camera_id is not None}
    files = {image: file_hash(image) for image in (*test, *dataset.train)}
    seen, certain, named, train_split = set(), set(), set(), False
    for one in sets:
        known, known_cameras = set(one.vehicles), set(one.cameras)
        identity_of = _recognised(one, files)
        in_test = [image for image in test if image in identity_of]
        in_train = [image for image in dataset.train if image in identity_of]
        seen |= {image.vehicle_id for image in in_test}
        train_split |= bool(in_train)
        recurring = {vehicle_id for vehicle_id, identity in vehicles.items() if identity in known}
        met = {camera for camera, identity in cameras.items() if identity in known_cameras}
        if any(identity == _identity(image.vehicle_id) for image, identity in identity_of.items()):
            seen |= recurring
            certain |= met
        elif not (identity_of or recurring) and len(met) == len(cameras):
            named |= met
    by_name = not (certain or seen or train_split) and bool(named)
    seen_cameras = named if by_name else certain
    return SeenInTraining(len(seen), len(vehicles), len(seen_cameras), len(cameras), by_name, train_split)


def _recognised(one: TrainingSet, files: Mapping[VehicleImage, str]) -> dict[VehicleImage, str]:
    """The images that are examples of the training set, with their vehicles' hashes; ``files`` has name and size hashes.

    Files of other data sets may have the same names, and by chance the same sizes: unless most candidates also have the
    same bytes, there is no match.
    """
    example_of = {
        example[:FILE_DIGITS]: (example[FILE_DIGITS:], identity)
        for example, identity in zip(one.examples, one.vehicles, strict=True)
    }
    candidates = [image for image, of_file in files.items() if of_file in example_of]
    sample = candidates[:: max(1, math.ceil(len(candidates) / CONFIRMED_FILES))]
    same = sum(_bytes_hash(image.path) == example_of[files[image]][0] for image in sample)
    return {image: example_of[files[image]][1] for image in candidates} if 2 * same > len(sample) else {}


def file_hash(image: VehicleImage) -> str:
    """10 hex digits over the image's file name and size; the size is -1 where the file is missing."""
    try:
        size = image.path.stat().st_size
    except OSError:
        size = -1
    return _hash(f"{image.path.name}\0{size}", FILE_DIGITS)


def _identity(name: str) -> str:
    return _hash(name, IDENTITY_DIGITS)


def _bytes_hash(path: Path) -> str:
    try:
        with open_regular(path) as file:
            start = file.read(READ_BYTES)
    except OSError:
        start = b""
    return hashlib.sha256(start).hexdigest()[:BYTES_DIGITS]


def _hash(text: str, digits: int) -> str:
    # File names that are not UTF-8 reach Python as surrogates.
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:digits]


def _unpack(values: object) -> TrainingSet:
    if not isinstance(values, Mapping) or set(values) != set(TrainingSet.__dataclass_fields__):
        raise ValueError("an entry of training_sets has other fields")
    name, content_hash, images = values["name"], values["content_hash"], values["images"]
    if not isinstance(name, str):
        raise ValueError("a training set's name is no string")
    if not isinstance(content_hash, str) or not re.fullmatch("[0-9a-f]{16}", content_hash):
        raise ValueError("a training set's content_hash is not 16 hex digits")
    vehicles = _split(values["vehicles"], IDENTITY_DIGITS)
    examples = _split(values["examples"], EXAMPLE_DIGITS)
    cameras = _split(values["cameras"], IDENTITY_DIGITS)
    if len(vehicles) != len(examples) or type(images) is not int or images < len(vehicles):
        raise ValueError(f"a training set has {len(vehicles)} vehicles, {len(examples)} examples and {images!r} images")
    return TrainingSet(name, content_hash, images, vehicles, examples, cameras)


def _split(text: object, digits: int) -> tuple[str, ...]:
    if not isinstance(text, str) or len(text) % digits or re.search("[^0-9a-f]", text):
        raise ValueError(f"a training set's hashes are not a string of {digits} hex digits each")
    return tuple(text[start : start + digits] for start in range(0, len(text), digits))
