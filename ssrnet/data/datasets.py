"""Opens a re-identification data set, whatever its layout.

========= ============================================ ==========================================
layout    recognised by                                protocol that it names
========= ============================================ ==========================================
VeRi      image_train, image_query or image_test       cross_camera
VehicleID image and the lists in train_test_split      single_gallery_shot
VERI-Wild images and the lists in train_test_split     cross_camera, if vehicle_info.txt is there
Market    bounding_box_train or bounding_box_test      cross_camera
CSV       manifest.csv, or the path of a CSV file      cross_camera, if cameras and queries are
========= ============================================ ==========================================

They are tried in this order: a VeRi folder's manifest.csv only adds attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from ssrnet.data.readers import csv_manifest, market, vehicleid, veri, veri_wild
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError

READERS: tuple[ModuleType, ...] = (veri, vehicleid, veri_wild, market, csv_manifest)
ENTRIES_SHOWN = 8


def open_dataset(root: str | Path, subset: int | None = None) -> ReIDDataset:
    """The data set in ``root``: a folder in one of the layouts above, or a CSV file.

    ``subset`` is the number of test vehicles for VehicleID (800, 1600, 2400) and VERI-Wild (3000, 5000,
    10000); by default the smallest that is there. Images are not opened.

    Raises :class:`DataError` if nothing is there, if no layout matches, or as the layout's reader says.
    """
    root = _expanded(root)
    with _readable(root):
        recognised = _recognise(root)
        return recognised.reader.read(root, recognised.why, subset)


def open_training_data(root: str | Path, subset: int | None = None, more: Sequence[str | Path] = ()) -> ReIDDataset:
    """``open_dataset(root, subset)`` with the training images of further data sets added.

    Vehicles and cameras of different data sets stay different: the second data set's images, vehicles and cameras
    get ``2/`` before their names, the third's ``3/``. Query and gallery stay those of ``root``.
    Raises as :func:`open_dataset`, and :class:`DataError` for further data without training images.
    """
    return join_training_data(open_training_parts(root, subset, more))


def open_training_parts(
    root: str | Path, subset: int | None = None, more: Sequence[str | Path] = ()
) -> tuple[ReIDDataset, ...]:
    """The separate data sets that :func:`open_training_data` joins; raises as it does."""
    parts = [open_dataset(root, subset)]
    for folder in more:
        further = open_dataset(folder)
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
    return replace(first, name=" + ".join(one.name for one in parts), train=train)


def _apart(image: VehicleImage, prefix: str) -> VehicleImage:
    camera = None if image.camera_id is None else prefix + image.camera_id
    return replace(image, name=prefix + image.name, vehicle_id=prefix + image.vehicle_id, camera_id=camera)


def available_subsets(root: str | Path) -> tuple[int, ...]:
    """The values that ``open_dataset(root, subset)`` takes, smallest first; empty for a layout without.

    Raises :class:`DataError` if nothing is there or no layout matches.
    """
    root = _expanded(root)
    with _readable(root):
        return _recognise(root).reader.subsets(root)


def _expanded(root: str | Path) -> Path:
    try:
        return Path(root).expanduser()
    except RuntimeError as error:  # "~nobody"
        raise DataError(f"{root} is in the home of a user that does not exist; give the whole path.") from error


@dataclass(frozen=True)
class _Recognised:
    reader: ModuleType
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


def _recognise(root: Path) -> _Recognised:
    if not root.exists():
        raise DataError(f"{root} does not exist; give the path of a data set's folder or of a CSV file.")
    for reader in READERS:
        why = reader.recognise(root)
        if why:
            return _Recognised(reader, why)
    if root.is_file():
        raise DataError(f"{root} is a file but not a CSV; give a data set's folder or a file ending in .csv.")
    raise DataError(_unrecognised(root))


def _unrecognised(root: Path) -> str:
    entries = sorted(root.iterdir())
    shown = entries[:ENTRIES_SHOWN]
    names = ", ".join(entry.name for entry in shown) or "nothing"
    if len(entries) > ENTRIES_SHOWN:
        names += f" and {len(entries) - ENTRIES_SHOWN:,} more"
    expected = "; ".join(f"{reader.LAYOUT}: {reader.EXPECTS}" for reader in READERS)
    # Archives often unpack into a folder in a folder.
    inner = next((entry for entry in shown if any(reader.recognise(entry) for reader in READERS)), None)
    advice = f"open {inner} instead" if inner else "open the folder that holds these, or add a manifest.csv"
    return f"{root} is no data set in a known layout: found {names}; expected one of ({expected}); {advice}."
