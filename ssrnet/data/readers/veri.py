"""VeRi-776 (Liu et al., ECCV 2016) and every folder laid out like it.

``image_train``, ``image_query`` and ``image_test`` hold images named ``0002_c002_00030600_0.jpg``: vehicle,
camera, then frame and running number, which are ignored. A vehicle may have letters (``truck0_c001_7.jpg``). Attributes come from the owners' label files and
from a ``manifest.csv`` beside the folders, where there are any.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from ssrnet.data.readers.common import (
    SkipTally,
    check_flat,
    check_splits,
    choose_subset,
    folder_images,
    folder_notes,
    holds_only_folders,
    present,
)
from ssrnet.data.readers.text_files import read_csv, read_lines, read_xml_items
from ssrnet.data.readers.veri_index import index_notes
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError

LAYOUT = "VeRi"
FOLDERS = ("image_train", "image_query", "image_test")
EXPECTS = "image_train, image_query and image_test"
NAME = re.compile(r"(?P<vehicle>[\w-]+?)_(?P<camera>[cC][0-9]+)_.+")

Attributes = dict[str, dict[str, str]]


def recognise(root: Path) -> str | None:
    folders = present(root, FOLDERS)
    return f"it holds {', '.join(folders)}" if folders and not holds_only_folders(root, folders) else None


def subsets(root: Path) -> tuple[int, ...]:
    return ()


def read(root: Path, why: str, subset: int | None = None) -> ReIDDataset:
    """Raises :class:`DataError` if no image can be used. Broken label files only leave a note."""
    choose_subset(root, subsets(root), subset)
    skips = SkipTally()
    attributes, notes = _read_attributes(root)
    images = {folder: folder_images(root / folder, NAME, skips, attributes) for folder in FOLDERS}
    train, query, gallery = images.values()
    check_flat(root, images)
    check_splits(root, train, query, gallery, skips)
    notes = [*folder_notes(root, images), *notes, *index_notes(root, NAME)]
    return ReIDDataset(
        root.resolve().name, root, LAYOUT, why, train, query, gallery, "cross_camera", skips.skipped(), notes
    )


def _read_attributes(root: Path) -> tuple[Attributes, list[str]]:
    """Attributes by image name, where the manifest overrides the label files; and a note for each unreadable file."""
    sources: list[tuple[str, Callable[[Path], Attributes]]] = [
        ("train_label.xml", _read_label_xml),
        ("test_label.xml", _read_label_xml),
        ("manifest.csv", _read_manifest),
    ]
    attributes: Attributes = {}
    notes = []
    for name, reader in sources:
        if not (root / name).is_file():
            continue
        try:
            for image, values in reader(root / name).items():
                attributes.setdefault(image, {}).update(values)
        except DataError as error:
            notes.append(f"No attributes from {name}: {error}")
    return attributes, notes


def _read_manifest(path: Path) -> Attributes:
    known = {"image", "vehicle_id", "camera_id", "split"}
    attributes: Attributes = {}
    for row in read_csv(path, required=("image",)):
        values = {column: value for column, value in row.values.items() if column not in known and value}
        attributes.setdefault(PurePosixPath(row.values["image"]).name, {}).update(values)
    return attributes


def _read_label_xml(path: Path) -> Attributes:
    """``colorID`` and ``typeID`` of each ``Item``; as names where list_color.txt and list_type.txt are."""
    items = read_xml_items(path)
    colors = _read_names(path.with_name("list_color.txt"))
    types = _read_names(path.with_name("list_type.txt"))
    attributes: Attributes = {}
    for _, item in items:
        color, vehicle_type = item.get("colorID"), item.get("typeID")
        named = {"color": colors.get(color, color), "vehicle_type": types.get(vehicle_type, vehicle_type)}
        attributes[item.get("imageName", "")] = {key: value for key, value in named.items() if value}
    return attributes


def _read_names(path: Path) -> dict[str | None, str]:
    """Lines such as ``1 yellow``; empty where there is no such file."""
    if not path.is_file():
        return {}
    lines = (line.split(maxsplit=1) for _, line in read_lines(path, ("utf-8-sig", "gb18030")))
    return {fields[0]: fields[1] for fields in lines if len(fields) == 2}
