"""Opens what the sidebar names: data sets, checkpoints, imported models."""

from __future__ import annotations

import os.path
from contextlib import suppress
from pathlib import Path

from app.workbench import OpenedDataset, places
from app.workbench.cache import cached
from app.workbench.roots import check_images, further_roots
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError
from ssrnet.retrieval.external.model import FOLDER, ImportedModel, read_import
from ssrnet.retrieval.feature_files import read_record
from ssrnet.training.checkpoint import StoredCheckpoint, read_checkpoint


def open_data(root: str) -> OpenedDataset:
    """The data set in a folder or CSV; opened again when the folder, or one just below it, changes.

    Raises :class:`DataError` as :func:`open_dataset`, and for images that lie outside the folders that may be read.
    """
    path = places.readable_path(root)
    below: list[Path] = []
    with suppress(OSError):  # no folder, or none that can be read: opening it says so
        below = sorted(path.iterdir())
    key = [path, *below[:32]]

    def open_it() -> OpenedDataset:
        dataset = open_dataset(path)
        return OpenedDataset(dataset, dataset.content_hash())

    def check_links() -> None:
        check_images([*opened.dataset.train, *opened.dataset.query, *opened.dataset.gallery], places.default_roots())

    opened = cached("data sets", key, open_it, 4, "Opening the data set")
    cached("checked links", (key, further_roots()), check_links, 16)
    return opened


def open_checkpoint(path: str) -> StoredCheckpoint:
    """The settings and history in a checkpoint's file; read again when the file changes."""
    located = places.readable_path(path)
    return cached("checkpoints", located, lambda: read_checkpoint(located), 16)


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
        str(path.relative_to(base)): path
        for base in dict.fromkeys((places.ROOT, Path.cwd()))
        for folder in ("checkpoints", "runs")
        for path in (base / folder).rglob("*.safetensors")
    }
    return sorted(name for name, path in files.items() if not path.name.startswith(".") and not _holds_features(path))


def imported_models(data: OpenedDataset) -> dict[str, ImportedModel]:
    """By name, those of the working folder and of the project's that `ssrnet import` made for this very data set."""
    folders = dict.fromkeys((Path.cwd() / FOLDER, places.ROOT / FOLDER))
    models: dict[str, ImportedModel] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.safetensors"))):
        model = cached("imported models", path, lambda path=path: read_import(path), 256)
        if model is not None and model.dataset_hash == data.hash:
            models.setdefault(model.name, model)
    return dict(sorted(models.items()))


def _holds_features(path: Path) -> bool:
    return cached("feature files", path, lambda: read_record(path) is not None, 1000)
