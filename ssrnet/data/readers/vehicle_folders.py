"""One folder for each vehicle: ``0007/a.jpg``.

These folders lie in folders named by split (``SPLITS``), or in the root itself, whose images are all test images. A
camera is known where every image lies in a folder of its own camera, ``0007/c001/a.jpg`` with a name such as c001, cam2
or camera_3, or where every image is named as in VeRi-776 and Market-1501, ``0007/0007_c001_00016450_0.jpg``, as
layumi's ``pytorch`` folders are. Otherwise no camera is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ssrnet.data.readers.common import (
    SkipTally,
    check_splits,
    choose_subset,
    entries_of,
    holds_images,
    inner_folders,
    is_folder,
    is_image,
    usual_protocol,
)
from ssrnet.data.readers.market import NAME
from ssrnet.data.records import ReIDDataset, VehicleImage

LAYOUT = "Folders"
EXPECTS = "a folder with at least two images for each of at least two vehicles"
SPLITS = {
    "train": ("image_train", "bounding_box_train", "train_all", "train"),
    "query": ("image_query", "query", "probe"),
    "gallery": ("image_test", "bounding_box_test", "gallery", "test", "val"),
}
"""The folder names of each split, of which the first that holds folders is read: train_all holds train and val too."""
CAMERA = re.compile(r"(?:c|cam|camera)[-_ ]?[0-9]+", re.IGNORECASE)
WHEN_OR_WHERE = frozenset(
    "day night dawn dusk morning noon afternoon evening sun sunny cloud cloudy rain rainy fog foggy snow snowy front rear "
    "back side left right top north south east west entry entrance exit in out inside outside gate lane road street yard "
    "ramp bridge tunnel parking view camera cam image images img photo photos picture pictures frame frames crop crops old "
    "new good bad misc".split()
)
"""Words of which a tree's folders may all be named, and then are no vehicles: unless the layout is named, it has no labels."""
DATE = re.compile(r"\d{4}[-_.]\d{2}[-_.]\d{2}")
NO_VEHICLE = "-1"
FEWEST = 2
"""Vehicles, and images of each in a root without splits, from which folders are taken for vehicles."""


class _Found(NamedTuple):
    """An image: its path, its path inside the split's folder, its vehicle, and the folder inside the vehicle's, or ""."""

    path: Path
    name: str
    vehicle: str
    inner: str


def recognise(root: Path) -> str | None:
    splits = [folder for folder in _split_folders(root).values() if folder != root]
    if any(may_hold_vehicles(folder) and not holds_images(folder) for folder in splits):
        return f"in {', '.join(folder.name for folder in splits)} each vehicle has a folder"
    vehicles = [] if splits else _vehicles_in(root)
    return f"each of its {len(vehicles):,} folders holds images of one vehicle" if vehicles else None


def subsets(root: Path) -> tuple[int, ...]:
    return ()


def read(root: Path, why: str, subset: int | None = None) -> ReIDDataset:
    """An image's name is its path inside its split's folder. Raises :class:`DataError` if no image can be used."""
    choose_subset(root, subsets(root), subset)
    skips = SkipTally()
    folders = _split_folders(root)
    found = {split: _read_split(folder, skips) for split, folder in folders.items()}
    camera_of, notes = _cameras([one for of_split in found.values() for one in of_split])
    images = {
        split: [VehicleImage(one.path, one.name, one.vehicle, camera_of(one)) for one in of_split]
        for split, of_split in found.items()
    }
    train, query, gallery = (images.get(split, []) for split in SPLITS)
    check_splits(root, train, query, gallery, skips)
    unread = sorted(set(inner_folders(root)) - {folder.name for folder in folders.values()})
    if root not in folders.values() and unread:
        notes.append(f"Not read: {', '.join(unread)}.")
    protocol = usual_protocol(query, gallery)
    return ReIDDataset(
        root.resolve().name,
        root,
        LAYOUT,
        why,
        train,
        query,
        gallery,
        protocol,
        skips.skipped(),
        notes,
        warnings=_outside(root, folders),
    )


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split that has folders in it; the root as the gallery where there is no such."""
    named = {
        split: next((root / name for name in names if inner_folders(root / name)), None)
        for split, names in SPLITS.items()
    }
    return {split: folder for split, folder in named.items() if folder} or {"gallery": root}


def _outside(root: Path, folders: Mapping[str, Path]) -> list[str]:
    """A sentence for each split with images that lie in no vehicle's folder, where others have vehicles' folders."""
    if root in folders.values():
        return []
    places = [folders.get(split) or root / names[0] for split, names in SPLITS.items()]
    places += [root / name for split, names in SPLITS.items() if split not in folders for name in names[1:]]
    counts = {place.name: sum(map(is_image, entries_of(place))) for place in places}
    return [
        f"Left out of {name}: {count:,} image{'s' * (count != 1)} in no vehicle's folder; give each vehicle a folder of its own "
        "there."
        for name, count in counts.items()
        if count
    ]


def may_hold_vehicles(folder: Path) -> bool:
    """Whether two folders in ``folder`` hold images, in themselves or in the folders in them, and are no cameras."""
    count = 0
    for name in inner_folders(folder):
        vehicle = folder / name
        if holds_images(vehicle) or any(holds_images(vehicle / inner) for inner in inner_folders(vehicle)):
            count += CAMERA.fullmatch(name) is None
        if count == FEWEST:
            return True
    return False


def _vehicles_in(root: Path) -> list[str]:
    """The folders in ``root`` if each is a vehicle's: two images or more, nothing deeper, no image beside them."""
    names = [] if holds_images(root) else inner_folders(root)
    if len(names) < FEWEST or all(CAMERA.fullmatch(name) or _says_when_or_where(name) for name in names):
        return []
    for name in names:
        entries = list(entries_of(root / name))
        if any(is_folder(entry) for entry in entries) or sum(is_image(entry) for entry in entries) < FEWEST:
            return []
    return names


def _says_when_or_where(name: str) -> bool:
    words = re.findall(r"[^\W\d_]+", name.casefold())
    return bool(DATE.fullmatch(name) or words and WHEN_OR_WHERE.issuperset(words))


def _read_split(folder: Path, skips: SkipTally) -> list[_Found]:
    found = []
    for entry in sorted(filter(is_image, entries_of(folder)), key=lambda entry: entry.name):
        skips.add(f"an image outside a vehicle's folder, in {folder.name}", entry.name)
    for vehicle in inner_folders(folder):
        if vehicle == NO_VEHICLE:
            skips.add(f"no vehicle (folder {NO_VEHICLE}), in {folder.name}", vehicle)
            continue
        found += _read_folder(folder, vehicle, "", skips)
    return found


def _read_folder(folder: Path, vehicle: str, inner: str, skips: SkipTally) -> list[_Found]:
    """The images of a vehicle's folder, or of its folder ``inner``, sorted by name; then those of the folders in it."""
    place = f"{vehicle}/{inner}" if inner else vehicle
    found, deeper = [], []
    for entry in sorted(entries_of(folder / place), key=lambda entry: entry.name):
        name = f"{place}/{entry.name}"
        if is_image(entry):
            found.append(_Found(folder / name, name, vehicle, inner))
        elif not is_folder(entry):
            skips.add(f"not an image file, in {folder.name}", name)
        elif inner:
            skips.add(f"a folder deeper than vehicle/camera, in {folder.name}", name)
        else:
            deeper.append(entry.name)
    for name in deeper:
        found += _read_folder(folder, vehicle, name, skips)
    return found


def _cameras(found: list[_Found]) -> tuple[Callable[[_Found], str | None], list[str]]:
    """What gives an image's camera; and a note where folders inside the vehicles' folders do not."""
    if all(CAMERA.fullmatch(one.inner) for one in found):
        return lambda one: one.inner, []
    if all(_camera_in_name(one) for one in found):
        return _camera_in_name, []
    deeper = [one.name for one in found if one.inner]
    notes = [
        f"{len(deeper):,} images lie in folders inside their vehicle's folder (for example {example}), which give no "
        "camera, since not every image has such a folder with a name like c001 or cam2."
        for example in deeper[:1]
    ]
    return lambda one: None, notes


def _camera_in_name(one: _Found) -> str | None:
    match = NAME.fullmatch(one.path.stem)
    return match["camera"].lower() if match else None
