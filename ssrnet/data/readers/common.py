"""What the readers share: counting skipped files, listing each folder once, checking the splits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
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


class NoImagesError(DataError):
    """A folder in a known layout without one image that can be used."""


@dataclass(frozen=True)
class ListedImage:
    """An image that a list names, and the list's 1-based line that names it."""

    line: int
    image: VehicleImage


def present(root: Path, names: Sequence[str]) -> list[str]:
    """Those of ``names`` that are folders in ``root``."""
    return [name for name in names if (root / name).is_dir()]


def holds_only_folders(root: Path, names: Sequence[str]) -> bool:
    """Whether there are folders, and no image, in those of ``names`` that are folders in ``root``."""
    folders = [root / name for name in present(root, names)]
    return not any(map(holds_images, folders)) and any(map(inner_folders, folders))


def holds_images(folder: Path) -> bool:
    """Whether an image lies in ``folder`` itself; reads no further than the first one."""
    return any(is_image(entry) for entry in entries_of(folder))


def inner_folders(folder: Path) -> list[str]:
    """The names of the folders in ``folder``, sorted, without hidden ones and what a Mac packs into a zip file."""
    names = (entry.name for entry in entries_of(folder) if is_folder(entry))
    return sorted(name for name in names if not name.startswith(".") and name != "__MACOSX")


def entries_of(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The entries of ``folder`` in the file system's order; none where there is no such folder."""
    if os.path.isdir(folder):  # unlike Path.is_dir, no error for a name longer than any folder's
        with os.scandir(folder) as entries:
            yield from entries


def is_folder(entry: os.DirEntry[str]) -> bool:
    """False also for a link that leads to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """False also for a link that leads to itself."""
    try:
        return entry.is_file()
    except OSError:
        return False


def is_image(entry: os.DirEntry[str]) -> bool:
    """Whether ``entry`` is a file that its name says to be an image, and not hidden: a Mac puts a ``._a.jpg`` beside a.jpg."""
    suffix = os.path.splitext(entry.name)[1].lower()
    return suffix in IMAGE_SUFFIXES and not entry.name.startswith(".") and is_file(entry)


def numbered_lists(folder: Path, pattern: re.Pattern[str]) -> tuple[int, ...]:
    """The sizes in the names of the lists in ``folder`` (``test_list_(\\d+)\\.txt``), smallest first."""
    if not folder.is_dir():
        return ()
    matches = (pattern.fullmatch(name) for name in os.listdir(folder))
    return tuple(sorted({int(match[1]) for match in matches if match}))


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

    ``pattern`` matches the name without its suffix and has the groups ``vehicle`` and ``camera``, which is put in lower
    case. ``attributes`` are by image name. Other files, and folders, are counted in ``skips``.
    """
    images = []
    for entry in sorted(entries_of(folder), key=lambda entry: entry.name):
        name = entry.name
        stem, suffix = os.path.splitext(name)
        match = pattern.fullmatch(stem)
        if is_folder(entry):
            skips.add(f"a folder, in {folder.name}", name)
        elif not is_file(entry):
            continue
        elif suffix.lower() not in IMAGE_SUFFIXES:
            skips.add(f"not an image file, in {folder.name}", name)
        elif match is None:
            skips.add(f"no vehicle and camera in the name, in {folder.name}", name)
        else:
            images.append(
                VehicleImage(folder / name, name, match["vehicle"], match["camera"].lower(), attributes.get(name, {}))
            )
    return images


def keep_existing(
    listed: Sequence[ListedImage], source: Path, split: str, skips: SkipTally, inside: Path | None = None
) -> list[VehicleImage]:
    """Those of ``listed`` whose files exist, in the order of the list ``source``; the rest go to ``skips``.

    Each folder is listed once: looking for 200,000 files one by one takes minutes on a network drive.
    Raises :class:`DataError` if two lines name one image or if a link leads out of the folder ``inside``, and
    :class:`NoImagesError` if no image of the list exists.
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
        raise NoImagesError(
            f"{source}: not one of the {len(listed):,} images of the {split} split was found "
            f"(the first would be {listed[0].image.path}); unpack the images there or correct the list."
        )
    return existing


def check_flat(root: Path, images: Mapping[str, Sequence[VehicleImage]]) -> None:
    """Raises :class:`DataError` where the images of one split lie in its folder, and those of another in folders in it.

    ``images`` are those found in each split's folder itself, by its name.
    """
    flat = [name for name, of_folder in images.items() if of_folder]
    nested = [name for name in images if name not in flat and holds_only_folders(root, [name])]
    if flat and nested:
        raise DataError(
            f"{root} has the images of {flat[0]} side by side, and those of {nested[0]} in folders; move them into "
            f"{nested[0]} itself, or give each vehicle a folder of its own in {flat[0]} too."
        )


def check_splits(
    source: Path,
    train: Sequence[VehicleImage],
    query: Sequence[VehicleImage],
    gallery: Sequence[VehicleImage],
    skips: SkipTally,
    nothing: str = "its folders hold none",
) -> None:
    """Raises :class:`NoImagesError` for a data set without any image, :class:`DataError` for queries without a gallery.

    ``nothing`` is the reason for no image where none was skipped.
    """
    if not (train or query or gallery):
        skipped = "; ".join(map(str, skips.skipped())) or nothing
        raise NoImagesError(
            f"{source} has neither training nor test images: {skipped}; add images or open another folder."
        )
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
    return [
        f"There is no {split} list, or it names no image that can be used."
        for split, of_split in images.items()
        if not of_split
    ]


def dataset_name(root: Path, subset: int | None) -> str:
    """The folder's name, with the test subset where there is one."""
    return root.resolve().name if subset is None else f"{root.resolve().name} (test subset {subset})"


def usual_protocol(query: Sequence[VehicleImage], gallery: Sequence[VehicleImage]) -> str:
    """``cross_camera`` where there are queries and every camera is known, else ``single_gallery_shot``."""
    cameras_known = all(image.camera_id is not None for image in (*query, *gallery))
    return "cross_camera" if query and cameras_known else "single_gallery_shot"


def _links_by_name(folder: Path) -> dict[str, bool]:
    """Each file's name in ``folder``, and whether it is a symbolic link; empty for a missing folder."""
    return {entry.name: entry.is_symlink() for entry in entries_of(folder) if is_file(entry)}


def _refuse_outside(path: Path, inside: Path | None, source: Path, line: int, name: str) -> None:
    if inside is not None and not path.resolve().is_relative_to(inside.resolve()):
        raise DataError(
            f"{source}, line {line}: {name} is a link that leads out of the folder {inside}; "
            "copy the image into the folder."
        )
