"""Holding back training vehicles, to choose settings and checkpoints without a test split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError, SettingsError


def hold_back(dataset: ReIDDataset, identities: int, seed: int) -> tuple[list[VehicleImage], ReIDDataset | None]:
    """Training images without ``identities`` vehicles drawn by ``seed``, and the images of these as a data set.

    Each held-back image is both query and gallery image; the image itself, of the same vehicle and camera, is junk. Raises :class:`DataError` without training images, :class:`SettingsError` where
    fewer than two identities would be left to train on.
    """
    if not dataset.train:
        raise DataError(f"{dataset.root} has no training images; choose a data set with a training split.")
    vehicles = sorted({image.vehicle_id for image in dataset.train})
    if identities > len(vehicles) - 2:
        raise SettingsError(
            f"holdout is {identities}, but {dataset.name} has {len(vehicles)} training identities; leave at least 2."
        )
    drawn = np.random.Generator(np.random.PCG64(seed)).choice(vehicles, size=identities, replace=False)
    chosen = set(drawn.tolist())
    fit = [image for image in dataset.train if image.vehicle_id not in chosen]
    held = tuple(image for image in dataset.train if image.vehicle_id in chosen)
    if not held:
        return fit, None
    return fit, replace(
        dataset, name=f"{dataset.name}, {identities} training identities held back", train=(), query=held, gallery=held
    )
