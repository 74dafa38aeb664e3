"""Labels on the disk: a manifest that is written after every answer, read back whole, and opens as a data set.

The images of each vehicle are in its gallery, from which single_gallery_shot draws one and takes the others as queries: over
its seeds each image is a query, and none is ranked against itself. An image without a vehicle is a line that the reader
counts and skips: it may show any of the vehicles, so it can be neither a match nor an error.
"""

from __future__ import annotations

import hashlib
import io
import json
import os.path
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssrnet.data.labels import NUMBERED, ContradictionError, Labels, ordered
from ssrnet.data.manifest_files import can_be_written, image_folder, manifest_text
from ssrnet.data.readers.csv_manifest import FOLDER, PAIRS, REQUIRED
from ssrnet.data.readers.text_files import Row, csv_rows, decode
from ssrnet.data.records import UNLABELLED, VehicleImage
from ssrnet.errors import DataError
from ssrnet.files import read_bytes, write_atomically

NO_FILE = ""
"""The state of a file that is not there."""
_writing = threading.Lock()


@dataclass(frozen=True)
class KeptLabels:
    """Labels as a file had them, the folder of their images, and the file's state: a hash of its content."""

    labels: Labels
    folder: Path
    state: str


def read_labels(path: Path) -> KeptLabels | None:
    """The labels in a file of :func:`write_labels`, also where its vehicles were edited by hand; None without a file.

    Raises :class:`DataError` for a file that labelling has not written, and for answers that contradict each other.
    """
    return labels_in(_content(path), path) if path.exists() else None


def labels_in(content: bytes, path: Path) -> KeptLabels:
    """The labels in the content of such a file, which messages call ``path``; raises as :func:`read_labels`."""
    rows = list(csv_rows(io.StringIO(decode(content, path), newline=""), path, REQUIRED))
    if not rows or any(column not in rows[0].values for column in PAIRS):
        raise DataError(
            f"{path} is no file of labels: it lacks the columns {' and '.join(PAIRS)}; choose another file."
        )
    pairs = [{(row.values["image"], other) for row in rows for other in _names(path, row, column)} for column in PAIRS]
    of_vehicle: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.values["vehicle_id"]:
            of_vehicle[row.values["vehicle_id"]].append(row.values["image"])
    named = {images[0]: vehicle for vehicle, images in of_vehicle.items() if not NUMBERED.fullmatch(vehicle)}
    try:
        labels = Labels(ordered(pairs[0]))
        by_hand = {
            pair
            for images in of_vehicle.values()
            for pair in zip(images, images[1:])
            if labels.relation(*pair) != "same"
        }
        labels = Labels(ordered(pairs[0] | by_hand), ordered(pairs[1]), named)
    except ContradictionError as error:
        raise ContradictionError(f"{path}: {error}") from error
    folder = path.parent / rows[0].values.get(FOLDER, "")
    return KeptLabels(labels, folder, _state(content))


def write_labels(path: Path, folder: Path, images: Iterable[VehicleImage], labels: Labels, state: str) -> str:
    """Writes ``labels`` of ``images``, which are in ``folder``, and returns the file's new state.

    Raises :class:`DataError` where the file is not in ``state`` any more: another viewer has written it, or a file that is
    not ours is there. It is then as it was, as where it cannot be written (:class:`ResourceError`).
    """
    content = labels_text(path, folder, images, labels).encode()
    with _writing:
        if _state(_content(path)) != state:
            raise DataError(
                f"{path} was written by someone else since it was read here; take its labels, or save to another place."
            )
        write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return _state(content)


def labels_text(path: Path, folder: Path, images: Iterable[VehicleImage], labels: Labels) -> str:
    """What a file at ``path`` would have: a line for each image, and for each labelled image that is there no more."""
    cameras = {image.name: image.camera_id or "" for image in images if can_be_written(image.name)}
    pairs: dict[str, dict[str, list[str]]] = {column: defaultdict(list) for column in PAIRS}
    for column, of_column in zip(PAIRS, (labels.same, labels.other), strict=True):
        for a, b in sorted(of_column):
            pairs[column][a].append(b)
    where, rows = image_folder(path, folder), []
    for name in sorted({*cameras, *labels.vehicle_of, *(name for pair in labels.other for name in pair)}):
        vehicle = labels.vehicle_of.get(name, "")
        row = {"image": name, "vehicle_id": vehicle, "split": "gallery" if vehicle else UNLABELLED}
        row |= {"camera_id": cameras.get(name, ""), FOLDER: where}
        row |= {
            column: json.dumps(pairs[column][name], ensure_ascii=False) for column in PAIRS if name in pairs[column]
        }
        rows.append(row)
    return manifest_text(rows, (*REQUIRED, *PAIRS))


def is_of_folder(kept: KeptLabels, folder: Path) -> bool:
    """Whether the labels are those of the images in ``folder``."""
    return os.path.realpath(kept.folder) == os.path.realpath(folder)


def _names(path: Path, row: Row, column: str) -> Sequence[str]:
    text = row.values[column]
    try:
        names = json.loads(text) if text else []
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f'{path}, line {row.line}: {column} is {text[:60]!r}; write a list such as ["a.jpg", "b.jpg"].')
    return names


def _content(path: Path) -> bytes:
    """The file's bytes; none where there is no file."""
    try:
        return read_bytes(path)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); choose another place.") from error


def _state(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if content else NO_FILE
