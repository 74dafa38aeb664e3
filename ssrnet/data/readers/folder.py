"""Any folder of image files, in it and in folders below, of which nobody has said which vehicles they show.

An image's name is its path from the folder, with forward slashes; where there are folders below, the attribute ``folder``
says which one an image is in. Hidden files and folders, and those that systems add (``__MACOSX``, ``Thumbs.db``), are
left out.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ssrnet.data.images import IMAGE_SUFFIXES
from ssrnet.data.readers.common import SkipTally, check_splits, choose_subset, is_file, is_folder
from ssrnet.data.records import UNLABELLED, ReIDDataset, VehicleImage
from ssrnet.errors import DataError

LAYOUT = UNLABELLED
EXPECTS = "image files, in any folders"
SYSTEM = frozenset({"__macosx", "@eadir", "thumbs", "thumbnails", "thumbs.db", "desktop.ini"})
"""Names, in lower case, of what systems and viewers of images put into folders."""
MOST_ENTRIES = 1_000_000
"""Files and folders that are looked at, before the folder is more than anyone means."""

HIDDEN = "hidden or made by the system"
LOOP = "link to a folder that is read already"
OTHER = "not an image file"
NO_FILE = "link that leads nowhere, or no regular file"
KINDS_SHOWN = 4


def recognise(root: Path) -> str | None:
    if root.is_dir() and any(_is_image(name) for _, name in _files(root, SkipTally())):
        return "it holds image files, and no labels that are understood"
    return None


def subsets(root: Path) -> tuple[int, ...]:
    return ()


def read(root: Path, why: str, subset: int | None = None) -> ReIDDataset:
    """``gallery`` holds every image, sorted by name; no image has a vehicle or a camera.

    Raises :class:`DataError` for a folder without any image, and for one of more than ``MOST_ENTRIES`` files and folders.
    """
    choose_subset(root, subsets(root), subset)
    skips = SkipTally()
    files = []
    for folder, name in _files(root, skips):
        if _is_image(name):
            files.append((_joined(folder, name), folder))
        else:
            skips.add(OTHER, _joined(folder, name))
    nested = any(folder for _, folder in files)
    images = []
    for path, folder in sorted(files):
        images.append(VehicleImage(root / path, path, None, None, {"folder": folder or "."} if nested else {}))
    check_splits(root, [], [], images, skips)
    return ReIDDataset(root.resolve().name, root, LAYOUT, why, [], [], images, UNLABELLED, skips.skipped())


def describe_files(root: Path) -> str:
    """How many files of which kinds there are in and below the folder ``root``: "30 .jpg and 2 .pdf files in 3 folders"."""
    files = list(_files(root, SkipTally()))
    kinds = Counter(os.path.splitext(name)[1].lower() or "unnamed" for _, name in files)
    if not files:
        return "no file"
    shown = [f"{count:,} {kind}" for kind, count in kinds.most_common(KINDS_SHOWN)]
    others = len(files) - sum(count for _, count in kinds.most_common(KINDS_SHOWN))
    shown += [f"{others:,} other"] if others else []
    listed = " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
    folders = len({folder for folder, _ in files})
    return f"{listed} file{'s' if len(files) > 1 else ''} in {folders:,} folder{'s' if folders > 1 else ''}"


def _files(root: Path, skips: SkipTally) -> Iterator[tuple[str, str]]:
    """Folder (from ``root``, empty for itself) and name of each file that is not hidden; each folder is listed once."""
    seen: set[tuple[int, int]] = set()
    folders, links, entries = [""], [], 0
    while folders or links:  # links last: what they lead to may be below root too
        folder = folders.pop() if folders else links.pop()
        status = os.stat(root / folder)
        if (status.st_dev, status.st_ino) in seen:
            skips.add(LOOP, folder)
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(root / folder) as listed:
            for entry in listed:
                entries += 1
                if entries > MOST_ENTRIES:
                    raise DataError(
                        f"{root} holds more than {MOST_ENTRIES:,} files; open the folder of the images alone."
                    )
                path = _joined(folder, entry.name)
                if entry.name.startswith(".") or entry.name.lower() in SYSTEM:
                    skips.add(HIDDEN, path)
                elif is_folder(entry):
                    (links if entry.is_symlink() else folders).append(path)
                elif is_file(entry):
                    yield folder, entry.name
                else:
                    skips.add(NO_FILE, path)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
