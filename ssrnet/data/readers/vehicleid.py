"""PKU VehicleID (Liu et al., CVPR 2016).

``image/0000001.jpg``; ``train_test_split/train_list.txt`` and ``test_list_800.txt`` (1600, 2400, ...) with
lines ``imageid vehicleid``, at spaces or commas, where the image may have a suffix and further fields are ignored; optionally ``attribute/model_attr.txt`` and ``color_attr.txt`` with lines
``vehicleid value``. The owners name no cameras and no queries: their protocol draws them.
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
)
from ssrnet.data.readers.text_files import fields_of, read_lines
from ssrnet.data.records import ReIDDataset, VehicleImage

LAYOUT = "VehicleID"
EXPECTS = "image and train_test_split/test_list_800.txt"
TEST_LIST = re.compile(r"test_list_(\d+)\.txt")
IMAGE = re.compile(r"([0-9]+)(\.[A-Za-z]+)?")
VEHICLE = re.compile(r"[\w-]+", re.ASCII)


def recognise(root: Path) -> str | None:
    lists = root / "train_test_split"
    if (root / "image").is_dir() and (subsets(root) or (lists / "train_list.txt").is_file()):
        return "it holds image and the lists in train_test_split"
    return None


def subsets(root: Path) -> tuple[int, ...]:
    return numbered_lists(root / "train_test_split", TEST_LIST)


def read(root: Path, why: str, subset: int | None = None) -> ReIDDataset:
    """``query`` is empty and ``gallery`` holds every image of test subset ``subset`` (default: the smallest).

    Raises :class:`DataError` for a subset without a list, and for a list without any of its images.
    """
    subset = choose_subset(root, subsets(root), subset)
    skips = SkipTally()
    attributes = _read_attributes(root / "attribute", skips)
    train = _read_list(root, "train_list.txt", "train", attributes, skips)
    gallery = _read_list(root, f"test_list_{subset}.txt", "gallery", attributes, skips)
    check_splits(root, train, [], gallery, skips, "its lists name none")
    notes = list_notes({"train": train, "test": gallery})
    name = dataset_name(root, subset)
    return ReIDDataset(name, root, LAYOUT, why, train, [], gallery, "single_gallery_shot", skips.skipped(), notes)


def _read_list(
    root: Path, name: str, split: str, attributes: dict[str, dict[str, str]], skips: SkipTally
) -> list[VehicleImage]:
    source = root / "train_test_split" / name
    folder, listed = root / "image", []
    for line, text in read_lines(source) if source.is_file() else []:
        number, vehicle, *_ = (*fields_of(text), "")
        match = IMAGE.fullmatch(number)
        if match is None or VEHICLE.fullmatch(vehicle) is None:
            skips.add(f"line without an image and a vehicle, in {name}", f"line {line}: {text[:60]}")
            continue
        # The owners pad to seven digits; lists that went through a spreadsheet have lost the zeros.
        file_name = f"{match[1].zfill(7)}{match[2] or '.jpg'}"
        image = VehicleImage(folder / file_name, file_name, vehicle, None, attributes.get(vehicle, {}))
        listed.append(ListedImage(line, image))
    return keep_existing(listed, source, split, skips)


def _read_attributes(folder: Path, skips: SkipTally) -> dict[str, dict[str, str]]:
    """``model`` and ``color`` by vehicle, as the owners' numbers."""
    attributes: dict[str, dict[str, str]] = {}
    for key in ("model", "color"):
        path = folder / f"{key}_attr.txt"
        for line, text in read_lines(path) if path.is_file() else []:
            vehicle, _, value = text.partition(" ")
            if value:
                attributes.setdefault(vehicle, {})[key] = value.strip()
            else:
                skips.add(f"line without a vehicle and a value, in {path.name}", f"line {line}: {text[:60]}")
    return attributes
