"""Brings an index up to date with a list of images: adds what is missing, replaces changed files, corrects labels."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ssrnet.data.records import TYPES, VehicleImage
from ssrnet.errors import DamagedImagesError, DataError
from ssrnet.index.entries import Entry, GalleryIndex
from ssrnet.index.exact_store import ExactIndex
from ssrnet.retrieval.extraction import FeatureSet, shard
from ssrnet.training.distributed import Processes

BATCH = 500
"""Images that are compared with an index, or added from a feature file, at a time."""
SECONDS = 1.0
"""Interval at which extracted features are added: a killed build computes so much again, and the current batch."""


@dataclass
class Tally:
    """Counts of what became of a list of images."""

    there: int = 0
    added: int = 0
    reused: int = 0
    """Of those added: with features from a file or another index."""
    changed: int = 0
    """Entries of a file's earlier content, which were removed."""
    relabelled: int = 0

    def __str__(self) -> str:
        return (
            f"{self.there:,} images were there, {self.added:,} added ({self.reused:,} from feature files), "
            f"{self.changed:,} changed files replaced, {self.relabelled:,} relabelled"
        )


class Job(NamedTuple):
    """An image, and the entry that an index should have for it."""

    image: VehicleImage
    entry: Entry


def entry_of(source: str, image: VehicleImage) -> Entry:
    """The entry of an image, with its file's hash; raises :class:`DataError` where the file cannot be read."""
    try:
        with open(image.path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"{image.path} cannot be read ({error.strerror}); restore the image, or remove it from the data set."
        ) from error
    kind = next((image.attributes[name] for name in TYPES if image.attributes.get(name)), None)
    labels = (image.vehicle_id or None, image.camera_id or None, image.attributes.get("time") or None)
    return Entry(source, image.name, content, *labels, str(image.path.resolve()), kind)


def missing_jobs(index: GalleryIndex, source: str, jobs: Sequence[Job], tally: Tally) -> list[Job]:
    """Those of ``jobs``, all of one source, that the index lacks.

    Removes entries of a file's earlier content and corrects labels.
    """
    stored = {entry.key: entry for entry in index.named(source, [job.image.name for job in jobs])}
    outdated = [job.entry for job in jobs if stored.get(job.entry.key, job.entry) != job.entry]
    missing = [job for job in jobs if job.entry.key not in stored]
    index.relabel(outdated)
    tally.changed += index.delete(stored.keys() - {job.entry.key for job in jobs})
    tally.relabelled += len(outdated)
    tally.there += len(jobs) - len(missing)
    return missing


def fill(
    index: GalleryIndex | None,
    images: Sequence[tuple[str, VehicleImage]],
    stored_features: Callable[[str], FeatureSet | None],
    extract: Callable[[Sequence[VehicleImage]], Iterable[tuple[Tensor, Tensor]]],
    group: Processes,
    indexes: Sequence[ExactIndex] = (),
) -> Tally:
    """Brings the index up to date with ``images``, each with its source; what was added stays if the process dies.

    ``stored_features(split)``: the features of a split from a file, or None. ``indexes`` hold features of the same
    checkpoint and settings. ``extract(images)`` yields batches of positions (B,) and features (B, D). The processes of
    ``group`` share the extraction; the first alone has the index, and adds. Raises :class:`DamagedImagesError` for
    images that cannot be read.
    """
    tally = Tally()
    jobs: list[Job] = []
    missing = torch.zeros(len(images), dtype=torch.uint8)
    if index is not None:
        if isinstance(index, ExactIndex):
            index.verify()  # before hours are added to a damaged one
        jobs = _reuse(index, _compare(index, images, tally), stored_features, indexes, tally)
        left = {(job.entry.source, job.image.name) for job in jobs}
        missing = torch.tensor([(source, image.name) in left for source, image in images], dtype=torch.uint8)
    group.from_first(missing)
    positions = missing.nonzero().flatten()
    if not len(positions):
        return tally
    mine = positions[shard(len(positions), group.rank, group.world)]
    batches = (
        # By position: an image that two processes computed is one entry.
        (group.gather(mine[places].to(group.device)).cpu(), group.gather(features).cpu().numpy())
        for places, features in extract([images[i][1] for i in mine.tolist()])
    )
    if index is None:
        for _ in batches:
            pass
    else:
        entries = {(job.entry.source, job.image.name): job.entry for job in jobs}
        _add_extracted(index, [entries.get((source, image.name)) for source, image in images], batches, tally)
    return tally


def _add_extracted(
    index: GalleryIndex, entries: Sequence[Entry | None], batches: Iterable[tuple[Tensor, np.ndarray]], tally: Tally
) -> None:
    """Adds batches of positions in ``entries`` (B,) and features (B, D) as they come."""
    waiting: list[tuple[Entry, np.ndarray]] = []
    written, missing = time.monotonic(), sum(entry is not None for entry in entries)
    with tqdm(total=missing, desc="extracting", unit="image") as bar:
        for positions, features in batches:
            waiting += [(entries[i], row) for i, row in zip(positions.tolist(), features, strict=True)]
            bar.update(min(len(positions), missing - bar.n))
            if time.monotonic() - written >= SECONDS or len(waiting) >= BATCH:
                tally.added += _add(index, waiting)
                written = time.monotonic()
        tally.added += _add(index, waiting)


def _compare(index: GalleryIndex, images: Sequence[tuple[str, VehicleImage]], tally: Tally) -> list[Job]:
    """What the index lacks of the images."""
    jobs: list[Job] = []
    unreadable: list[str] = []
    with tqdm(total=len(images), desc="comparing", unit="image") as bar:
        for source in dict.fromkeys(source for source, _ in images):
            of_source = [image for other, image in images if other == source]
            for batch in _batches(of_source):
                jobs += missing_jobs(index, source, _jobs(source, batch, unreadable), tally)
                bar.update(len(batch))
    if unreadable:
        raise DamagedImagesError(unreadable)
    return jobs


def _reuse(
    index: GalleryIndex,
    jobs: list[Job],
    stored_features: Callable[[str], FeatureSet | None],
    indexes: Sequence[ExactIndex],
    tally: Tally,
) -> list[Job]:
    """Adds the entries whose features are stored elsewhere, and returns the jobs of the others."""
    before = tally.added
    for other in indexes:
        left = []
        for batch in _batches(jobs):
            found = other.features([job.entry.key for job in batch])
            tally.added += _add(index, [(job.entry, found[job.entry.key]) for job in batch if job.entry.key in found])
            left += [job for job in batch if job.entry.key not in found]
        jobs = left
    for split in ("test", "train"):
        of_split = [job for job in jobs if job.entry.source.endswith(f"/{split}")]
        features = stored_features(split) if of_split else None
        if features is None:
            continue
        for batch in _batches(of_split):
            rows = features.rows([job.image for job in batch]).numpy()
            tally.added += index.add([job.entry for job in batch], rows)
        jobs = [job for job in jobs if not job.entry.source.endswith(f"/{split}")]
    tally.reused += tally.added - before
    return jobs


def _add(index: GalleryIndex, waiting: list[tuple[Entry, np.ndarray]]) -> int:
    """Adds entries with their features (D,) and empties the list; returns how many were new."""
    if not waiting:
        return 0
    entries, rows = zip(*waiting, strict=True)
    waiting.clear()
    return index.add(entries, np.stack(rows))


def _jobs(source: str, images: Sequence[VehicleImage], unreadable: list[str]) -> list[Job]:
    """The jobs of the images; ``unreadable`` gets a sentence for each file that cannot be opened."""
    jobs = []
    for image in images:
        try:
            jobs.append(Job(image, entry_of(source, image)))
        except DataError as error:
            unreadable.append(str(error))
    return jobs


def copy_entries(whole: ExactIndex, index: GalleryIndex) -> None:
    """Gives ``index`` the entries of ``whole``, no more and no fewer."""
    stored = {entry.key: entry for entry in index.entries()}
    for entries, features in tqdm(whole.blocks(), desc="projecting", unit="block", total=-(-len(whole) // 1024)):
        index.add(entries, features)
        pairs = [(entry, stored.pop(entry.key)) for entry in entries if entry.key in stored]
        index.relabel([entry for entry, before in pairs if entry != before])
    index.delete(list(stored))


def _batches(values: Sequence) -> Iterable[Sequence]:
    return (values[start : start + BATCH] for start in range(0, len(values), BATCH))
