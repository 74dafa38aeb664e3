"""VERI-Wild (Lou et al., CVPR 2019).

``images/<vehicle>/<image>.jpg``; in ``train_test_split`` the lists ``train_list.txt``,
``test_3000_query.txt`` and ``test_3000.txt`` (5000, 10000) with lines ``vehicle/image``, and
``vehicle_info.txt`` with ``vehicle/image;camera;time;model;type;color`` under a header.
"""

from __future__ import annotations

import re
from pathlib import Path

from ssrnet.data.readers.common import (
    ListedImage,
    SkipTally,
    check_splits,
    choose_subset,
    dataset_name,
    keep_existing,
    list_notes,
    numbered_lists,
    usual_protocol,
)
from ssrnet.data.readers.text_files import read_lines
from ssrnet.data.records import ReIDDataset, VehicleImage

LAYOUT = "VERI-Wild"
EXPECTS = "images and train_test_split/test_3000.txt"
TEST_LIST = re.compile(r"test_(\d+)\.txt")
LINE = re.compile(r"(?P<key>(?P<vehicle>[\w-]+)/[\w-]+)(?:\.jpg)?", re.IGNORECASE)
INFO_FIELDS = ("time", "model", "vehicle_type", "color")

Keys = list[tuple[int, str, str]]  # line, "vehicle/image", vehicle


def recognise(root: Path) -> str | None:
    lists = root / "train_test_split"
    if (root / "images").is_dir() and (subsets(root) or (lists / "train_list.txt").is_file()):
        return "it holds images and the lists in train_test_split"
    return None


def subsets(root: Path) -> tuple[int, ...]:
    return numbered_lists(root / "train_test_split", TEST_LIST)


def read(root: Path, why: str, subset: int | None = None) -> ReIDDataset:
    """Query and gallery are those of test subset ``subset`` (default: the smallest).

    Raises :class:`DataError` for a subset without a list, and for a list without any of its images.
    """
    subset = choose_subset(root, subsets(root), subset)
    lists = root / "train_test_split"
    names = {"train": "train_list.txt", "query": f"test_{subset}_query.txt", "gallery": f"test_{subset}.txt"}
    skips = SkipTally()
    keys = {split: _read_list(lists / name, skips) for split, name in names.items()}
    info = _read_info(lists / "vehicle_info.txt", {key for lines in keys.values() for _, key, _ in lines}, skips)
    images = {}
    for split, lines in keys.items():
        listed = [ListedImage(line, _image(root, key, vehicle, info)) for line, key, vehicle in lines]
        images[split] = keep_existing(listed, lists / names[split], split, skips)
    train, query, gallery = images.values()
    check_splits(root, train, query, gallery, skips)
    notes = list_notes(images)
    unknown = sum(image.camera_id is None for image in (*train, *query, *gallery))
    if unknown:
        notes.append(f"vehicle_info.txt does not give the camera of {unknown:,} images.")
    name = dataset_name(root, subset)
    protocol = usual_protocol(query, gallery)
    return ReIDDataset(name, root, LAYOUT, why, train, query, gallery, protocol, skips.skipped(), notes)


def _image(root: Path, key: str, vehicle: str, info: dict[str, list[str]]) -> VehicleImage:
    camera, *values = info.get(key, [None])
    attributes = {field: value for field, value in zip(INFO_FIELDS, values, strict=False) if value}
    return VehicleImage(root / "images" / f"{key}.jpg", f"{key}.jpg", vehicle, camera or None, attributes)


def _read_list(path: Path, skips: SkipTally) -> Keys:
    keys = []
    for line, text in read_lines(path) if path.is_file() else []:
        match = LINE.fullmatch(text)
        if match is None:
            skips.add(f"line that is not vehicle/image, in {path.name}", f"line {line}: {text[:60]}")
        else:
            keys.append((line, match["key"], match["vehicle"]))
    return keys


def _read_info(path: Path, wanted: set[str], skips: SkipTally) -> dict[str, list[str]]:
    """Camera, time, model, type and colour of the images ``wanted``; the file has all 416,314."""
    info = {}
    for line, text in read_lines(path, ("utf-8-sig", "gb18030")) if path.is_file() else []:
        key, *values = (value.strip() for value in text.split(";"))
        key = key.removesuffix(".jpg")
        if key in wanted and values:
            info[key] = values
        elif not values:
            skips.add(f"line without fields, in {path.name}", f"line {line}: {text[:60]}")
    return info
