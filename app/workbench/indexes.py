"""Searches of gallery indexes that `ssrnet index build` made, of any size; cached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
import torch
from PIL import Image

from app import workbench as base
from app.workbench import Services
from app.workbench.roots import OutsideError, check
from ssrnet.errors import DataError
from ssrnet.index.entries import Entry, Filters, Neighbour
from ssrnet.index.opening import open_index
from ssrnet.index.record import FILE, IndexRecord, read_index_record
from ssrnet.retrieval.extraction import describe, embeddings
from ssrnet.training.checkpoint import StoredCheckpoint


@dataclass(frozen=True)
class Found:
    """The nearest of ``size`` images, all of which that pass the filters were compared."""

    neighbours: tuple[Neighbour, ...]
    size: int


def index_folders() -> list[str]:
    """Indexes in ``runs/`` of the working folder and the project's."""
    places = dict.fromkeys((base.ROOT, Path.cwd()))
    return sorted({str(path.parent.relative_to(place)) for place in places for path in place.glob(f"runs/**/{FILE}")})


def fitting(folder: str, models: Mapping[str, StoredCheckpoint]) -> tuple[str, StoredCheckpoint]:
    """The model, with its row title, that the index was built with.

    Raises :class:`DataError` where there is no index, or none of the models made it.
    """
    path = base._locate(folder)
    record = read_index_record(path)
    error: DataError | None = None
    for title, checkpoint in models.items():
        try:
            record.check(path, _features(checkpoint, record))
        except DataError as found:
            error = found
        else:
            return title, checkpoint
    raise error or DataError(f"{path} cannot be searched without a model; choose one in the sidebar.")


def search(
    services: Services, folder: str, checkpoint: StoredCheckpoint, picture: Image.Image, k: int, filters: Filters
) -> Found:
    """The picture's ``k`` nearest; raises :class:`DataError`, or what the index's backend raises, as a sentence."""
    path = base._locate(folder)
    stamps = tuple((each.name, *base._stamp(each)) for each in sorted(path.iterdir()))  # an index may be growing
    pixels = (picture.size, picture.tobytes())
    return _search(str(path), stamps, checkpoint.hash, pixels, k, filters, services, checkpoint, picture)


def path_of(entry: Entry) -> Path:
    """Where an index says that an image lies."""
    return Path(entry.path or entry.name)


def outside(entries: Iterable[Entry]) -> dict[Entry, OutsideError]:
    """The entries whose image may not be read, since whoever made the index could name any path."""
    closed = {}
    for entry in entries:
        try:
            check(path_of(entry), base.own_roots())
        except OutsideError as error:
            closed[entry] = error
    return closed


def _features(checkpoint: StoredCheckpoint, record: IndexRecord) -> dict[str, object]:
    return checkpoint.record | describe(record.extraction, checkpoint.info.image_size)


@st.cache_data(max_entries=64, ttl=60, show_spinner="Searching the index")  # a server's grows without a trace here
def _search(
    folder: str,
    stamps: tuple,
    checkpoint_hash: str,
    pixels: tuple,
    k: int,
    filters: Filters,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _picture: Image.Image,
) -> Found:
    from ssrnet.data.transforms import test_transform  # imports torchvision

    index, record = open_index(Path(folder))
    with closing(index):
        extraction, model = record.extraction, _services.model(_checkpoint)
        batch = test_transform(extraction.image_size or _checkpoint.info.image_size)(_picture)[None]
        with torch.inference_mode():
            query = embeddings(model, batch.to(next(model.parameters()).device), extraction).cpu().numpy()
        (found,) = index.search(query, k, filters)
        return Found(tuple(found), len(index))
