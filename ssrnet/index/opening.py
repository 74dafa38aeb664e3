"""Creates and opens index folders of either backend."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import ssrnet
from ssrnet.errors import DataError
from ssrnet.files import remove_leftovers
from ssrnet.index.entries import GalleryIndex
from ssrnet.index.exact_store import ExactIndex
from ssrnet.index.milvus import MilvusIndex
from ssrnet.index.milvus_client import checked_uri
from ssrnet.index.pca import ProjectedIndex, Projection
from ssrnet.index.record import FILE, SHAPING, Backend, IndexRecord, read_index_record

LOCAL = "milvus.db"
"""Milvus's file in the folder of an index, where no URI is given."""


def open_index(folder: Path) -> tuple[GalleryIndex, IndexRecord]:
    """The index in ``folder``, and its record.

    Raises :class:`DataError` where there is none or it is damaged, :class:`ResourceError` where its server cannot be
    reached, :class:`InstallationError` where it needs pymilvus, which is not installed.
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
        made_by = collection_name(record.features, projection)
        uri = record.uri or str(folder / LOCAL)
        index = MilvusIndex.open(uri, record.collection or "", record.stored, made_by, record.approximate)
    return (index if projection is None else ProjectedIndex(index, projection)), record


def make_index(
    folder: Path,
    backend: Backend,
    features: dict[str, object],
    dimension: int,
    projection: Projection | None = None,
    uri: str | None = None,
    collection: str | None = None,
    approximate: bool = False,
) -> tuple[GalleryIndex, IndexRecord]:
    """A new, empty index in ``folder``, or the index that is there if it was made with the same settings.

    ``index.json`` is written last: a folder without it was interrupted while it was made, and is made again.
    Raises as :func:`open_index`, and :class:`DataError` for an index made with other settings.
    """
    remove_leftovers(folder)
    uri = None if uri is None else checked_uri(uri)
    if (folder / FILE).exists():
        record = read_index_record(folder)
        _check_same(folder, record, backend, features, projection, uri, collection, approximate)
        return open_index(folder)
    stored = dimension if projection is None else len(projection.directions)
    if projection is not None:
        projection.save(folder)
    if backend == "exact":
        ExactIndex(folder, stored, create=True).close()
        record = IndexRecord(backend, dimension, stored, features, ssrnet.__version__)
    else:
        made_by = collection_name(features, projection)
        collection = collection or made_by + "_hnsw" * approximate
        folder.mkdir(parents=True, exist_ok=True)
        MilvusIndex.open(uri or str(folder / LOCAL), collection, stored, made_by, approximate, create=True).close()
        record = IndexRecord(
            backend, dimension, stored, features, ssrnet.__version__, uri, collection, "float32", approximate
        )
    record.save(folder)
    return open_index(folder)


def collection_name(features: dict[str, object], projection: Projection | None = None) -> str:
    """``ssrnet_0123456789abcdef``: a hash over checkpoint, extraction settings and projection, which never mix."""
    shaping = {name: features.get(name) for name in SHAPING}
    if "precision" in features:  # absent for float32
        shaping["precision"] = features["precision"]
    digest = hashlib.sha256(json.dumps(shaping).encode())
    if projection is not None:
        digest.update(projection.directions.tobytes())
    return f"ssrnet_{digest.hexdigest()[:16]}"


def _check_same(
    folder: Path,
    record: IndexRecord,
    backend: Backend,
    features: dict[str, object],
    projection: Projection | None,
    uri: str | None,
    collection: str | None,
    approximate: bool,
) -> None:
    record.check(folder, features)
    requested = {
        "backend": backend,
        "dimension stored": None if projection is None else len(projection.directions),
        "uri": uri,
        "collection": collection or record.collection,
        "search": _search(approximate),
        "precision": features.get("precision", "float32"),
    }
    existing = {
        "backend": record.backend,
        "dimension stored": record.stored if record.stored != record.dimension else None,
        "uri": record.uri,
        "collection": record.collection,
        "search": _search(record.approximate),
        "precision": record.features.get("precision", "float32"),
    }
    for name, value in existing.items():
        if requested[name] != value:
            raise DataError(
                f"{folder} holds an index with {name} {value or 'not set'}, but {requested[name] or 'not set'} was given; "
                "give the same, or another folder."
            )


def _search(approximate: bool) -> str:
    return "approximate" if approximate else "exact"
