"""Labels that would give wrong numbers without a word: settled when a data set is opened, or told where they cannot be.

- Query and gallery folder may hold different photographs of one name. They become two images.
- One camera or vehicle may be written in several ways (``c1`` and ``c001``; ``20``, ``0020`` and ``20.0``), so that the
  junk rule misses images. Where a layout numbers its labels, equal numbers are one label. In a manifest they stay as
  they are written, since ``1`` and ``01`` may be two vehicles there, and a warning says so.
- ``nan`` and the like as camera mean that the camera is unknown; as vehicle they would be one vehicle.
- Training and test split may share vehicles.
"""

from __future__ import annotations

import filecmp
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ssrnet.data.records import ReIDDataset, VehicleImage

UNKNOWN = frozenset({"nan", "none", "null", "na", "n/a", "<na>", "nat", "unknown", "?", "-1", "-1.0"})
"""How programs write a label that is not known, in lower case."""
NO_VEHICLE = UNKNOWN - {"-1", "-1.0"}
"""Identity -1 is what several data sets call images of no vehicle, which rightly match no query."""

FIELDS = {"vehicle": "vehicle_id", "camera": "camera_id"}


def settle_labels(dataset: ReIDDataset, numbered: bool) -> ReIDDataset:
    """``dataset`` with its labels settled as above; notes say what was changed, warnings what could not be.

    ``numbered``: whether the layout's own vehicles and cameras are numbers. Of query and gallery images of one name the
    sizes are compared, and of equal sizes the bytes; no other file is looked at.
    """
    return _warned(_one_spelling(_unknown_cameras(_apart_where_different(dataset)), numbered))


def _shared_vehicles(dataset: ReIDDataset) -> str | None:
    """One sentence where a data set's training split has vehicles of its test images; None where not."""
    train = {image.vehicle_id for image in dataset.train}
    test = {image.vehicle_id for image in dataset.test} - set(dataset.distractor_ids)
    shared = len(train & test)
    if not shared:
        return None
    return (
        f"{shared:,} of the {len(test):,} test vehicles are in this data set's training split too: scores of a model that "
        "is trained on it are inflated, unless each split numbers its vehicles anew, which is harmless."
    )


def _apart_where_different(dataset: ReIDDataset) -> ReIDDataset:
    """Gives gallery images their folder as a prefix where a query of the same name is another photograph."""
    queries = {image.name: image for image in dataset.query}
    different = {
        image.name for image in dataset.gallery if image.name in queries and _differ(queries[image.name], image)
    }
    if not different:
        return dataset
    gallery = [_in_folder(image) if image.name in different else image for image in dataset.gallery]
    example = next(image for image in dataset.gallery if image.name in different)
    folders = _folder(example), _folder(queries[example.name])
    note = (
        f"{folders[0]} has other photographs than {folders[1]} under {len(different):,} of the same names "
        f"({example.name}); they count as images of their own, named {_in_folder(example).name}."
    )
    return replace(dataset, gallery=gallery, notes=(*dataset.notes, note))


def _differ(one: VehicleImage, other: VehicleImage) -> bool:
    """Whether two files differ in size or content; a file that cannot be read counts as the same."""
    if one.path == other.path:
        return False
    try:
        a, b = os.stat(one.path), os.stat(other.path)
        if os.path.samestat(a, b):
            return False
        return a.st_size != b.st_size or not filecmp.cmp(one.path, other.path, shallow=False)
    except OSError:
        return False


def _in_folder(image: VehicleImage) -> VehicleImage:
    return replace(image, name=f"{_folder(image)}/{image.name}")


def _folder(image: VehicleImage) -> str:
    """The folder that the image's name is relative to, which is its split's."""
    return Path(image.path.as_posix().removesuffix(image.name)).name


def _unknown_cameras(dataset: ReIDDataset) -> ReIDDataset:
    """Cameras written as :data:`UNKNOWN` become None, and without them no camera tells junk."""
    written = Counter(
        image.camera_id
        for split in (dataset.train, dataset.query, dataset.gallery)
        for image in split
        if image.camera_id is not None and image.camera_id.strip().casefold() in UNKNOWN
    )
    if not written:
        return dataset
    count = sum(written.values())
    note = f"The camera of {count:,} images is written {' or '.join(sorted(written))}, which means that it is unknown."
    settled = _relabelled(dataset, {"camera_id": dict.fromkeys(written)})
    unknown = any(image.camera_id is None for image in (*settled.query, *settled.gallery))
    protocol = "single_gallery_shot" if unknown and dataset.protocol == "cross_camera" else dataset.protocol
    return replace(settled, protocol=protocol, notes=(*dataset.notes, note))


def _one_spelling(dataset: ReIDDataset, numbered: bool) -> ReIDDataset:
    """Where ``numbered``, labels of one number become the most frequent of them; else a warning names them."""
    notes, warnings = list(dataset.notes), list(dataset.warnings)
    changes: dict[str, dict[str, str | None]] = {}
    for kind, field in FIELDS.items():
        groups = _spellings(getattr(image, field) for image in (*dataset.train, *dataset.query, *dataset.gallery))
        if not groups:
            continue
        first = " and ".join(groups[0])
        several = f"One {kind} is" if len(groups) == 1 else f"{len(groups):,} {kind}s are"
        example = first if len(groups) == 1 else f"the first: {first}"
        if numbered:
            changes[field] = {label: group[0] for group in groups for label in group[1:]}
            notes.append(f"{several} written in several ways ({example}) and read as one, {groups[0][0]}.")
        else:
            effect = "junk would count as matches" if kind == "camera" else "matches would count as errors"
            warnings.append(
                f"{several.replace(' is', ' may be').replace(' are', ' may be')} written in several ways ({example}). "
                f"Here they count as different {kind}s; if they are one, {effect}: write one of them."
            )
    return replace(_relabelled(dataset, changes), notes=notes, warnings=warnings)


def _spellings(labels: Iterable[str | None]) -> list[list[str]]:
    """The groups of several labels that :func:`_number` makes one; the most frequent label of a group first."""
    counts = Counter(label for label in labels if label is not None)
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        groups[_number(label)].append(label)
    return sorted((group for group in groups.values() if len(group) > 1), key=min)


def _number(label: str) -> str:
    """The label without what does not tell two numbers apart: zeros before them, ``.0``, capitals, spaces."""
    text = unicodedata.normalize("NFKC", label).strip().casefold()
    return re.sub(r"(?<![\d.])0+(?=\d)", "", re.sub(r"^(-?\d+)\.0+$", r"\1", text))


def _relabelled(dataset: ReIDDataset, changes: dict[str, dict[str, str | None]]) -> ReIDDataset:
    """``changes``: by field of an image, the new label for an old one."""
    if not any(changes.values()):
        return dataset

    def renamed(image: VehicleImage) -> VehicleImage:
        new = {field: labels[old] for field, labels in changes.items() if (old := getattr(image, field)) in labels}
        return replace(image, **new) if new else image

    splits = {split: [renamed(image) for image in getattr(dataset, split)] for split in ("train", "query", "gallery")}
    vehicles = changes.get("vehicle_id", {})
    distractors = frozenset(vehicles.get(vehicle) or vehicle for vehicle in dataset.distractor_ids)
    return replace(dataset, **splits, distractor_ids=distractors)


def _warned(dataset: ReIDDataset) -> ReIDDataset:
    """With warnings about vehicles that are not known, and those in both training and test split."""
    if not dataset.is_labelled:
        return dataset
    unknown = [image for image in dataset.test if str(image.vehicle_id).strip().casefold() in NO_VEHICLE]
    warnings = list(dataset.warnings)
    if unknown:
        warnings.append(
            f"The vehicle of {len(unknown):,} test images is written {unknown[0].vehicle_id} ({unknown[0].name}): they "
            "count as images of one vehicle, so numbers are wrong; fill in the vehicles or leave these images out."
        )
    shared = _shared_vehicles(dataset)
    return replace(dataset, warnings=[*warnings, *filter(None, [shared])])
