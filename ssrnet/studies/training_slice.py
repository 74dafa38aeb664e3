"""A small part of a training set, to try out a study."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np

from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError, ResourceError, SettingsError
from ssrnet.files import write_atomically


def training_slice(dataset: ReIDDataset, identities: int, seed: int, folder: Path) -> Path:
    """A data folder (CSV layout, training images alone) with ``identities`` vehicles drawn by ``seed``.

    It is in ``folder`` under a name that depends on the data, the number and the seed, and is
    made once. Images are copied, since the CSV reader follows no links out of its folder.
    Raises :class:`SettingsError` where there are too few vehicles, :class:`DataError` for an image that
    cannot be read, :class:`ResourceError` where the copy does not fit.
    """
    everyone = sorted({image.vehicle_id for image in dataset.train})
    if identities > len(everyone):
        raise SettingsError(
            f"train_identities is {identities}, but {dataset.name} has {len(everyone)} training vehicles; "
            "give fewer, or leave the option out to train on all."
        )
    origin = hashlib.sha256(f"{dataset.content_hash()} {identities} {seed}".encode()).hexdigest()[:8]
    root = folder / f"{dataset.name}-{identities}-vehicles-{origin}"
    if not (root / "manifest.csv").is_file():
        drawn = set(np.random.Generator(np.random.PCG64(seed)).choice(everyone, identities, replace=False).tolist())
        _copy([image for image in dataset.train if image.vehicle_id in drawn], root)
    return root


def _copy(images: list[VehicleImage], root: Path) -> None:
    lines = [("image", "vehicle_id", "split", "camera_id")]
    try:
        (root / "images").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{root} cannot be made a folder ({error.strerror}); choose another --out.") from error
    for number, image in enumerate(images):
        name = f"images/{number:06d}{image.path.suffix.lower()}"
        lines.append((name, image.vehicle_id, "train", image.camera_id or ""))
        try:
            content = image.path.read_bytes()
        except OSError as error:
            raise DataError(f"{image.path} cannot be read ({error.strerror}); restore it or its list.") from error
        write_atomically(root / name, lambda path, content=content: path.write_bytes(content))

    def manifest(path: Path) -> None:
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(lines)

    write_atomically(root / "manifest.csv", manifest)  # last: a folder without it is copied again
