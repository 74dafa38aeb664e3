"""VERI-Wild (Lou et al., CVPR 2019).

``images/<vehicle>/<image>.jpg``; in ``train_test_split`` the lists ``train_list.txt``,
``test_3000_query.txt`` and ``test_3000.txt`` (5000, 10000; or ``test_3000_id_query.txt`` and ``test_3000_id.txt``) with
lines ``vehicle/image``, and ``vehicle_info.txt`` with ``vehicle/image;camera;time;model;type;color`` under a header. An
image may have a suffix. Of the further fields in lines ``vehicle/image vehicle camera``, as the ``_id`` lists have them,
the camera is taken where vehicle_info.txt does not give it; others are ignored.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

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
from ssrnet.data.readers.text_files import fields_of, read_lines
from ssrnet.data.records import ReIDDataset, VehicleImage

LAYOUT = "VERI-Wild"
EXPECTS = "images and train_test_split/test_3000.txt"
TEST_LIST = re.compile(r"test_(\d+)(?:_id)?\.txt")
IMAGE = re.compile(r"(?P<key>(?P<vehicle>[\w-]+)/[\w-]+)(?P<suffix>\.[A-Za-z]+)?")
CAMERA = re.compile("c?[0-9]+", re.IGNORECASE)
INFO_FIELDS = ("time", "model", "vehicle_type", "color")


class _Listed(NamedTuple):
    """A line of a list: its number, "vehicle/image", the image's suffix, its vehicle, and its camera if it names one."""

    line: int
    key: str
    suffix: str
    vehicle: str
    camera: str | None


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
    test = f"test_{subset}" if (lists / f"test_{subset}.txt").is_file() else f"test_{subset}_id"
    names = {"train": "train_list.txt", "query": f"{test}_query.txt", "gallery": f"{test}.txt"}
    skips = SkipTally()
    read_lists = {split: _read_list(lists / name, skips) for split, name in names.items()}
    wanted = {one.key for listed in read_lists.values() for one in listed}
    info = _read_info(lists / "vehicle_info.txt", wanted, skips)
    images = {}
    for split, listed in read_lists.items():
        found = [ListedImage(one.line, _image(root, one, info)) for one in listed]
        images[split] = keep_existing(found, lists / names[split], split, skips)
    train, query, gallery = images.values()
    check_splits(root, train, query, gallery, skips, "its lists name none")
    notes = list_notes(images)
    unknown = sum(image.camera_id is None for image in (*train, *query, *gallery))
    if unknown:
        notes.append(f"vehicle_info.txt does not give the camera of {unknown:,} images.")
    name = dataset_name(root, subset)
    protocol = usual_protocol(query, gallery)
    return ReIDDataset(name, root, LAYOUT, why, train, query, gallery, protocol, skips.skipped(), notes)


def _image(root: Path, listed: _Listed, info: dict[str, list[str]]) -> VehicleImage:
    camera, *values = info.get(listed.key, [None])
    attributes = {field: value for field, value in zip(INFO_FIELDS, values, strict=False) if value}
    name = f"{listed.key}{listed.suffix}"
    return VehicleImage(root / "images" / name, name, listed.vehicle, camera or listed.camera, attributes)


def _read_list(path: Path, skips: SkipTally) -> list[_Listed]:
    listed = []
    for line, text in read_lines(path) if path.is_file() else []:
        image, vehicle, camera, *_ = (*fields_of(text), "", "")
        match = IMAGE.fullmatch(image)
        if match is None:
            skips.add(f"line that is not vehicle/image, in {path.name}", f"line {line}: {text[:60]}")
        else:
            named = vehicle.lstrip("0") == match["vehicle"].lstrip("0") and CAMERA.fullmatch(camera)
            suffix = match["suffix"] or ".jpg"
            listed.append(_Listed(line, match["key"], suffix, match["vehicle"], camera if named else None))
    return listed


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
