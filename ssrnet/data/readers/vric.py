"""VRIC, Vehicle Re-Identification in Context (Kanaci et al., GCPR 2018).

``vric_train.txt``, ``vric_probe.txt`` and ``vric_gallery.txt`` with lines ``image vehicle camera``, whose images lie in
``train_images``, ``probe_images`` and ``gallery_images``; image names say no vehicle. A probe has one match in the gallery.
"""

from __future__ import annotations

from pathlib import Path

from ssrnet.data.readers.common import (
    ListedImage,
    SkipTally,
    check_splits,
    choose_subset,
    keep_existing,
    list_notes,
    usual_protocol,
)
from ssrnet.data.readers.text_files import fields_of, read_lines
from ssrnet.data.records import ReIDDataset, VehicleImage

LAYOUT = "VRIC"
EXPECTS = "vric_train.txt, vric_probe.txt, vric_gallery.txt and the folders of their images"
SPLITS = {
    "train": ("vric_train.txt", "train_images"),
    "query": ("vric_probe.txt", "probe_images"),
    "gallery": ("vric_gallery.txt", "gallery_images"),
}


def recognise(root: Path) -> str | None:
    lists = [name for name, folder in SPLITS.values() if (root / name).is_file() and (root / folder).is_dir()]
    return f"it holds {', '.join(lists)} and the folders of their images" if lists else None


def subsets(root: Path) -> tuple[int, ...]:
    return ()


def read(root: Path, why: str, subset: int | None = None) -> ReIDDataset:
    """Raises :class:`DataError` for a list without any of its images, and if no image can be used."""
    choose_subset(root, subsets(root), subset)
    skips = SkipTally()
    images = {
        split: keep_existing(_read_list(root / name, root / folder, skips), root / name, split, skips)
        for split, (name, folder) in SPLITS.items()
    }
    train, query, gallery = images.values()
    check_splits(root, train, query, gallery, skips, "its lists name none")
    notes = list_notes(images)
    protocol = usual_protocol(query, gallery)
    return ReIDDataset(root.resolve().name, root, LAYOUT, why, train, query, gallery, protocol, skips.skipped(), notes)


def _read_list(source: Path, folder: Path, skips: SkipTally) -> list[ListedImage]:
    """What the lines name; an image whose line ends after the vehicle has no camera, further fields are ignored."""
    listed = []
    for line, text in read_lines(source) if source.is_file() else []:
        name, vehicle, camera, *_ = (*fields_of(text), "", "")
        if not vehicle or "/" in name or "\0" in name:
            skips.add(f"line without an image and a vehicle, in {source.name}", f"line {line}: {text[:60]}")
        else:
            listed.append(ListedImage(line, VehicleImage(folder / name, name, vehicle, camera or None)))
    return listed
