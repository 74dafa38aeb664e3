"""Features on their way into a file: an exact store beside it, so that an extraction that was killed goes on."""

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
from ssrnet.index.missing_entries import AT_ONCE, Job, Tally, entry_of, lacking
from ssrnet.index.opening import make_index

SECONDS = 1.0
"""Features are written so often: what a killed extraction has to compute again, beside the batch at hand."""
SOURCE = "part"
"""Of all entries; a part is of one list of images."""


class PartialFeatures:
    """Implements :class:`ssrnet.retrieval.extraction.RestorableFeatures`: features of an extraction that may be resumed.

    ``folder`` holds float16 rows, each with the name and the hash of its image: a changed image's row is not used,
    and of another checkpoint or other settings than ``made_by`` names nothing is. Whatever goes wrong in the folder
    costs only the resumption: from then on nothing is kept, and ``say`` is told why. ``restored`` counts the rows
    that were there.
    Use it as a context, and call :meth:`remove` once the features are safe elsewhere.
    """

    def __init__(self, folder: Path, made_by: dict[str, object], say: Callable[[str], object] = lambda _: None) -> None:
        self.folder, self.made_by, self.say = folder, made_by, say
        self.restored = 0
        self._index: ExactIndex | None = None
        self._entries: dict[str, Entry] = {}
        self._waiting: list[tuple[Entry, Tensor]] = []
        self._written = time.monotonic()

    def restore(self, images: Sequence[VehicleImage], features: Tensor) -> Tensor:
        """Fills the rows of ``features`` (N, D) that are there; returns (N,) bool, which these are.

        Hashes every image, of which no two have the same name.
        """
        jobs = [job for image in images if (job := _job(image))]
        self._entries = {job.image.name: job.entry for job in jobs}
        try:
            try:
                return self._restored(images, jobs, features)
            except DataError:  # of another checkpoint, or damaged: nothing to go on from
                self.remove()
                return self._restored(images, jobs, features)
        except (DataError, ResourceError) as error:
            self._give_up(error)
        return torch.zeros(len(images), dtype=torch.bool)

    def keep(self, images: Sequence[VehicleImage], features: Tensor) -> None:
        """Adds the features (B, D) float32 of some of the images that were restored or found missing."""
        fits = torch.isfinite(features.half()).all(1)  # what float16 cannot hold is computed again
        self._waiting += [
            (self._entries[image.name], row)
            for image, row, kept in zip(images, features, fits, strict=True)
            if kept and image.name in self._entries
        ]
        if time.monotonic() - self._written >= SECONDS:
            self._write()

    def close(self) -> None:
        """Writes what is waiting; the folder stays."""
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
            for start in range(0, len(jobs), AT_ONCE)
            for job in lacking(index, SOURCE, jobs[start : start + AT_ONCE], Tally())
        ]
        position = {image.name: i for i, image in enumerate(images)}
        # An image that cannot be hashed may have a row of its earlier content, and counts as missing.
        known = self._entries.keys() - {job.image.name for job in missing}
        there = torch.zeros(len(images), dtype=torch.bool)
        for entries, rows in index.blocks():
            found = [(i, position[entry.name]) for i, entry in enumerate(entries) if entry.name in known]
            if found:
                own, places = map(list, zip(*found, strict=True))
                features[places] = torch.from_numpy(rows[own]).float()
                there[places] = True
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
    """None for an image that cannot be read, of which the extraction will say so, or whose name is not UTF-8."""
    try:
        return Job(image, entry_of(SOURCE, image))
    except DataError:
        return None
