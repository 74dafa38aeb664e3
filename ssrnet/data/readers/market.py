"""Folders laid out like Market-1501 (Zheng et al., ICCV 2015).

``bounding_box_train``, ``query`` and ``bounding_box_test`` hold images named ``0002_c1s1_000451_03.jpg``:
identity, camera, sequence, then frame and box, which are ignored. Identity -1 marks false detections,
which are skipped; 0000 marks distractors, which stay in the gallery.
"""

from __future__ import annotations

import re
from pathlib import Path

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
from ssrnet.data.records import ReIDDataset, VehicleImage

LAYOUT = "Market"
FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
EXPECTS = "bounding_box_train, query and bounding_box_test"
NAME = re.compile(r"(?P<vehicle>[\w-]+?)_(?P<camera>[cC][0-9]+)(?:[sS][0-9]+)?_.+")
FALSE_DETECTION = "-1"
DISTRACTOR = "0000"


def recognise(root: Path) -> str | None:
    # "query" alone is too common a name to tell a data set by.
    folders = present(root, FOLDERS)
    named = set(folders) - {"query"} and not holds_only_folders(root, folders)
    return f"it holds {', '.join(folders)}" if named else None


def subsets(root: Path) -> tuple[int, ...]:
    return ()


def read(root: Path, why: str, subset: int | None = None) -> ReIDDataset:
    """Raises :class:`DataError` if no image can be used."""
    choose_subset(root, subsets(root), subset)
    skips = SkipTally()
    images = {folder: _read_folder(root / folder, skips) for folder in FOLDERS}
    train, query, gallery = images.values()
    check_flat(root, images)
    check_splits(root, train, query, gallery, skips)
    notes = folder_notes(root, images)
    # A data set that numbers its vehicles from 0000 has 0000 among its queries or training images; Market-1501 has not.
    is_vehicle = any(image.vehicle_id == DISTRACTOR for image in (*train, *query))
    distractors = 0 if is_vehicle else sum(image.vehicle_id == DISTRACTOR for image in gallery)
    if distractors:
        notes.append(f"{distractors:,} gallery images of identity {DISTRACTOR} are distractors.")
    return ReIDDataset(
        root.resolve().name,
        root,
        LAYOUT,
        why,
        train,
        query,
        gallery,
        "cross_camera",
        skips.skipped(),
        notes,
        distractor_ids=frozenset({DISTRACTOR} if distractors else ()),
    )


def _read_folder(folder: Path, skips: SkipTally) -> list[VehicleImage]:
    images = folder_images(folder, NAME, skips)
    for image in images:
        if image.vehicle_id == FALSE_DETECTION:
            skips.add(f"false detection (identity -1), in {folder.name}", image.name)
    return [image for image in images if image.vehicle_id != FALSE_DETECTION]
