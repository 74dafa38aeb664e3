"""``ssrnet split``: a data set's images as new train, query and gallery splits, in a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssrnet.data.datasets import open_dataset
from ssrnet.data.splitting import divide, write_division


@dataclass(frozen=True)
class SplitSettings:
    """Split a data set's vehicles into a training and a test half, by vehicle and camera, and write a manifest."""

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder with vehicle ids, or the path of a CSV manifest; its own splits are put together first."""
    out: Path
    """CSV manifest to write; the images stay where they are."""
    train_share: float = 0.5
    """Share of the vehicles that train."""
    seed: int = 0
    """Which vehicles train, and which images are queries; a seed gives the same file on every machine."""
    subset: int | None = None
    """Test subset of VehicleID or VERI-Wild."""
    layout: str | None = None
    """Read the folder as this layout, as `Folders` or `unlabelled`, whatever it is recognised as."""


def split_dataset(settings: SplitSettings) -> None:
    """Runs the command; raises as :func:`divide` and :func:`write_division`."""
    dataset = open_dataset(settings.data, settings.subset, settings.layout)
    if dataset.reading:
        print(dataset.reading)
    division = divide(dataset, settings.train_share, settings.seed)
    write_division(division, settings.out)
    print(f"{settings.out} (seed {settings.seed}, {settings.train_share:.0%} of the vehicles train)")
    print(division.summary())
    both = {image.vehicle_id for image in dataset.train} & {image.vehicle_id for image in dataset.test}
    if both:
        vehicles = "1 vehicle is" if len(both) == 1 else f"{len(both):,} vehicles are"
        print(f"  {vehicles} in the training split and in the test split of {dataset.name}, and in one half here.")
