"""Settings of `ssrnet synth`; the command line is generated from these fields."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ssrnet.errors import SettingsError

CityName = Literal["own", "demo", "training", "town-choose", "town-report"]


@dataclass(frozen=True)
class SynthSettings:
    """Render the synthetic vehicle city in VeRi-776's layout; needs `pip install -e .[synth]`.

    --seed and the shares alone decide which vehicles exist; --split, --workers, --masks and --samples never
    change what a photograph shows. --recipe chooses the defaults of all other options.
    """

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder to write; an interrupted run continues there."""
    recipe: CityName = "own"
    """`demo` is the city in assets/, `training` the one the shipped checkpoints are trained on: the test and
    the training vehicles of one fleet. `town-choose` and `town-report` are new vehicles under new cameras, one
    town to choose settings on and one to report."""
    identities: int = 60
    """Vehicles in all splits together."""
    seed: int = 0
    """Draws the fleet and every capture."""
    camera_seed: int | None = None
    """Draws new cameras: place, lens and picture. Without it the city has its own 20. Probes are always taken
    by camera 15 of the city."""
    cameras: int = 20
    """With --camera-seed: cameras of the town, 2 to 20."""
    split: Literal["all", "train", "test"] = "all"
    """Render only the vehicles of one split."""
    train_share: float = 0.5
    """Share of the vehicles (by sibling group) in image_train; the rest is for testing."""
    sibling_share: float = 0.5
    """About how many of the vehicles belong to a group of look-alikes."""
    min_passes: int = 4
    """Fewest cameras a vehicle passes."""
    max_passes: int = 12
    """Most cameras a vehicle passes."""
    max_frames: int = 4
    """Most frames of one track."""
    masks: bool = False
    """Also write part masks (PNG)."""
    mask_every: int = 1
    """With --masks: only every N-th image gets one."""
    probes: bool = False
    """Also write probes/: series in which one thing changes, and photographs with and without one mark."""
    workers: int = 1
    """Processes; each needs about 1 GB and one core."""
    samples: int = 4
    """Light paths per pixel before denoising (a square number)."""

    def __post_init__(self) -> None:
        checks = (
            (self.identities >= 1, f"identities is {self.identities}; the city needs at least one vehicle."),
            (0 <= self.train_share <= 1, f"train_share is {self.train_share}; it must lie between 0 and 1."),
            (0 <= self.sibling_share <= 1, f"sibling_share is {self.sibling_share}; it must lie between 0 and 1."),
            (self.camera_seed is None or self.camera_seed >= 0, f"camera_seed is {self.camera_seed}; use at least 0."),
            (2 <= self.cameras <= 20, f"cameras is {self.cameras}; use 2 to 20."),
            (
                self.camera_seed is not None or self.cameras == 20,
                f"cameras is {self.cameras}, but without a camera_seed the city has its own 20; give a camera_seed too.",
            ),
            (
                2 <= self.min_passes <= self.max_passes <= self.cameras,
                f"min_passes to max_passes is {self.min_passes} to {self.max_passes}; "
                f"use 2 to {self.cameras} (the number of cameras), in order.",
            ),
            (1 <= self.max_frames <= 4, f"max_frames is {self.max_frames}; a track has 1 to 4 frames."),
            (self.mask_every >= 1, f"mask_every is {self.mask_every}; use at least 1."),
            (self.workers >= 1, f"workers is {self.workers}; use at least 1."),
            (
                self.samples >= 1 and int(self.samples**0.5) ** 2 == self.samples,
                f"samples is {self.samples}; use a square number such as 1, 4, 9 or 16.",
            ),
        )
        for valid, message in checks:
            if not valid:
                raise SettingsError(message)


def city_recipe(name: CityName) -> SynthSettings:
    """The settings behind ``--recipe``; ``out`` stays the current folder.

    ``demo`` and ``training`` are two splits of one fleet, so no vehicle, sibling group or model is in both.
    The demo's tracks are short and every vehicle passes at least seven cameras, which multi-shot retrieval
    with six gallery images needs; the training vehicles pass 4 to 11.

    ``town-choose`` and ``town-report`` share no vehicle, model or camera with these, nor with each other. Each
    has 7 cameras with about 85 images.
    """
    defaults = SynthSettings(Path())
    city = replace(defaults, recipe=name, seed=776, identities=680, train_share=0.905, sibling_share=0.6)
    match name:
        case "demo":
            return replace(
                city, split="test", min_passes=7, max_passes=8, max_frames=2, masks=True, mask_every=7, probes=True
            )
        case "training":
            return replace(city, split="train", max_passes=11, max_frames=3)
        case "town-choose":
            return _town(name, 101)
        case "town-report":
            return _town(name, 202)
    return defaults


def _town(name: CityName, seed: int) -> SynthSettings:
    return SynthSettings(
        Path(),
        recipe=name,
        seed=seed,
        camera_seed=seed,
        cameras=7,
        identities=60,
        train_share=0.0,
        sibling_share=0.6,
        min_passes=6,
        max_passes=7,
        max_frames=2,
    )
