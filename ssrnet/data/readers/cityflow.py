"""CityFlow-ReID (Tang et al., CVPR 2019), as the AI City Challenge hands it out, and every folder laid out like it.

``image_train``, ``image_query`` and ``image_test`` hold images named ``000001.jpg``; ``train_label.xml``,
``query_label.xml`` and ``test_label.xml`` have an ``<Item imageName="000001.jpg" vehicleID="0001" cameraID="c001"/>`` for
each. The challenge keeps the vehicles of its test images to itself: such images cannot be ranked, and are left out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ssrnet.data.readers import veri
from ssrnet.data.readers.common import (
    SkipTally,
    check_splits,
    choose_subset,
    entries_of,
    folder_notes,
    is_image,
    present,
    usual_protocol,
)
from ssrnet.data.readers.text_files import read_xml_items
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError

LAYOUT = "CityFlow"
LABELS = {"image_train": "train_label.xml", "image_query": "query_label.xml", "image_test": "test_label.xml"}
EXPECTS = "image_train and train_label.xml, for images whose names say no vehicle"
NO_VEHICLE = "-1"
KEPT_BACK = dict.fromkeys(
    ("image_query", "image_test"),
    ": the AI City Challenge keeps its test labels; train with --holdout, which sets training vehicles aside to score on",
) | {"image_train": ""}


class _Label(NamedTuple):
    line: int
    vehicle: str
    camera: str | None


def recognise(root: Path) -> str | None:
    folders = present(root, tuple(LABELS))
    labels = [name for name in LABELS.values() if (root / name).is_file()]
    names = [name for name in (_any_image(root / folder) for folder in folders) if name]
    if not labels or not names or any(veri.NAME.fullmatch(os.path.splitext(name)[0]) for name in names):
        return None
    return f"it holds {', '.join(folders)} and {', '.join(labels)}, and image names say no vehicle"


def subsets(root: Path) -> tuple[int, ...]:
    return ()


def read(root: Path, why: str, subset: int | None = None) -> ReIDDataset:
    """Raises :class:`DataError` for label files that are broken or contradict themselves, and if no image can be used."""
    choose_subset(root, subsets(root), subset)
    skips = SkipTally()
    unlabelled: dict[str, str] = {}
    images = {folder: _read_folder(root, folder, skips, unlabelled) for folder in LABELS}
    others = {folder: of_folder for folder, of_folder in images.items() if folder not in unlabelled}
    notes = [*folder_notes(root, others), *unlabelled.values()]
    train, query, gallery = images.values()
    if query and not gallery:
        notes.append(
            f"The {len(query):,} labelled images of image_query are left out, since there is no gallery to rank."
        )
        query = []
    check_splits(root, train, query, gallery, skips)
    protocol = usual_protocol(query, gallery)
    return ReIDDataset(root.resolve().name, root, LAYOUT, why, train, query, gallery, protocol, skips.skipped(), notes)


def _any_image(folder: Path) -> str | None:
    """The name of one image in ``folder``, the first in the file system's order."""
    return next((entry.name for entry in entries_of(folder) if is_image(entry)), None)


def _read_folder(root: Path, folder: str, skips: SkipTally, notes: dict[str, str]) -> list[VehicleImage]:
    """The labelled images of a folder, sorted by name; a note by the folder's name where none of its images is labelled."""
    source = root / LABELS[folder]
    labels = _read_labels(source) if source.is_file() else {}
    images, unlabelled = [], 0
    for entry in sorted(entries_of(root / folder), key=lambda entry: entry.name):
        label = labels.pop(entry.name, None)
        if not is_image(entry):
            skips.add(f"not an image file, in {folder}", entry.name)
        elif label is None or not label.vehicle:
            unlabelled += 1
            skips.add(f"no vehicle in {source.name}, in {folder}", entry.name)
        elif label.vehicle == NO_VEHICLE:
            skips.add(f"no vehicle (vehicleID {NO_VEHICLE}), in {folder}", entry.name)
        else:
            images.append(VehicleImage(root / folder / entry.name, entry.name, label.vehicle, label.camera))
    for name in labels:
        skips.add(f"named in {source.name} but missing", name)
    if unlabelled and not images:
        why = f"{source.name} names no vehicle of theirs" if source.is_file() else f"there is no {source.name}"
        notes[folder] = f"The {unlabelled:,} images of {folder} are left out, since {why}{KEPT_BACK[folder]}."
    return images


def _read_labels(path: Path) -> dict[str, _Label]:
    """Labels by image name."""
    labels: dict[str, _Label] = {}
    for line, item in read_xml_items(path):
        name = item.get("imageName", "")
        label = _Label(line, item.get("vehicleID", "").strip(), item.get("cameraID", "").strip() or None)
        first = labels.setdefault(name, label)
        if first[1:] != label[1:]:
            raise DataError(
                f"{path}: lines {first.line} and {line} give {name} different vehicles or cameras; correct one of them."
            )
    return labels
