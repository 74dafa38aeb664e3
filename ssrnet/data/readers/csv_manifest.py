"""Anyone's folder of vehicles, described by a ``manifest.csv`` (or any CSV file) in it.

Columns: ``image`` (a path from the CSV's folder, or a whole path into it), ``vehicle_id``, ``split`` (train, query or gallery;
test means gallery), optionally ``camera_id``. Every other column becomes an attribute. An image that is both query and
gallery image, as VeRi-776's queries are, has a line for each.

Labelling (:mod:`ssrnet.data.labels`) writes such files with further columns: ``image_folder`` is the folder of the
images where it is not the CSV's own, ``same_as`` and ``not_same_as`` are its pairs, and a line whose split is
``unlabelled`` waits for its vehicle: it is counted and skipped, unless all lines do, which is a data set without labels.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from pathlib import Path

from ssrnet.data.readers.common import (
    ListedImage,
    SkipTally,
    check_splits,
    choose_subset,
    entries_of,
    keep_existing,
    usual_protocol,
)
from ssrnet.data.readers.text_files import Row, read_csv
from ssrnet.data.records import UNLABELLED, ReIDDataset, VehicleImage
from ssrnet.errors import DataError

LAYOUT = "CSV"
EXPECTS = "manifest.csv with the columns image, vehicle_id, split"
REQUIRED = ("image", "vehicle_id", "split")
FOLDER, PAIRS = "image_folder", ("same_as", "not_same_as")
KNOWN = {*REQUIRED, "camera_id", FOLDER, *PAIRS}
DRIVE = re.compile("[A-Za-z]:")
NOT_PLAIN = re.compile(r"^[A-Za-z]:|(?:^|/)\.{0,2}(?:/|$)|\0")
"""In a path: a drive, a whole path, a part that is empty or dots, NUL."""
SPLITS = {"train": "train", "query": "query", "gallery": "gallery", "test": "gallery", UNLABELLED: UNLABELLED}


def recognise(root: Path) -> str | None:
    if root.is_file():
        return "it is a CSV file" if root.suffix.lower() == ".csv" else None
    return "it holds manifest.csv" if (root / "manifest.csv").is_file() else None


def subsets(root: Path) -> tuple[int, ...]:
    return ()


def read(root: Path, why: str, subset: int | None = None) -> ReIDDataset:
    """``root`` is the CSV file or a folder with a ``manifest.csv``; an image's name is its path from the images' folder.

    Raises :class:`DataError` for a broken table, missing values, unknown splits, an image twice in a split
    or under two vehicles, and paths that lead out of the CSV's folder.
    """
    choose_subset(root, subsets(root), subset)
    source = root if root.is_file() else root / "manifest.csv"
    listed: dict[str, list[ListedImage]] = {"train": [], "query": [], "gallery": [], UNLABELLED: []}
    labels: dict[str, str] = {}
    skips, folder, written = SkipTally(), _ImageFolder(source.parent), None
    for row in read_csv(source, REQUIRED):
        if row.values.get(FOLDER, "") != written:
            folder = _ImageFolder(_folder(source, row, written))
            written = row.values.get(FOLDER, "")
        image, split = _image(source, row, folder, labels)
        listed[split].append(ListedImage(row.line, image))
    unlabelled = listed.pop(UNLABELLED)
    is_labelled = any(listed.values())
    if not is_labelled:
        listed["gallery"] = unlabelled
    for entry in unlabelled if is_labelled else ():
        skips.add(f"not labelled yet, in {source.name}", entry.image.name)
    _check_labels(source, [entry for entries in listed.values() for entry in entries])
    images = {
        split: keep_existing(entries, source, split, skips, inside=folder.path) for split, entries in listed.items()
    }
    train, query, gallery = images.values()
    check_splits(source, train, query, gallery, skips, "no line names one")
    notes = [f"The manifest has no {split} images." for split, of in images.items() if is_labelled and not of]
    shared = {image.name for image in train} & {image.name for image in (*query, *gallery)}
    if shared:
        notes.append(f"{len(shared):,} images are in the train split and in the test split ({min(shared)}).")
    name = source.parent.resolve().name if source.name == "manifest.csv" else source.stem
    protocol = usual_protocol(query, gallery) if is_labelled else UNLABELLED
    return ReIDDataset(name, root, LAYOUT, why, train, query, gallery, protocol, skips.skipped(), notes)


class _ImageFolder:
    """The images' folder, which gives one name to all ways of writing an image's path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._prefixes = {f"{each.as_posix().rstrip('/')}/" for each in (path.absolute(), path.resolve())}
        self._spellings: dict[str, dict[str, str]] = {}

    def name(self, written: str) -> str | None:
        """The path from the folder, spelt as on the disk; None if it leads out of the folder."""
        name = written
        if NOT_PLAIN.search(written):
            name = posixpath.normpath(written)
            name = name.removeprefix(next((each for each in self._prefixes if name.startswith(each)), ""))
            if name.startswith("/") or DRIVE.match(name) or name.split("/")[0] == ".." or "\0" in name:
                return None
        return name if name.isascii() else self._as_on_disk(name)

    def _as_on_disk(self, name: str) -> str:
        """A Mac's disk may hold an accent as a sign of its own where the manifest has one letter, or the other way round."""
        spelt = ""
        for part in name.split("/"):
            if spelt not in self._spellings:
                names = sorted(entry.name for entry in entries_of(self.path / spelt))
                self._spellings[spelt] = {unicodedata.normalize("NFC", each): each for each in names} | dict(
                    zip(names, names)
                )
            part = self._spellings[spelt].get(part) or self._spellings[spelt].get(
                unicodedata.normalize("NFC", part), part
            )
            spelt = f"{spelt}/{part}" if spelt else part
        return spelt


def _folder(source: Path, row: Row, before: str | None) -> Path:
    """The images' folder by a row; ``before``: what the rows above it have in that column, None for the first row."""
    name = row.values.get(FOLDER, "")
    if before is not None:
        raise DataError(
            f"{source}, line {row.line}: {FOLDER} is {name!r}, and {before!r} in the lines above; "
            "write one folder that holds all images, and the way from there into the column image."
        )
    if ".." in Path(name).parts:
        raise DataError(f"{source}, line {row.line}: {FOLDER} is {name!r}; write the whole path of the images' folder.")
    return source.parent / name


def _image(source: Path, row: Row, folder: _ImageFolder, labels: dict[str, str]) -> tuple[VehicleImage, str]:
    """The image and split of a row; ``labels`` collects the labels so far, so that equal ones share memory."""
    split = row.values["split"].lower()
    empty = [column for column in REQUIRED if not row.values[column]]
    if empty and (split, empty) != (UNLABELLED, ["vehicle_id"]):
        raise DataError(f"{source}, line {row.line}: {empty[0]} is empty; fill it in or remove the line.")
    if split not in SPLITS:
        raise DataError(
            f"{source}, line {row.line}: the split is {row.values['split']!r}; write train, query or gallery."
        )
    written = row.values["image"].replace("\\", "/")
    name = folder.name(written)
    if name is None:
        raise DataError(
            f"{source}, line {row.line}: {written!r} leads out of the CSV's folder; "
            "put the images in that folder and write paths relative to it."
        )
    values = {column: labels.setdefault(value, value) for column, value in row.values.items() if column != "image"}
    attributes = {column: value for column, value in values.items() if column not in KNOWN and value}
    camera = values.get("camera_id") or None
    vehicle = None if split == UNLABELLED else values["vehicle_id"]
    image = VehicleImage(folder.path / name, name, vehicle, camera, attributes)
    return image, SPLITS[split]


def _check_labels(source: Path, listed: list[ListedImage]) -> None:
    """Raises :class:`DataError` where two lines give one image different vehicles or cameras."""
    first: dict[str, ListedImage] = {}
    for entry in listed:
        other = first.setdefault(entry.image.name, entry)
        same_vehicle = other.image.vehicle_id == entry.image.vehicle_id
        if not same_vehicle or other.image.camera_id != entry.image.camera_id:
            raise DataError(
                f"{source}: lines {other.line} and {entry.line} give {entry.image.name} "
                "different vehicles or cameras; correct one of them."
            )
