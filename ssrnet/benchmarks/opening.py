"""``ssrnet benchmark opening``: time to open a folder of images without labels."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ssrnet.data.datasets import open_dataset
from ssrnet.errors import SettingsError


@dataclass(frozen=True)
class OpeningBenchmarkSettings:
    """Time how long a folder of images takes to open, flat and in folders; no image is read, so that all are empty."""

    images: int = 20_000
    """Image files in each of the two folders."""
    folders: int = 100
    """Folders over which those of the second are spread."""

    def __post_init__(self) -> None:
        for name in ("images", "folders"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1.")


def benchmark_opening(settings: OpeningBenchmarkSettings) -> dict[str, float]:
    """Runs the command and prints its results; returns them, seconds by the kind of folder, its hash included."""
    seconds = {}
    for kind, folders in (("flat", 1), (f"in {settings.folders:,} folders", settings.folders)):
        with tempfile.TemporaryDirectory() as place:
            for number in range(settings.images):
                folder = Path(place) / (f"camera {number % folders}" if folders > 1 else "")
                folder.mkdir(exist_ok=True)
                (folder / f"{number:06d}.jpg").touch()
            began = time.perf_counter()
            dataset = open_dataset(place, layout="unlabelled")
            dataset.content_hash()
            seconds[kind] = time.perf_counter() - began
        print(f"{len(dataset.test):,} images, {kind:16}: {seconds[kind]:.2f} s to open")
    return seconds
