"""What the readers share: counting skipped files, listing each folder once, checking the splits."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ssrnet.data.images import IMAGE_SUFFIXES
from ssrnet.data.records import Skipped, VehicleImage
from ssrnet.errors import DataError

NO_ATTRIBUTES: Mapping[str, Mapping[str, str]] = {}


@dataclass
class SkipTally:
    """Counts skipped files and lines by reason, with the first of each as its example."""

    _skipped: dict[str, Skipped] = field(default_factory=dict)

    def add(self, reason: str, example: str) -> None:
        before = self._skipped.get(reason, Skipped(reason, 0, example))
        self._skipped[reason] = Skipped(reason, before.count + 1, before.example)

    def skipped(self) -> tuple[Skipped, ...]:
        return tuple(self._skipped.values())


@dataclass(frozen=True)
class ListedImage:
    """An image that a list names, and the list's 1-based line that names it."""

    line: int
    image: VehicleImage


def present(root: Path, names: Sequence[str]) -> list[str]:
    """Those of ``names`` that are folders in ``root``."""
    return [name for name in names if (root / name).is_dir()]


def numbered_lists(folder: Path, pattern: re.Pattern[str]) -> tuple[int, ...]:
    """The sizes in the names of the lists in ``folder`` (``test_list_(\\d+)\\.txt``), smallest first."""
    if not folder.is_dir():
        return ()
    matches = (pattern.fullmatch(name) for name in os.listdir(folder))
    return tuple(sorted(int(match[1]) for match in matches if match))


def choose_subset(root: Path, available: Sequence[int], subset: int | None) -> int | None:
    """``subset``, or the smallest, or None where there is no test list.

    Raises :class:`DataError` if ``subset`` is not available.
    """
    if subset is None:
        return min(available, default=None)
    if subset in available:
        return subset
    advice = f"choose {' or '.join(map(str, available))}" if available else "open it without a subset"
    raise DataError(f"{root}: there is no list of {subset} test vehicles; {advice}.")


def folder_images(
    folder: Path,
    pattern: re.Pattern[str],
    skips: SkipTally,
    attributes: Mapping[str, Mapping[str, str]] = NO_ATTRIBUTES,
) -> list[VehicleImage]:
    """The images of ``folder``, sorted by name; empty where there is no such folder.

    ``pattern`` matches the name without its suffix and has the groups ``vehicle`` and ``camera``.
    ``attributes`` are by image name. Other files are counted in ``skips``.
    """
    images = []
    for name in sorted(_links_by_name(folder)):
        stem, suffix = os.path.splitext(name)
        match = pattern.fullmatch(stem)
        if suffix.lower() not in IMAGE_SUFFIXES:
            skips.add(f"not an image file, in {folder.name}", name)
        elif match is None:
            skips.add(f"no vehicle and camera in the name, in {folder.name}", name)
        else:
            images.append(
                VehicleImage(folder / name, name, match["vehicle"], match["camera"], attributes.get(name, {}))
            )
    return images


def keep_existing(
    listed: Sequence[ListedImage], source: Path, split: str, skips: SkipTally, inside: Path | None = None
) -> list[VehicleImage]:
    """Those of ``listed`` whose files exist, in the order of the list ``source``; the rest go to ``skips``.

    Each folder is listed once: looking for 200,000 files one by one takes minutes on a network drive.
    Raises :class:`DataError` if two lines name one image, if no image of the list exists, or if a
    link leads out of the folder ``inside``.
    """
    first_line: dict[str, int] = {}
    folders: dict[str, dict[str, bool]] = {}
    existing = []
    for line, image in ((entry.line, entry.image) for entry in listed):
        if image.name in first_line:
            raise DataError(
                f"{source}: lines {first_line[image.name]} and {line} both name {image.name} "
                f"for the {split} split, which takes an image once; remove one of the two lines."
            )
        first_line[image.name] = line
        # Strings, since Path.parent and Path.name take longer than everything else here together.
        folder, _, name = image.name.rpartition("/")
        if name in ("", "."):
            folder, name = str(image.path.parent), image.path.name
        if folder not in folders:
            _refuse_outside(image.path.parent, inside, source, line, image.name)
            folders[folder] = _links_by_name(image.path.parent)
        if os.path.splitext(name)[1].lower() not in IMAGE_SUFFIXES:
            skips.add(f"not an image file, in {source.name}", image.name)
        elif name not in folders[folder]:
            skips.add(f"named in {source.name} but missing", image.name)
        else:
            if folders[folder][name]:
                _refuse_outside(image.path, inside, source, line, image.name)
            existing.append(image)
    if listed and not existing:
        raise DataError(
            f"{source}: not one of the {len(listed):,} images of the {split} split was found "
            f"(the first would be {listed[0].image.path}); unpack the images there or correct the list."
        )
    return existing


def check_splits(
    source: Path,
    train: Sequence[VehicleImage],
    query: Sequence[VehicleImage],
    gallery: Sequence[VehicleImage],
    skips: SkipTally,
) -> None:
    """Raises :class:`DataError` for a data set without any image, or with queries but no gallery."""
    if not (train or query or gallery):
        skipped = "; ".join(map(str, skips.skipped())) or "the folders or lists are empty"
        raise DataError(f"{source} has neither training nor test images: {skipped}; add images or open another folder.")
    if query and not gallery:
        raise DataError(
            f"{source} has {len(query):,} query images but an empty gallery, so nothing could be ranked; "
            "add the gallery images or remove the queries."
        )


def folder_notes(root: Path, images: Mapping[str, Sequence[VehicleImage]]) -> list[str]:
    """A sentence for each split's folder (``images`` by folder name) that is missing or has no image."""
    empty = [name for name, of_folder in images.items() if not of_folder]
    return [
        f"{name} holds no usable image." if (root / name).is_dir() else f"There is no folder {name}." for name in empty
    ]


def list_notes(images: Mapping[str, Sequence[VehicleImage]]) -> list[str]:
    """A sentence for each split (``images`` by split) whose list is missing or has no image."""
    return [f"There is no {split} list, or it is empty." for split, of_split in images.items() if not of_split]


def dataset_name(root: Path, subset: int | None) -> str:
    """The folder's name, with the test subset where there is one."""
    return root.resolve().name if subset is None else f"{root.resolve().name} (test subset {subset})"


def usual_protocol(query: Sequence[VehicleImage], gallery: Sequence[VehicleImage]) -> str:
    """``cross_camera`` where there are queries and every camera is known, else ``single_gallery_shot``."""
    cameras_known = all(image.camera_id is not None for image in (*query, *gallery))
    return "cross_camera" if query and cameras_known else "single_gallery_shot"


def _links_by_name(folder: Path) -> dict[str, bool]:
    """Each file's name in ``folder``, and whether it is a symbolic link; empty for a missing folder."""
    if not os.path.isdir(folder):  # unlike Path.is_dir, no error for a name longer than any folder's
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.is_symlink() for entry in entries if is_file(entry)}


def is_file(entry: os.DirEntry) -> bool:
    """Whether the entry of a folder is a file, or a link to one."""
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def _refuse_outside(path: Path, inside: Path | None, source: Path, line: int, name: str) -> None:
    if inside is not None and not path.resolve().is_relative_to(inside.resolve()):
        raise DataError(
            f"{source}, line {line}: {name} is a link that leads out of the folder {inside}; "
            "copy the image into the folder."
        )
