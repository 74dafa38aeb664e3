"""Features of an unfinished extraction, in an exact store, so that a killed extraction can be resumed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError, ResourceError
from ssrnet.index.entries import Entry
from ssrnet.index.exact_store import ExactIndex
from ssrnet.index.filling import BATCH, Job, Tally, entry_of, missing_jobs
from ssrnet.index.opening import make_index

SECONDS = 1.0
"""Interval at which features are written: a killed extraction computes so much again, and the current batch."""
SOURCE = "part"
"""The source of all entries, since a part belongs to one list of images."""


class PartialFeatures:
    """Implements :class:`ssrnet.retrieval.extraction.RestorableFeatures`: features of an extraction that may be resumed.

    ``folder`` holds float16 rows, each with the name and hash of its image. Rows of a changed image, and those of
    another checkpoint or other settings than ``made_by``, are not used. Whatever goes wrong in the folder costs only
    the resumption: nothing is stored any more, and ``say`` gets a sentence. ``restored`` counts the rows that were
    there. Use it as a context, and call :meth:`remove` once the features are stored elsewhere.
    """

    def __init__(self, folder: Path, made_by: dict[str, object], say: Callable[[str], object] = lambda _: None) -> None:
        self.folder, self.made_by, self.say = folder, made_by, say
        self.restored = 0
        self._index: ExactIndex | None = None
        self._entries: dict[str, Entry] = {}
        self._waiting: list[tuple[Entry, Tensor]] = []
        self._written = time.monotonic()

    def restore(self, images: Sequence[VehicleImage], features: Tensor) -> Tensor:
        """Fills the stored rows of ``features`` (N, D); returns (N,) bool, which rows these are.

        Hashes every image. No two of them may have the same name.
        """
        jobs = [job for image in images if (job := _job(image))]
        self._entries = {job.image.name: job.entry for job in jobs}
        try:
            try:
                return self._restored(images, jobs, features)
            except DataError:  # of another checkpoint, or damaged
                self.remove()
                return self._restored(images, jobs, features)
        except (DataError, ResourceError) as error:
            self._give_up(error)
        return torch.zeros(len(images), dtype=torch.bool)

    def keep(self, images: Sequence[VehicleImage], features: Tensor) -> None:
        """Stores the features (B, D) float32 of some of the images that :meth:`restore` was given."""
        fits = torch.isfinite(features.half()).all(1)  # others are computed again
        self._waiting += [
            (self._entries[image.name], row)
            for image, row, fit in zip(images, features, fits, strict=True)
            if fit and image.name in self._entries
        ]
        if time.monotonic() - self._written >= SECONDS:
            self._write()

    def close(self) -> None:
        """Writes the rows not yet written; the folder stays."""
        self._write()
        if self._index is not None:
            self._index.close()
            self._index = None

    def remove(self) -> None:
        """Removes the folder."""
        self._waiting.clear()
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _restored(self, images: Sequence[VehicleImage], jobs: list[Job], features: Tensor) -> Tensor:
        index, _ = make_index(self.folder, "exact", self.made_by, features.shape[1])
        assert isinstance(index, ExactIndex)
        self._index = index
        missing = [
            job
            for start in range(0, len(jobs), BATCH)
            for job in missing_jobs(index, SOURCE, jobs[start : start + BATCH], Tally())
        ]
        position = {image.name: i for i, image in enumerate(images)}
        # An image that cannot be hashed may have a row of its earlier content, and counts as missing.
        known = self._entries.keys() - {job.image.name for job in missing}
        there = torch.zeros(len(images), dtype=torch.bool)
        for entries, rows in index.blocks():
            pairs = [(i, position[entry.name]) for i, entry in enumerate(entries) if entry.name in known]
            if pairs:
                stored, positions = map(list, zip(*pairs, strict=True))
                features[positions] = torch.from_numpy(rows[stored]).float()
                there[positions] = True
        self.restored = int(there.sum())
        return there

    def _write(self) -> None:
        if self._index is not None and self._waiting:
            entries, rows = zip(*self._waiting, strict=True)
            try:
                self._index.add(entries, torch.stack(rows).numpy())
            except (DataError, ResourceError) as error:
                self._give_up(error)
        self._waiting.clear()
        self._written = time.monotonic()

    def _give_up(self, error: Exception) -> None:
        self.say(f"an interruption will cost what was computed, since {error}")
        if self._index is not None:
            self._index.close()
            self._index = None


def _job(image: VehicleImage) -> Job | None:
    """None for an image that cannot be read, which the extraction reports, or whose name is not UTF-8."""
    try:
        return Job(image, entry_of(SOURCE, image))
    except DataError:
        return None
