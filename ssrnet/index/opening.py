"""Creates and opens index folders of either backend."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import ssrnet
from ssrnet.errors import DataError
from ssrnet.files import remove_leftovers
from ssrnet.index.entries import GalleryIndex
from ssrnet.index.exact_store import ExactIndex
from ssrnet.index.pca import ProjectedIndex, Projection
from ssrnet.index.qdrant import FOLDER, QdrantIndex
from ssrnet.index.record import FILE, SHAPING, Backend, IndexRecord, read_index_record


def open_index(folder: Path) -> tuple[GalleryIndex, IndexRecord]:
    """The index in ``folder``, and its record.

    Raises :class:`DataError` where there is none or it is damaged, :class:`ResourceError` where its server cannot be
    reached, :class:`InstallationError` where it needs qdrant-client, which is not installed.
    """
    record = read_index_record(folder)
    projection = Projection.load(folder) if record.stored != record.dimension else None
    if projection is not None and projection.directions.shape != (record.stored, record.dimension):
        raise DataError(
            f"the projection in {folder} is {' x '.join(map(str, projection.directions.shape))}, but the index needs "
            f"{record.stored} x {record.dimension}; restore it, or build the index again in another folder."
        )
    index: GalleryIndex
    if record.backend == "exact":
        index = ExactIndex(folder, record.stored)
    else:
        local = None if record.url else _local(folder)
        index = QdrantIndex.open(record.collection or "", record.stored, folder=local, url=record.url)
    return (index if projection is None else ProjectedIndex(index, projection)), record


def make_index(
    folder: Path,
    backend: Backend,
    features: dict[str, object],
    dimension: int,
    projection: Projection | None = None,
    url: str | None = None,
    collection: str | None = None,
) -> tuple[GalleryIndex, IndexRecord]:
    """A new, empty index in ``folder``, or the index that is there if it was made with the same settings.

    ``index.json`` is written last: a folder without it was interrupted while it was made, and is made again.
    Raises as :func:`open_index`, and :class:`DataError` for an index made with other settings.
    """
    remove_leftovers(folder)
    if (folder / FILE).exists():
        record = read_index_record(folder)
        _check_same(folder, record, backend, features, projection, url, collection)
        return open_index(folder)
    stored = dimension if projection is None else len(projection.directions)
    if projection is not None:
        projection.save(folder)
    if backend == "exact":
        ExactIndex(folder, stored, create=True).close()
        record = IndexRecord(backend, dimension, stored, features, ssrnet.__version__)
    else:
        collection = collection or collection_name(features, projection)
        if url is None:
            _make_local(folder, collection, stored)
        else:
            QdrantIndex.open(collection, stored, url=url, create=True).close()
        record = IndexRecord(backend, dimension, stored, features, ssrnet.__version__, url, collection)
    record.save(folder)
    return open_index(folder)


def collection_name(features: dict[str, object], projection: Projection | None = None) -> str:
    """``ssrnet-0123456789abcdef``: a hash over checkpoint, extraction settings and projection, which never mix."""
    shaping = {name: features.get(name) for name in SHAPING}
    if "precision" in features:  # absent for float32, so that collections of earlier versions keep their names
        shaping["precision"] = features["precision"]
    digest = hashlib.sha256(json.dumps(shaping).encode())
    if projection is not None:
        digest.update(projection.directions.tobytes())
    return f"ssrnet-{digest.hexdigest()[:16]}"


def _make_local(folder: Path, collection: str, stored: int) -> None:
    """Makes the files under another name first, so that a killed process leaves no incomplete index."""
    whole, part = _local(folder), folder / f".{FOLDER}.{os.getpid()}.making"
    if whole.exists():
        return
    for orphaned in folder.glob(f".{FOLDER}.*.making"):
        shutil.rmtree(orphaned, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    QdrantIndex.open(collection, stored, folder=part, create=True).close()
    os.replace(part, whole)


def _local(folder: Path) -> Path:
    return folder / FOLDER


def _check_same(
    folder: Path,
    record: IndexRecord,
    backend: Backend,
    features: dict[str, object],
    projection: Projection | None,
    url: str | None,
    collection: str | None,
) -> None:
    record.check(folder, features)
    requested = {
        "backend": backend,
        "dimension stored": None if projection is None else len(projection.directions),
        "url": url,
        "collection": collection or record.collection,
        "precision": features.get("precision", "float32"),
    }
    existing = {
        "backend": record.backend,
        "dimension stored": record.stored if record.stored != record.dimension else None,
        "url": record.url,
        "collection": record.collection,
        "precision": record.features.get("precision", "float32"),
    }
    for name, value in existing.items():
        if requested[name] != value:
            raise DataError(
                f"{folder} holds an index with {name} {value or 'not set'}, but {requested[name] or 'not set'} was given; "
                "give the same, or another folder."
            )
