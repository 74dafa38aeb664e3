"""Opens what the sidebar names: data sets, checkpoints, imported models."""

from __future__ import annotations

import os
import os.path
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from app.workbench import OpenedDataset, Workbench, places
from app.workbench.cache import cached
from app.workbench.progress import Progress, counted
from app.workbench.roots import check_images, further_roots
from app.workbench.uploaded_data import is_uploaded, open_uploads
from ssrnet.analysis.comparison import Comparison, largest_gain
from ssrnet.data.damaged import find_damaged
from ssrnet.data.datasets import Ways, open_dataset, ways_to_read
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError
from ssrnet.retrieval.external.model import FOLDER, ImportedModel, read_import
from ssrnet.retrieval.feature_files import read_record
from ssrnet.training.checkpoint import StoredCheckpoint, read_checkpoint

TABLES = (".csv", ".txt", ".xml")
"""Files in a data set's folder that say what its images show."""
MOST_WATCHED = 2_000
"""Folders whose changes are noticed; looking at so many takes some 20 ms."""
MOST_DISTANCES = 25_000_000
"""Query times gallery images that are ranked, in a second or two, to find the query that pages open on."""


class UnreadableError(DataError):
    """A path that is no data set as it is, and the ``ways`` in which it could be read."""

    def __init__(self, message: object, ways: Ways) -> None:
        super().__init__(message)
        self.ways = ways


def open_data(root: str, layout: str | None = None) -> OpenedDataset:
    """The data set in a folder, CSV or zip file; opened again when the folder, or a folder or table below it, changes.

    Or the viewer's uploads, where ``root`` is their name. Raises :class:`UnreadableError` where :func:`open_dataset` raises,
    and for uploads that are not there, and :class:`DataError` for images that lie outside the folders that may be read.
    """
    if is_uploaded(root):
        try:
            return open_uploads()
        except DataError as error:
            raise UnreadableError(error, Ways((), None)) from error
    path = places.readable_path(root)
    key = [layout, *watched(path)]

    def opening() -> OpenedDataset:
        return OpenedDataset.of(open_dataset(path, layout=layout))

    try:
        opened = cached("data sets", key, opening, 4, "Opening the data set")
    except DataError as error:
        raise UnreadableError(error, ways_to_read(path)) from error
    dataset = opened.dataset
    images = (*dataset.train, *dataset.query, *dataset.gallery)
    cached("checked links", (key, further_roots()), lambda: check_images(images, places.default_roots()), 16)
    return opened


def damaged_images(data: OpenedDataset, progress_callback: Progress | None = None) -> list[str]:
    """A sentence for each test image that cannot be read."""

    def look() -> list[str]:
        return list(find_damaged(data.dataset.test, counted(progress_callback)).values())

    return cached("damaged images", data, look, 4)


def watched(root: Path) -> list[Path]:
    """The tables in ``root``, and it and the folders below it, the highest first, up to :data:`MOST_WATCHED`.

    A folder is listed again only where it has changed, so that this takes a moment each time a page is drawn. What a link
    leads to is not listed, since it may lead back.
    """
    folders = [root]
    for folder in folders:  # which grows
        if len(folders) >= MOST_WATCHED:
            break
        if folder is root or not folder.is_symlink():
            below = cached(
                "folders", folder, lambda folder=folder: _entries(folder, os.DirEntry.is_dir), 2 * MOST_WATCHED
            )
            folders += below
    return [*cached("tables", root, lambda: _entries(root, _is_table), 16), *folders[:MOST_WATCHED]]


def _entries(folder: Path, wanted: Callable[[os.DirEntry], bool]) -> list[Path]:
    """By name; none where there is no such folder, or where it cannot be read: opening it says so."""
    with suppress(OSError), os.scandir(folder) as entries:
        return sorted(Path(each) for each in entries if wanted(each))
    return []


def _is_table(entry: os.DirEntry) -> bool:
    return entry.name.lower().endswith(TABLES)


def open_checkpoint(path: str) -> StoredCheckpoint:
    """The settings and history in a checkpoint's file; read again when the file changes."""
    located = places.readable_path(path)
    return cached("checkpoints", located, lambda: read_checkpoint(located), 16)


def telling_query(bench: Workbench) -> VehicleImage | None:
    """The query of :data:`~ssrnet.analysis.comparison.LARGEST_GAIN` of the two networks, from stored features.

    None where it has not been computed that SSR-Net puts a query right: without labels, without stored features of both networks,
    without such a query, and where the protocol has more than :data:`MOST_DISTANCES`.
    """
    models = list(bench.networks.values())
    if not bench.split.is_labelled or any(model.stored_features() is None for model in models):
        return None
    if len(bench.split.query) * len(bench.split.gallery) > MOST_DISTANCES:
        return None

    def find() -> VehicleImage | None:
        return largest_gain(Comparison(*(model.evaluation() for model in models)))

    return cached("telling queries", models, find, 16)


def is_demo_data(root: str) -> bool:
    """Whether ``root`` names the bundled demo's data."""
    bundled = places.ROOT / places.DEMO["data"]
    try:
        path = places.readable_path(root)
    except DataError:
        return False
    # os.path.exists, unlike Path.exists, says no to whatever cannot be a path.
    return os.path.exists(path) and bundled.exists() and path.samefile(bundled)


def checkpoint_files() -> list[str]:
    """Checkpoints in ``checkpoints/`` and ``runs/`` of the working folder and the project's."""
    files = {
        os.path.relpath(path, base): path
        for base in dict.fromkeys((places.ROOT, Path.cwd()))
        for folder in ("checkpoints", "runs")
        for path in _safetensors(base / folder)
    }
    return sorted(name for name, path in files.items() if not _holds_features(path))


def imported_models(data: OpenedDataset) -> dict[str, ImportedModel]:
    """By name, those of the working folder and of the project's that `ssrnet import` made for this very data set."""
    folders = dict.fromkeys((Path.cwd() / FOLDER, places.ROOT / FOLDER))
    models: dict[str, ImportedModel] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.safetensors"))):
        model = cached("imported models", path, lambda path=path: read_import(path), 256)
        if model is not None and model.dataset_hash == data.hash:
            models.setdefault(model.name, model)
    return dict(sorted(models.items()))


def _safetensors(folder: Path) -> Iterator[Path]:
    """Those below ``folder``; os.walk, unlike Path.rglob, passes over folders that vanish meanwhile."""
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.endswith(".part")]
        yield from (Path(root, name) for name in names if name.endswith(".safetensors") and not name.startswith("."))


def _holds_features(path: Path) -> bool:
    return cached("feature files", path, lambda: read_record(path) is not None, 1000)
