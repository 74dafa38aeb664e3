"""Images that cannot be read: all of them found at once, and left out where that is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from ssrnet.data.images import read_image
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError

TEST, TRAIN = ("query", "gallery"), ("train",)


def find_damaged(
    images: Iterable[VehicleImage], progress: Callable[[Iterable, int], Iterable] | None = None
) -> dict[Path, str]:
    """By path, a sentence for each image that cannot be read; every file is decoded once, by as many threads as CPUs.

    ``progress(files, total)`` wraps the iteration.
    """
    paths = list(dict.fromkeys(image.path for image in images))
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        problems = threads.map(_problem, paths)
        if progress:
            problems = progress(problems, len(paths))
        return {path: problem for path, problem in zip(paths, problems, strict=True) if problem is not None}


def reading_bar(files: Iterable, total: int) -> Iterable:
    """A bar on the terminal, whose lock is shared with forked processes, so for commands alone that have not forked yet."""
    return tqdm(files, total=total, desc="reading", unit="image", leave=False)


def without_damaged(dataset: ReIDDataset, splits: Sequence[str] = TEST) -> ReIDDataset:
    """``dataset`` without the images of ``splits`` that cannot be read, which are counted and named in a note."""
    damaged = find_damaged((image for split in splits for image in getattr(dataset, split)), reading_bar)
    if not damaged:
        return dataset
    kept = {split: [image for image in getattr(dataset, split) if image.path not in damaged] for split in splits}
    note = f"{len(damaged):,} damaged images are left out: {next(iter(damaged.values()))}"
    return replace(dataset, **kept, damaged=dataset.damaged + len(damaged), notes=(*dataset.notes, note))


def _problem(path: Path) -> str | None:
    try:
        read_image(path)
    except DataError as error:
        return str(error)
    return None
