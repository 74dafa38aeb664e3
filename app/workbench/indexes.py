"""Searches of gallery indexes that `ssrnet index build` made, of any size."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from app.workbench import OpenedModel, places
from app.workbench.cache import cached
from app.workbench.roots import OutsideError, check
from ssrnet.errors import DataError
from ssrnet.index.entries import Entry, Filters, Neighbour
from ssrnet.index.opening import open_index
from ssrnet.index.record import FILE, IndexRecord, read_index_record
from ssrnet.retrieval.extraction import describe

SECONDS = 60
"""For how long an answer holds: an index on a server grows without a trace here."""


@dataclass(frozen=True)
class SearchResult:
    """The nearest of ``size`` images among those that pass the filters; ``how`` they were found, as a clause."""

    neighbours: tuple[Neighbour, ...]
    size: int
    how: str


def index_folders() -> list[str]:
    """Indexes in ``runs/`` of the working folder and the project's."""
    bases = dict.fromkeys((places.ROOT, Path.cwd()))
    return sorted({str(path.parent.relative_to(base)) for base in bases for path in base.glob(f"runs/**/{FILE}")})


def index_model(folder: str, models: Iterable[OpenedModel]) -> OpenedModel:
    """The model that the index was built with.

    Raises :class:`DataError` where there is no index, or none of the models made it.
    """
    path = places.readable_path(folder)
    record = read_index_record(path)
    problem: DataError | None = None
    for model in models:
        try:
            record.check(path, _features(model, record))
        except DataError as error:
            problem = error
        else:
            return model
    raise problem or DataError(f"{path} cannot be searched without a model; choose one in the sidebar.")


def search(folder: str, model: OpenedModel, picture: Image.Image, k: int, filters: Filters) -> SearchResult:
    """The picture's ``k`` nearest; raises :class:`DataError`, or what the index's backend raises, as a sentence."""
    path = places.readable_path(folder)
    files = sorted(path.iterdir())  # an index may be growing
    key = (path, files, model.hash, picture, k, filters, int(time.monotonic() / SECONDS))
    return cached("index searches", key, lambda: _search(path, model, picture, k, filters), 64, "Searching the index")


def path_of(entry: Entry) -> Path:
    """Where an index says that an image lies."""
    return Path(entry.path or entry.name)


def outside(entries: Iterable[Entry]) -> dict[Entry, OutsideError]:
    """The entries whose image may not be read, since whoever made the index could name any path."""
    closed = {}
    for entry in entries:
        try:
            check(path_of(entry), places.default_roots())
        except OutsideError as error:
            closed[entry] = error
    return closed


def _features(model: OpenedModel, record: IndexRecord) -> dict[str, object]:
    return model.source.record | describe(record.extraction, model.source.info.image_size)


def _search(path: Path, model: OpenedModel, picture: Image.Image, k: int, filters: Filters) -> SearchResult:
    index, record = open_index(path)
    with closing(index):
        query = model.predictor.embed_as(picture, record.extraction).numpy()
        (neighbours,) = index.search(query, k, filters)
        return SearchResult(tuple(neighbours), len(index), record.how)
