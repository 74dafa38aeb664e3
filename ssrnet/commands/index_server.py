"""``ssrnet index serve-check``: whether a Milvus server serves an index as it should."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssrnet.errors import DataError, SettingsError
from ssrnet.index.milvus import MilvusIndex, describe
from ssrnet.index.milvus_client import TIMEOUT_SECONDS, Connection, connect, user_facing_errors
from ssrnet.index.record import read_index_record

SAME = 1e-4
"""Largest distance of a stored vector to itself."""


@dataclass(frozen=True)
class ServeCheckSettings:
    """Check whether a Milvus server serves an index as it should."""

    uri: str
    """Address of the server or cluster, as http://localhost:19530, or a file. A token is read from MILVUS_TOKEN where
    MILVUS_URI names the same address."""
    index: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder of an index on that server, which says what collection and dimension are right."""
    collection: str | None = None
    """Collection to look at; by default the index's, or without one each that `ssrnet` made."""


def serve_check(settings: ServeCheckSettings) -> None:
    """Prints one sentence for each finding.

    Raises :class:`ResourceError` where the server cannot be reached, :class:`DataError` where a collection is missing
    or wrong; earlier findings are printed by then.
    """
    dimension, collection = None, settings.collection
    if settings.index is not None:
        record = read_index_record(settings.index)
        if record.backend != "milvus":
            raise SettingsError(f"{settings.index} is an exact store, which no server serves; leave out --index.")
        dimension, collection = record.stored, collection or record.collection
    with closing(connect(settings.uri)) as connection:
        for sentence in findings(connection, collection, dimension):
            print(sentence)


def findings(connection: Connection, collection: str | None, dimension: int | None) -> Iterator[str]:
    """The sentences of :func:`serve_check`, one by one."""
    yield f"{connection.uri} answers: {connection.versions}."
    with user_facing_errors(connection.uri, connection.versions):
        collections = sorted(connection.client.list_collections(timeout=TIMEOUT_SECONDS))
    ours = [name for name in collections if name.startswith("ssrnet_")]
    if not (ours if collection is None else collection in collections):
        raise DataError(
            f"{connection.uri} has no collection {collection or 'that ssrnet made'}; it has "
            f"{', '.join(collections) or 'none'}: build one with `ssrnet index build --backend milvus --uri`."
        )
    for name in ours if collection is None else [collection]:
        yield from _collection_findings(connection, str(name), dimension)


def _collection_findings(connection: Connection, name: str, dimension: int | None) -> Iterator[str]:
    found = describe(connection, name)
    if found.metric != "COSINE" or found.dimension is None or dimension not in (None, found.dimension):
        raise DataError(
            f"the collection {name} has dimension {found.dimension} and metric {found.metric}, but the index needs "
            f"{dimension or 'one vector'} and COSINE; build it again under another --collection."
        )
    yield (
        f"The collection {name} is there, with {found.dimension:,} numbers an image, metric COSINE and index "
        f"{found.kind}{', as the index needs' if dimension else ''}."
    )
    approximate = found.kind == "HNSW"
    index = MilvusIndex.open(connection.uri, name, found.dimension, str(found.made_by), approximate)
    with closing(index):
        yield f"It holds {len(index):,} images."
        entries, features = next(index.blocks(1), ([], None))
        if not entries or features is None:
            yield "It is empty, so no search was tried."
            return
        # Others of the same file may be there under other names.
        ((nearest, *_),) = index.search(features, 1)
    if nearest.distance > SAME:
        raise DataError(
            f"a search of {name} for the vector of {entries[0].name} does not return it first; the server is not "
            "working correctly: look into its log."
        )
    yield f"A search for a stored vector returns it first, at distance {nearest.distance:.1e}."
