"""``ssrnet index search``: the nearest images of an index to one image."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssrnet.commands.index_build import FULL
from ssrnet.errors import DataError, SettingsError
from ssrnet.index.entries import Filters, GalleryIndex, Neighbour, read_time
from ssrnet.index.exact_store import ExactIndex
from ssrnet.index.opening import open_index
from ssrnet.index.pca import ReScored
from ssrnet.index.record import read_index_record
from ssrnet.predictor import Predictor
from ssrnet.resources import DeviceName, resolve_device
from ssrnet.retrieval.extraction import describe
from ssrnet.training.checkpoint import load_checkpoint


@dataclass(frozen=True)
class SearchSettings:
    """Find the images of an index that are nearest to one image, among all that pass the filters."""

    index: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Folder that `ssrnet index build` made."""
    checkpoint: Path
    """The checkpoint that the index was built with."""
    image: Path
    """The image to look for."""
    k: int = 10
    """Neighbours to list."""
    camera: tuple[str, ...] = ()
    """Only images by one of these cameras."""
    not_camera: tuple[str, ...] = ()
    """No images by these cameras."""
    id: tuple[str, ...] = ()
    """Only images of one of these vehicles."""
    not_id: tuple[str, ...] = ()
    """No images of these vehicles."""
    type: tuple[str, ...] = ()
    """Only vehicles of one of these types, as the data set names them."""
    junk: Annotated[tuple[str, str] | None, tyro.conf.arg(metavar="VEHICLE CAMERA")] = None
    """No images of this vehicle by this camera, as evaluation leaves out a query's own."""
    after: str | None = None
    """Only images taken then or later: seconds, 2026-05-01T12:00, or "day 13 10:21:24", as the data set writes it."""
    before: str | None = None
    """Only images taken then or earlier."""
    rescore: int | None = None
    """For an index built with --pca: rank so many of the nearest by projected features again, by whole features."""
    device: DeviceName = "auto"
    """Where to run."""

    def filters(self) -> Filters:
        """Raises :class:`SettingsError` for a time that cannot be read, or a range that is empty."""
        after, before = _seconds("--after", self.after), _seconds("--before", self.before)
        return Filters(self.id, self.not_id, self.camera, self.not_camera, after, before, self.type, self.junk)


def search_index(settings: SearchSettings) -> None:
    """Prints the neighbours as a table, and under it how they were found where that was not one by one.

    Raises :class:`DataError` for an image that cannot be read and for another checkpoint than the index's; otherwise as
    :func:`open_index`.
    """
    filters = settings.filters()
    if settings.k < 1:
        raise SettingsError(f"k is {settings.k}; ask for at least 1 neighbour.")
    record = read_index_record(settings.index)
    if settings.rescore is not None and (record.stored == record.dimension or settings.rescore < settings.k):
        raise SettingsError(
            f"--rescore is {settings.rescore}; it needs an index built with --pca, and at least k ({settings.k}): "
            "change it, or leave it out."
        )
    checkpoint = load_checkpoint(settings.checkpoint)
    extraction = record.extraction
    record.check(settings.index, checkpoint.record | describe(extraction, checkpoint.info.image_size))
    predictor = Predictor(checkpoint.model.to(resolve_device(settings.device)), checkpoint.info.image_size)
    query = predictor.embed_as(settings.image, extraction).numpy()
    with ExitStack() as stack:
        index = stack.enter_context(closing(open_index(settings.index)[0]))
        target: GalleryIndex | ReScored = index
        if settings.rescore is not None:
            whole = stack.enter_context(ExactIndex(settings.index / FULL, record.dimension))
            target = ReScored(index, whole, settings.rescore)
        (neighbours,) = target.search(query, settings.k, filters)
        size = len(index)
    if not neighbours:
        raise DataError(f"none of the {size:,} images of {settings.index} passes the filters; loosen one of them.")
    print(table(neighbours))
    if record.approximate:
        print(f"of {size:,} images, found {record.how}")


def table(neighbours: list[Neighbour]) -> str:
    """Rank, distance, vehicle, camera, time, name and source, in columns."""
    rows = [("rank", "distance", "vehicle", "camera", "time", "name", "source")]
    for rank, (entry, distance) in enumerate(neighbours, 1):
        labels = (entry.vehicle_id or "-", entry.camera_id or "-", entry.time or "-", entry.name, entry.source)
        rows.append((str(rank), f"{distance:.4f}", *labels))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _seconds(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    seconds = read_time(text)
    if seconds is None:
        raise SettingsError(f'{option} is {text!r}; write seconds, 2026-05-01T12:00:00, or "day 13 10:21:24".')
    return seconds
