"""Brings an index up to date with a list of images: adds what is missing, replaces changed files, corrects labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from tqdm import tqdm

from ssrnet.data.records import VehicleImage
from ssrnet.errors import DamagedImagesError, DataError
from ssrnet.index.entries import Entry, GalleryIndex
from ssrnet.index.exact_store import ExactIndex
from ssrnet.retrieval.extraction import FeatureSet

BATCH = 500
"""Images that are compared with an index, or added from a feature file, at a time."""


@dataclass
class Tally:
    """Counts of what became of a list of images."""

    there: int = 0
    added: int = 0
    reused: int = 0
    """Of those added: with features from a file."""
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
    time, path = image.attributes.get("time"), str(image.path.resolve())
    return Entry(source, image.name, content, image.vehicle_id, image.camera_id, time, path)


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
    index: GalleryIndex,
    images: Sequence[tuple[str, VehicleImage]],
    stored_features: Callable[[str], FeatureSet | None],
    extract: Callable[[Sequence[VehicleImage]], Iterable[tuple[Tensor, Tensor]]],
) -> Tally:
    """Brings the index up to date with ``images``, each with its source; every batch is committed before the next.

    ``stored_features(split)``: the features of a split from a file, or None. ``extract(images)`` yields batches of
    positions (B,) and features (B, D). Raises :class:`DamagedImagesError` for images that cannot be read.
    """
    if isinstance(index, ExactIndex):
        index.verify()  # before hours are added to a damaged one
    tally = Tally()
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
    for split in ("test", "train"):
        of_split = [job for job in jobs if job.entry.source.endswith(f"/{split}")]
        features = stored_features(split) if of_split else None
        if features is None:
            continue
        for batch in _batches(of_split):
            added = index.add([job.entry for job in batch], features.rows([job.image for job in batch]).numpy())
            tally.added += added
            tally.reused += added
        jobs = [job for job in jobs if not job.entry.source.endswith(f"/{split}")]
    if jobs:
        with tqdm(total=len(jobs), desc="extracting", unit="image") as bar:
            for positions, features in extract([job.image for job in jobs]):
                tally.added += index.add([jobs[i].entry for i in positions.tolist()], features.cpu().numpy())
                bar.update(len(positions))
    return tally


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
