"""Matches features of another program to the test images of a data set, by their paths."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError
from ssrnet.retrieval.external.arrays import Arrays
from ssrnet.retrieval.external.model import BRANCH
from ssrnet.retrieval.extraction import FeatureSet

SAME_VECTOR = 0.999
"""Cosine from which two vectors of one image count as one vector that was computed twice."""


class Matched(NamedTuple):
    """The features of a data set's test images, in its order.

    ``outside_test``: rows of images outside the test split, ``duplicates``: further rows of an image; both are
    dropped. ``verified``: which of ids and cameras agree with the data set's.
    """

    features: FeatureSet
    outside_test: int
    duplicates: int
    verified: tuple[str, ...]


def match_to_dataset(arrays: Arrays, dataset: ReIDDataset, source: Path) -> Matched:
    """The rows of the data set's test images, whatever the order and folders of the paths; ``source`` names the file.

    Raises :class:`DataError` where paths and data set do not match, or where ids or cameras group images differently.
    """
    test = dataset.test
    positions = _test_positions(arrays.paths, dataset, source)
    rows = np.flatnonzero(positions >= 0)
    images, first = np.unique(positions[rows], return_index=True)
    if len(images) < len(test):
        absent = np.setdiff1d(np.arange(len(test)), images)
        raise DataError(
            f"{source} has no features of {len(absent):,} of the {len(test):,} test images of {dataset.root} (the first "
            f"is {test[absent[0]].name}); write those of all queries and all gallery images."
        )
    row_of = rows[first]  # (len(test),): of each test image, in the data set's order
    vectors = unit_scale(arrays.features)
    _check_duplicates(arrays.paths, vectors, rows, row_of[positions[rows]], source)
    verified = []
    for name, labels, field in (("ids", arrays.ids, "vehicle_id"), ("cameras", arrays.cameras, "camera_id")):
        labelled = [int(row) for row in rows if getattr(test[positions[row]], field) is not None]
        if labels is not None and labelled:
            _check_labels(
                name,
                [labels[row] for row in labelled],
                [test[positions[row]] for row in labelled],
                field,
                dataset,
                source,
            )
            verified.append(name)
    features = FeatureSet(
        torch.from_numpy(vectors[row_of]), tuple(image.name for image in test), {BRANCH: vectors.shape[1]}
    )
    return Matched(features, len(positions) - len(rows), len(rows) - len(row_of), tuple(verified))


def unit_scale(features: np.ndarray) -> np.ndarray:
    """(N, D) float32: each row times the power of two that brings its largest number into [2^14, 2^15).

    No bit of a cosine changes, and float16, in which features are stored, neither overflows nor loses small numbers.
    """
    exponents = np.frexp(np.abs(features).max(1))[1]
    return np.ldexp(features.astype(np.float64), 15 - exponents[:, None].astype(np.int64)).astype(np.float32)


def _test_positions(paths: Sequence[str], dataset: ReIDDataset, source: Path) -> np.ndarray:
    """(N,) int64: the position in the test split of each path's image, -1 for images outside of it.

    A path matches by its longest ending that the data set knows: an image's name, alone and with the folder before it, or
    the last one or two parts of an image's path.
    """
    position = {image.name: i for i, image in enumerate(dataset.test)}
    tested = (*dataset.query, *dataset.gallery)
    test_files = {image.path for image in tested}
    known: dict[str, set[int]] = defaultdict(set)
    for images, outside in ((tested, False), (dataset.train, True)):
        for image in images:
            if outside and image.path in test_files:  # a manifest may train and test on one image
                continue
            folder_and_name = "/".join(image.path.parts[-2 - image.name.count("/") :])
            for ending in {image.name, image.path.name, "/".join(image.path.parts[-2:]), folder_and_name}:
                known[ending].add(-1 if outside else position[image.name])
    deepest = max((ending.count("/") for ending in known), default=0) + 1
    positions, unknown, ambiguous = [], [], []
    for path in paths:
        parts = path.replace("\\", "/").split("/")[-deepest:]
        endings = ("/".join(parts[start:]) for start in range(len(parts)))
        candidates = next((known[ending] for ending in endings if ending in known), None)
        if candidates is None:
            unknown.append(path)
        elif len(candidates) > 1:
            ambiguous.append(path)
        else:
            positions.append(next(iter(candidates)))
    if unknown:
        raise DataError(
            f"{source}: {len(unknown):,} of {len(paths):,} paths match no image in {dataset.root} (the first is "
            f"{unknown[0]}, where the data set has {dataset.test[0].name}); open the data set that the features are of, "
            "or leave these rows out."
        )
    if ambiguous:
        raise DataError(
            f"{source}: {len(ambiguous):,} of {len(paths):,} paths match several images in {dataset.root} (the first is "
            f"{ambiguous[0]}); write paths with their folders."
        )
    return np.array(positions, dtype=np.int64)


def _check_duplicates(
    paths: Sequence[str], vectors: np.ndarray, rows: np.ndarray, first: np.ndarray, source: Path
) -> None:
    """Raises :class:`DataError` where rows of one image differ; ``first`` has the first row of each row's image."""
    duplicate = rows != first
    a, b = vectors[rows[duplicate]], vectors[first[duplicate]]
    cosine = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
    different = np.flatnonzero(cosine < SAME_VECTOR)
    if len(different):
        path = paths[rows[duplicate][different[0]]]
        raise DataError(
            f"{source} names {len(different):,} images twice with different features (the first is {path}); keep one row "
            "an image."
        )


def _check_labels(
    name: str, labels: Sequence[object], images: Sequence[VehicleImage], field: str, dataset: ReIDDataset, source: Path
) -> None:
    """Raises :class:`DataError` where the file groups the images differently from the data set.

    Only the groups count: torchreid and fast-reid count cameras from 0 and turn ids into numbers.
    """
    expected = [getattr(image, field) for image in images]
    usual_expected, usual_label = _most_frequent(labels, expected), _most_frequent(expected, labels)
    wrong = [i for i, (a, b) in enumerate(zip(labels, expected)) if usual_expected[a] != b or usual_label[b] != a]
    if wrong:
        i = wrong[0]
        raise DataError(
            f"{source}: {name} contradict {dataset.root} for {len(wrong):,} of {len(images):,} images (the first is "
            f"{images[i].name}: {labels[i]} in the file, {expected[i]} in the data set); numbers may differ, but the same "
            f"images must share one: check that features, paths and {name} are in one order."
        )


def _most_frequent(keys: Sequence[object], values: Sequence[object]) -> dict[object, object]:
    """The most frequent value of each key."""
    counts: dict[object, Counter] = defaultdict(Counter)
    for key, value in zip(keys, values):
        counts[key][value] += 1
    return {key: counter.most_common(1)[0][0] for key, counter in counts.items()}
