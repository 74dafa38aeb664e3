"""What an index lacks of a list of images, and what has become of the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError
from ssrnet.index.entries import Entry, GalleryIndex

AT_ONCE = 500
"""Images that are compared with an index together."""


@dataclass
class Tally:
    """What became of the images of a build."""

    there: int = 0
    added: int = 0
    reused: int = 0
    """Of those added: features that came from a file."""
    changed: int = 0
    """Entries that made way for another content of their name."""
    relabelled: int = 0

    def __str__(self) -> str:
        return (
            f"{self.there:,} images were there, {self.added:,} added ({self.reused:,} from feature files), "
            f"{self.changed:,} changed files replaced, {self.relabelled:,} relabelled"
        )


class Job(NamedTuple):
    """An image, and the entry that an index should have of it."""

    image: VehicleImage
    entry: Entry


def entry_of(source: str, image: VehicleImage) -> Entry:
    """Reads the file for its hash; raises :class:`DataError` where it cannot be read."""
    try:
        with open(image.path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"{image.path} cannot be read ({error.strerror}); restore the image, or remove it from the data set."
        ) from error
    time, path = image.attributes.get("time"), str(image.path.resolve())
    return Entry(source, image.name, content, image.vehicle_id, image.camera_id, time, path)


def lacking(index: GalleryIndex, source: str, wanted: Sequence[Job], tally: Tally) -> list[Job]:
    """Those of ``wanted``, all of one source, that are not in the index as they are on the disk.

    Entries of a file's earlier content are removed, and labels corrected.
    """
    stored = {entry.key: entry for entry in index.named(source, [job.image.name for job in wanted])}
    labels = [job.entry for job in wanted if stored.get(job.entry.key, job.entry) != job.entry]
    missing = [job for job in wanted if job.entry.key not in stored]
    index.relabel(labels)
    tally.changed += index.delete(stored.keys() - {job.entry.key for job in wanted})
    tally.relabelled += len(labels)
    tally.there += len(wanted) - len(missing)
    return missing
