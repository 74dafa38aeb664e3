"""Features of another program in numpy's .npz, fitted to a data set: which row is which test image's."""

from __future__ import annotations

import math
import struct
import sys
import tokenize
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError
from ssrnet.files import open_regular
from ssrnet.retrieval.external.model import BRANCH
from ssrnet.retrieval.extraction import FeatureSet

MOST_UNPACKED = 64
"""Times the size of the file that its arrays may have unpacked, beyond 256 MB: paths are packed well, features hardly."""
MOST_HEADER = 65_536
SAME = 0.999
"""Cosine from which two vectors of one image are one vector that was computed twice."""


class Arrays(NamedTuple):
    """What the file holds: features (N, D) floating, paths N texts, ids and cameras N labels or None."""

    features: np.ndarray
    paths: list[str]
    ids: list[object] | None
    cameras: list[object] | None


class Taken(NamedTuple):
    """The features of a data set's test images in its order, and what of the file was left out or compared.

    ``beyond``: rows of images outside the test split. ``again``: rows of images that had a row already. ``compared``:
    which of ids and cameras were compared with the data set's and agree.
    """

    features: FeatureSet
    beyond: int
    again: int
    compared: tuple[str, ...]


def read_arrays(path: Path) -> Arrays:
    """The arrays of an .npz, with shapes and kinds as :class:`Arrays` says; no code in the file is run.

    Raises :class:`DataError` for anything else, and for features that are NaN, infinite or a zero vector.
    """
    with _opened(path) as file:
        for name in ("features", "paths"):
            if name not in file.files:
                raise DataError(
                    f"{path} has no array {name} (it has {', '.join(file.files) or 'none'}); write features (N, D) and "
                    "paths (N,) with numpy.savez."
                )
        features = _array(path, file, "features")
        if features.ndim != 2 or features.dtype.kind != "f" or not features.shape[1]:
            raise DataError(
                f"{path}: features is {features.dtype} of shape {features.shape}; expected float16, float32 or float64 "
                "of shape (N, D), a row an image."
            )
        columns = {name: _column(path, file, name, len(features)) for name in ("paths", "ids", "cameras")}
    paths = columns.pop("paths")
    if not all(isinstance(text, str) for text in paths):
        raise DataError(
            f"{path}: paths holds {type(paths[0]).__name__}, not text; write numpy.array(paths) of a list of paths."
        )
    for problem, bad in (
        ("NaN or infinity", ~np.isfinite(features).all(1)),
        ("only zeros, which have no direction", ~features.any(1)),
    ):
        if bad.any():
            raise DataError(
                f"{path}: {bad.sum():,} of {len(bad):,} features hold {problem} (the first is that of "
                f"{paths[int(bad.argmax())]}); compute these again."
            )
    return Arrays(features, paths, columns["ids"], columns["cameras"])


UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    NotImplementedError,
    MemoryError,
    SyntaxError,
    SystemError,
    OverflowError,
    RecursionError,
    tokenize.TokenError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""What numpy and zipfile raise of damaged files."""


@contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    try:
        with open_regular(path) as stream:
            if stream.read(6) == b"\x93NUMPY":
                raise DataError(f"{path} holds one array without a name; write several with numpy.savez.")
            stream.seek(0)
            file = np.load(stream, allow_pickle=False)
            with file:
                yield file
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}; check the path.") from error
    except UNREADABLE as error:
        # numpy takes what is neither .npy nor .npz for a pickle, and arrays of objects are pickles
        pickled = "Python objects instead of numbers and text" if "pickle" in str(error).lower() else str(error)
        raise DataError(
            f"{path} is no .npz that can be read safely ({pickled}); write it with numpy.savez, texts as "
            "numpy.array(list of str)."
        ) from error


def _array(path: Path, file: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """One of the arrays; first its header is asked how large it is, since a few bytes may unpack to all memory."""
    member = name if name in file.zip.namelist() else f"{name}.npy"
    if file.zip.getinfo(member).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is packed otherwise than numpy packs")
    with file.zip.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        size = struct.unpack("<H" if version == (1, 0) else "<I", stream.read(2 if version == (1, 0) else 4))[0]
        if size > MOST_HEADER:
            raise ValueError(f"{name} has a header of {size:,} bytes")
    with file.zip.open(member) as stream:
        np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(stream)
    if any(side < 0 for side in shape):
        raise ValueError(f"{name} has the shape {shape}")
    most = 2**28 + MOST_UNPACKED * path.stat().st_size
    if kind.hasobject:
        raise ValueError(f"{name} is a pickle")
    if math.prod(shape) * max(kind.itemsize, 1) > most:
        raise ValueError(f"{name} says that it is {kind} of shape {shape}, which the file is too small for")
    return file[name]


def _column(path: Path, file: np.lib.npyio.NpzFile, name: str, rows: int) -> list | None:
    if name not in file.files:
        return None
    column = _array(path, file, name)
    if column.dtype.kind not in "iufbSU":
        raise DataError(f"{path}: {name} is {column.dtype}; expected texts or numbers, one an image.")
    if column.shape != (rows,):
        raise DataError(
            f"{path}: {name} has shape {column.shape} where features has {rows:,} rows; expected ({rows},), one an image."
        )
    if column.dtype.kind == "U" and column.dtype.itemsize:
        codes = np.ascontiguousarray(column.astype(column.dtype.newbyteorder("="))).view(np.uint32)
        if codes.max(initial=0) > sys.maxunicode:  # numpy makes texts of it that Python cannot print
            raise DataError(f"{path}: {name} holds text beyond Unicode; write numpy.array(list of str).")
    values = column.tolist()
    return [value.decode(errors="surrogateescape") if isinstance(value, bytes) else value for value in values]


def take(arrays: Arrays, dataset: ReIDDataset, source: Path) -> Taken:
    """The rows of the test images, whatever the order and folder of the file's paths; ``source`` names the file.

    Raises :class:`DataError` where paths and data set do not fit, or where ids or cameras group images otherwise.
    """
    test = dataset.test
    places = _places(arrays.paths, dataset, source)
    own = np.flatnonzero(places >= 0)
    unique, first = np.unique(places[own], return_index=True)
    if len(unique) < len(test):
        absent = np.setdiff1d(np.arange(len(test)), unique)
        raise DataError(
            f"{source} has no features of {len(absent):,} of the {len(test):,} test images of {dataset.root} (the first "
            f"is {test[absent[0]].name}); write those of all queries and all gallery images."
        )
    rows = own[first]  # (len(test),): of each test image, in the data set's order
    vectors = unit_scale(arrays.features)
    _check_repeated(arrays.paths, vectors, own, rows[places[own]], source)
    compared = []
    for name, given, field in (("ids", arrays.ids, "vehicle_id"), ("cameras", arrays.cameras, "camera_id")):
        known = [int(row) for row in own if getattr(test[places[row]], field) is not None]
        if given is not None and known:
            images = [test[places[row]] for row in known]
            _check_labels(name, [given[row] for row in known], images, field, dataset, source)
            compared.append(name)
    features = FeatureSet(
        torch.from_numpy(vectors[rows]), tuple(image.name for image in test), {BRANCH: vectors.shape[1]}
    )
    return Taken(features, len(places) - len(own), len(own) - len(rows), tuple(compared))


def unit_scale(features: np.ndarray) -> np.ndarray:
    """(N, D) float32: each row times a power of two, by which its largest number lies in [2^14, 2^15).

    No cosine changes, by not a bit, and float16, in which features are kept, neither overflows nor loses small numbers.
    """
    exponents = np.frexp(np.abs(features).max(1))[1]
    return np.ldexp(features.astype(np.float64), 15 - exponents[:, None].astype(np.int64)).astype(np.float32)


def _places(paths: Sequence[str], dataset: ReIDDataset, source: Path) -> np.ndarray:
    """(N,) int64: the position in the test split of each path's image, -1 for images outside of it.

    A path's longest end that the data set knows decides: a name, or the last one or two parts of an image's path.
    """
    place = {image.name: i for i, image in enumerate(dataset.test)}
    tested = (*dataset.query, *dataset.gallery)
    files = {image.path for image in tested}
    known: dict[str, set[int]] = defaultdict(set)
    for images, outside in ((tested, False), (dataset.train, True)):
        for image in images:
            if outside and image.path in files:  # a manifest may train and test on one image
                continue
            for key in {image.name, image.path.name, "/".join(image.path.parts[-2:])}:
                known[key].add(-1 if outside else place[image.name])
    deepest = max((key.count("/") for key in known), default=0) + 1
    found, unknown, unclear = [], [], []
    for path in paths:
        parts = path.replace("\\", "/").split("/")[-deepest:]
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        candidates = next((known[end] for end in ends if end in known), None)
        if candidates is None:
            unknown.append(path)
        elif len(candidates) > 1:
            unclear.append(path)
        else:
            found.append(next(iter(candidates)))
    if unknown:
        raise DataError(
            f"{source}: {len(unknown):,} of {len(paths):,} paths are of no image in {dataset.root} (the first is "
            f"{unknown[0]}, where the data set has {dataset.test[0].name}); open the data set that the features are of, "
            "or leave these rows out."
        )
    if unclear:
        raise DataError(
            f"{source}: {len(unclear):,} of {len(paths):,} paths fit several images in {dataset.root} (the first is "
            f"{unclear[0]}); write paths with their folders."
        )
    return np.array(found, dtype=np.int64)


def _check_repeated(
    paths: Sequence[str], vectors: np.ndarray, rows: np.ndarray, first: np.ndarray, source: Path
) -> None:
    """Rows of one image must be one vector; ``first`` is the row that is taken in place of each of ``rows``."""
    again = rows != first
    a, b = vectors[rows[again]], vectors[first[again]]
    cosine = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
    other = np.flatnonzero(cosine < SAME)
    if len(other):
        path = paths[rows[again][other[0]]]
        raise DataError(
            f"{source} names {len(other):,} images twice with different features (the first is {path}); keep one row "
            "an image."
        )


def _check_labels(
    name: str, given: Sequence[object], images: Sequence[VehicleImage], field: str, dataset: ReIDDataset, source: Path
) -> None:
    """The file must group the images as the data set does; what a group is called is the framework's own affair.

    torchreid and fast-reid count cameras from 0, and make numbers of ids.
    """
    own = [getattr(image, field) for image in images]
    usual_own, usual_given = _usual(given, own), _usual(own, given)
    wrong = [i for i, (a, b) in enumerate(zip(given, own)) if usual_own[a] != b or usual_given[b] != a]
    if wrong:
        i = wrong[0]
        raise DataError(
            f"{source}: {name} contradict {dataset.root} for {len(wrong):,} of {len(images):,} images (the first is "
            f"{images[i].name}: {given[i]} in the file, {own[i]} in the data set); numbers may differ, but the same "
            f"images must share one: check that features, paths and {name} are in one order."
        )


def _usual(keys: Sequence[object], values: Sequence[object]) -> dict[object, object]:
    """The value that comes most often with each key."""
    counts: dict[object, Counter] = defaultdict(Counter)
    for key, value in zip(keys, values):
        counts[key][value] += 1
    return {key: counter.most_common(1)[0][0] for key, counter in counts.items()}
