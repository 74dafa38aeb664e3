"""``ssrnet index serve-check``: whether a Qdrant server serves an index as it should."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from ssrnet.errors import DataError, SettingsError
from ssrnet.index.qdrant import connect, user_facing_errors
from ssrnet.index.record import read_index_record
from ssrnet.index.vectors import exact_distances

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

SAME = 1e-4
"""Largest distance of a stored vector to itself: a server may store fewer digits than it was sent."""


@dataclass(frozen=True)
class ServeCheckSettings:
    """Check whether a Qdrant server serves an index as it should."""

    url: str
    """Address of the server, as http://localhost:6333. Its key, if it has one, is read from QDRANT_API_KEY where
    QDRANT_URL names the same address."""
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
        if record.backend != "qdrant":
            raise SettingsError(f"{settings.index} is an exact store, which no server serves; leave out --index.")
        dimension, collection = record.stored, collection or record.collection
    client = connect(url=settings.url)
    try:
        for sentence in findings(client, settings.url, collection, dimension):
            print(sentence)
    finally:
        client.close()


def findings(client: QdrantClient, url: str, collection: str | None, dimension: int | None) -> Iterator[str]:
    """The sentences of :func:`serve_check`, one by one."""
    with user_facing_errors(url):
        yield f"{url} answers: Qdrant {client.info().version}."
        collections = [one.name for one in client.get_collections().collections]
    ours = sorted(name for name in collections if name.startswith("ssrnet-"))
    if not (ours if collection is None else collection in collections):
        raise DataError(
            f"{url} has no collection {collection or 'that ssrnet made'}; it has {', '.join(sorted(collections)) or 'none'}: "
            "build one with `ssrnet index build --backend qdrant --url`."
        )
    for name in ours if collection is None else [collection]:
        with user_facing_errors(url):
            yield from _collection_findings(client, str(name), dimension)


def _collection_findings(client: QdrantClient, name: str, dimension: int | None) -> Iterator[str]:
    from qdrant_client import models

    vectors = client.get_collection(name).config.params.vectors
    size, distance = getattr(vectors, "size", None), getattr(vectors, "distance", None)
    if distance != models.Distance.COSINE or size is None or dimension not in (None, size):
        raise DataError(
            f"the collection {name} has dimension {size} and distance {getattr(distance, 'value', distance)}, but the "
            f"index needs {dimension or 'one unnamed vector'} and Cosine; build it again under another --collection."
        )
    yield f"The collection {name} is there, with {size:,} numbers an image and distance Cosine" + (
        ", as the index needs." if dimension else "."
    )
    count = client.count(name, exact=True).count
    yield f"It holds {count:,} images."
    points, _ = client.scroll(name, limit=1, with_vectors=True)
    if not points:
        yield "It is empty, so no search was tried."
        return
    (point,) = points
    exact = models.SearchParams(exact=True)
    hits = client.query_points(name, query=point.vector, limit=10, search_params=exact, with_vectors=True).points
    query = np.array(point.vector, dtype=np.float32)
    distances = exact_distances(query, np.array([hit.vector for hit in hits], dtype=np.float32).reshape(-1, len(query)))
    if not hits or distances[0] > SAME:
        raise DataError(
            f"an exact search of {name} for the vector of point {point.id} does not return it first; the server is not "
            "working correctly: look into its log."
        )
    yield f"An exact search for a stored vector returns it first, at distance {distances[0]:.1e}."
