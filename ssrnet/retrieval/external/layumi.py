"""Reads features of layumi's Person_reID_baseline_pytorch, whose ``test.py`` writes them as ``pytorch_result.mat``.

The file names no images. Its rows are in the order of torchvision's ImageFolder: folders of vehicles sorted by name, and
in each the file names sorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError
from ssrnet.files import open_regular
from ssrnet.retrieval.external.arrays import Arrays, check_vectors

SUFFIX = ".mat"
NAMES = tuple(f"{split}_{kind}" for split in ("query", "gallery") for kind in ("f", "label", "cam"))
FALSE_DETECTION = -1
"""Label of gallery images that show no vehicle, which a data set of this package does not have."""


def read_result(path: Path, dataset: ReIDDataset) -> Arrays:
    """The arrays of a ``pytorch_result.mat``, each row with the path of its image in ``dataset``.

    Cameras are left out where the file tells fewer apart: it has the first digit of a camera's number alone.
    Raises :class:`DataError` for other files, for another number of rows than ``dataset`` has images, for labels that
    are not those of its images in that order, and as :func:`check_vectors`.
    """
    arrays = _load(path)
    parts = [_rows_of(path, split, arrays, getattr(dataset, split), dataset) for split in ("query", "gallery")]
    images = [image for of_split, _ in parts for image in of_split]
    columns = (np.concatenate([rows[column] for _, rows in parts]) for column in range(3))
    features, labels, cameras = columns
    paths = [str(image.path) for image in images]
    check_vectors(path, features, paths)
    known = [image.camera_id for image in images]
    pairs = len(set(zip(known, cameras.tolist(), strict=True)))
    fewer = len(set(cameras.tolist())) < len(set(known)) == pairs
    return Arrays(features, paths, labels.tolist(), None if fewer else cameras.tolist())


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with open_regular(path) as stream:
            arrays = loadmat(stream, variable_names=NAMES)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}; check the path.") from error
    except Exception as error:  # on damaged files scipy raises anything from TypeError to zlib.error
        raise DataError(f"{path} is no .mat file that scipy.io reads ({error}); write it with savemat.") from error
    absent = [name for name in NAMES if name not in arrays]
    if absent:
        raise DataError(
            f"{path} has no {absent[0]}; a pytorch_result.mat has {', '.join(NAMES)}, and other features are imported "
            "from .npz."
        )
    return arrays


def _rows_of(
    path: Path, split: str, arrays: dict[str, np.ndarray], images: Sequence[VehicleImage], dataset: ReIDDataset
) -> tuple[list[VehicleImage], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The images of a split in the file's order, and their features (N, D), labels (N,) and cameras (N,)."""
    features = arrays[f"{split}_f"]
    labels, cameras = (arrays[f"{split}_{kind}"].reshape(-1) for kind in ("label", "cam"))
    if features.ndim != 2 or features.dtype.kind != "f" or not len(features) == len(labels) == len(cameras):
        raise DataError(
            f"{path}: {split}_f is {features.dtype} of shape {features.shape}, with {len(labels):,} labels and "
            f"{len(cameras):,} cameras; expected floating-point (N, D), N labels and N cameras."
        )
    kept = np.flatnonzero(labels != FALSE_DETECTION) if len(labels) != len(images) else np.arange(len(labels))
    if len(kept) != len(images):
        raise DataError(
            f"{path} has {len(kept):,} rows of the {split} where {dataset.root} has {len(images):,} images; open the data "
            "set that the features are of."
        )
    ordered = sorted(images, key=lambda image: (image.vehicle_id, image.path.name))
    for row, image in zip(kept.tolist(), ordered, strict=True):
        if image.vehicle_id.isdecimal() and int(image.vehicle_id) != labels[row]:
            raise DataError(
                f"{path}: {split}_label is {labels[row]} in row {row + 1:,} where {dataset.root} has {image.name} in the "
                "order of ImageFolder; open the data set that the features are of."
            )
    return ordered, (features[kept], labels[kept], cameras[kept])
