"""Opens a re-identification data set, whatever its layout.

========== =========================================== =========================================
layout     recognised by                               protocol that it names
========== =========================================== =========================================
CityFlow   VeRi's folders and train_label.xml (query,  cross_camera, if test_label.xml is there
           test), image names without vehicles
VeRi       image_train, image_query or image_test      cross_camera
VehicleID  image and the lists in train_test_split     single_gallery_shot
VERI-Wild  images and the lists in train_test_split    cross_camera, if vehicle_info.txt is there
Market     bounding_box_train or bounding_box_test     cross_camera
VRIC       vric_train.txt (probe, gallery), folders    cross_camera, if cameras are in the lists
CSV        manifest.csv, or the path of a CSV file     cross_camera, if cameras and queries are
Folders    folders with the images of a vehicle each   cross_camera, if cameras and queries are
unlabelled image files, in any folders                 unlabelled: it ranks, and gives no scores
========== =========================================== =========================================

They are tried in this order: a VeRi folder's manifest.csv only adds attributes. Where a layout is recognised and none of
its images is there, manifest.csv is read in its place. Naming a layout overrides what is recognised. A zip file named by
path is unpacked and read as the folder that it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from ssrnet.data.label_checks import settle_labels
from ssrnet.data.readers import (
    cityflow,
    csv_manifest,
    folder,
    market,
    vehicle_folders,
    vehicleid,
    veri,
    veri_wild,
    vric,
)
from ssrnet.data.readers.common import NoImagesError
from ssrnet.data.readers.zip_files import unpack
from ssrnet.data.records import Reading, ReIDDataset, VehicleImage
from ssrnet.errors import DataError, one_line

READERS: tuple[ModuleType, ...] = (
    cityflow,
    veri,
    vehicleid,
    veri_wild,
    market,
    vric,
    csv_manifest,
    vehicle_folders,
    folder,
)
NUMBERED = {reader.LAYOUT for reader in (cityflow, veri, vehicleid, veri_wild, market, vric)}
"""Layouts whose vehicles and cameras are numbers, so that 20 and 0020 are one."""
LAYOUTS = tuple(reader.LAYOUT for reader in READERS)
NAMES_SHOWN, LONGEST_SHOWN = 3, 40
"""Folders that a sentence names, and the most characters of each."""


def open_dataset(root: str | Path, subset: int | None = None, layout: str | None = None) -> ReIDDataset:
    """The data set in ``root``: a folder in one of the layouts above, a zip file of one, or a CSV file.

    ``subset`` is the number of test vehicles for VehicleID (800, 1600, 2400) and VERI-Wild (3000, 5000,
    10000); by default the smallest that is there. ``layout`` is one of the names above, in any case; by default the
    layout is recognised. Images are not opened, but for files of one name in query and gallery, whose bytes may be
    compared. Labels are settled by :func:`ssrnet.data.label_checks.settle_labels`.

    Raises :class:`DataError` if nothing is there, if no layout matches or has that name, or as the layout's reader says.
    """
    root = _expanded(root)
    with _readable(root):
        recognised = _recognise(root, layout)
        try:
            dataset = recognised.reader.read(recognised.root, recognised.why, subset)
        except NoImagesError as error:
            if layout is not None or recognised.reader is csv_manifest or not csv_manifest.recognise(recognised.root):
                raise
            dataset = _manifest_instead(recognised, subset, error)
        if layout is None:
            dataset = replace(dataset, reading=_reading(dataset))
        return settle_labels(dataset, numbered=dataset.layout in NUMBERED)


def _reading(dataset: ReIDDataset) -> Reading | None:
    """What a tree of images was taken for, where it may be the other of the two layouts that are told by no name."""
    if dataset.layout == vehicle_folders.LAYOUT:
        vehicles = sorted({image.vehicle_id for image in (*dataset.train, *dataset.test)})
        taken_for = f"Read as one folder a vehicle: {len(vehicles):,} vehicles ({_some(vehicles)})."
        return Reading(taken_for, "If these folders are not vehicles, read it as unlabelled", folder.LAYOUT)
    if dataset.layout == folder.LAYOUT and vehicle_folders.may_hold_vehicles(dataset.root):
        inner = sorted({image.name.partition("/")[0] for image in dataset.gallery if "/" in image.name})
        taken_for = f"Read as images without labels, in {len(inner):,} folders ({_some(inner)})."
        return Reading(taken_for, "If each of these folders is a vehicle, read it as such", vehicle_folders.LAYOUT)
    return None


def _some(names: Sequence[str]) -> str:
    """The first of ``names``, and whether there are more."""
    shown = [one_line(name, LONGEST_SHOWN) for name in names[:NAMES_SHOWN]]
    return ", ".join([*shown, *["..."] * (len(names) > NAMES_SHOWN)])


def _manifest_instead(recognised: _Recognised, subset: int | None, no_images: NoImagesError) -> ReIDDataset:
    """The data set that the manifest describes, where the recognised layout has ``no_images``."""
    try:
        dataset = csv_manifest.read(recognised.root, "it holds manifest.csv", subset)
    except DataError as error:
        raise DataError(f"{str(no_images).removesuffix('.')}; its manifest.csv does not help: {error}") from error
    note = (
        f"Read from manifest.csv, since as {recognised.reader.LAYOUT} ({recognised.why}) it has no image: {no_images}"
    )
    return replace(dataset, notes=(note, *dataset.notes))


def open_training_data(
    root: str | Path, subset: int | None = None, more: Sequence[str | Path] = (), layout: str | None = None
) -> ReIDDataset:
    """``open_dataset(root, subset, layout)`` with the training images of further data sets added.

    Vehicles and cameras of different data sets stay different: the second data set's images, vehicles and cameras
    get ``2/`` before their names, the third's ``3/``. Query and gallery stay those of ``root``, and
    further data sets are read as they are recognised.
    Raises as :func:`open_dataset`, and :class:`DataError` for further data without training images.
    """
    return join_training_data(open_training_parts(root, subset, more, layout))


def open_training_parts(
    root: str | Path, subset: int | None = None, more: Sequence[str | Path] = (), layout: str | None = None
) -> tuple[ReIDDataset, ...]:
    """The separate data sets that :func:`open_training_data` joins; raises as it does."""
    parts = [open_dataset(root, subset, layout)]
    parts[0].check_labelled("training")
    for each in more:
        further = open_dataset(each)
        if not further.train:
            raise DataError(f"{further.root} has no training images to add; leave it out of --more-data.")
        parts.append(further)
    return tuple(parts)


def join_training_data(parts: Sequence[ReIDDataset]) -> ReIDDataset:
    """The first of ``parts`` with the training images of all, as :func:`open_training_data` names them."""
    first, *further = parts
    train = list(first.train)
    for number, one in enumerate(further, start=2):
        train += [_apart(image, f"{number}/") for image in one.train]
    return replace(
        first, name=" + ".join(one.name for one in parts), train=train, damaged=sum(one.damaged for one in parts)
    )


def _apart(image: VehicleImage, prefix: str) -> VehicleImage:
    camera = None if image.camera_id is None else prefix + image.camera_id
    return replace(image, name=prefix + image.name, vehicle_id=prefix + image.vehicle_id, camera_id=camera)


def available_subsets(root: str | Path, layout: str | None = None) -> tuple[int, ...]:
    """The values that ``open_dataset(root, subset, layout)`` takes, smallest first; empty for a layout without.

    Raises :class:`DataError` if nothing is there, or no layout matches or has that name.
    """
    root = _expanded(root)
    with _readable(root):
        recognised = _recognise(root, layout)
        return recognised.reader.subsets(recognised.root)


class Ways(NamedTuple):
    """What a path that is no data set as it is can be read as: layouts to name, and a data set inside it."""

    layouts: tuple[str, ...]
    inner: Path | None


def ways_to_read(root: Path) -> Ways:
    """Of the layouts that are told by no name those that would find images in ``root``; empty where it cannot be read."""
    try:
        layouts = tuple(reader.LAYOUT for reader in (vehicle_folders, folder) if reader.recognise(root))
        return Ways(layouts, _inner(root))
    except (OSError, DataError):
        return Ways((), None)


def _expanded(root: str | Path) -> Path:
    try:
        return Path(root).expanduser()
    except RuntimeError as error:  # "~nobody"
        raise DataError(f"{root} is in the home of a user that does not exist; give the whole path.") from error


@dataclass(frozen=True)
class _Recognised:
    reader: ModuleType
    root: Path
    """The folder or CSV file that the reader reads: of a zip file, what it was unpacked to."""
    why: str


@contextmanager
def _readable(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or root
        why = error.strerror or error
        raise DataError(f"{where} cannot be read ({why}); check the path and its permissions.") from error
    except RuntimeError as error:
        if "ymlink loop" not in str(error):
            raise
        raise DataError(f"{root} has a link in it that leads to itself ({error}); remove that link.") from error


def _recognise(root: Path, layout: str | None) -> _Recognised:
    if not root.exists():
        raise DataError(f"{root} does not exist; give the path of a data set's folder or of a CSV file.")
    if root.is_file() and root.suffix.lower() == ".zip":
        root = unpack(root)
    if layout is not None:
        return _Recognised(_reader(layout), root, "as you named it")
    for reader in READERS:
        if reader is folder and (inner := _inner(root)):
            raise DataError(
                f"{root} is no data set in a known layout, but {inner} in it is one: found {folder.describe_files(root)}; open "
                f"{inner} instead, or read all of them without labels, by --layout {folder.LAYOUT} or Read as in the app."
            )
        why = reader.recognise(root)
        if why:
            return _Recognised(reader, root, why)
    raise DataError(_unrecognised(root))


def _inner(root: Path) -> Path | None:
    """The first folder in ``root`` whose content has a layout's names: archives often unpack into a folder in a folder."""
    folders = (entry for entry in sorted(root.iterdir()) if entry.is_dir()) if root.is_dir() else ()
    named = [reader for reader in READERS if reader not in (vehicle_folders, folder)]
    return next((each for each in folders if any(reader.recognise(each) for reader in named)), None)


def _reader(layout: str) -> ModuleType:
    for reader in READERS:
        if reader.LAYOUT.casefold() == layout.casefold():
            return reader
    raise DataError(f"{layout!r} is no layout of a data set; name one of {', '.join(LAYOUTS)}.")


def _unrecognised(root: Path) -> str:
    if root.is_file():
        return f"{root} is a file but neither a CSV nor a zip file; give a data set's folder, or a file ending in .csv or .zip."
    return (
        f"{root} holds no image: found {folder.describe_files(root)}; open a folder of JPEG, PNG, WebP, BMP or TIFF images, or "
        "a CSV file that names them."
    )
