"""The same index in a Qdrant collection: in a local folder, on a server, or on a cluster.

Every search is sent with ``exact=True`` and the collection builds no approximate graph. The local folder is Qdrant's
own pure-Python mode, which keeps all in memory and reads its files with pickle (:mod:`ssrnet.index.points` looks them
through before): it is for tests and small galleries.
"""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np

from ssrnet.errors import DataError, InstallationError, ResourceError, SettingsError
from ssrnet.index import vectors
from ssrnet.index.entries import EVERYTHING, FIELDS, Entry, Filters, Neighbour
from ssrnet.index.points import check_points

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

FOLDER = "qdrant"
KEY_VARIABLE, KEY_FOR_VARIABLE = "QDRANT_API_KEY", "QDRANT_URL"
"""Environment variables with a server's key, where it has one, and that server's address; written nowhere.

The key is sent to no other server: an index says itself at which address it lies, and not every index is one's own.
"""
TIMEOUT_SECONDS = 120
AT_ONCE = 64
"""Points in one request: 64 features of 3,072 numbers are about 4 MB as JSON."""
SLACK = 16
"""Points asked for beyond k; where more tie with the k-th, twice as many are asked for."""
INDEXED = {"source": "keyword", "name": "keyword", "vehicle_id": "keyword", "camera_id": "keyword", "seconds": "float"}

# Said of every search in local mode; on a server the same parameters are what makes a search exact.
warnings.filterwarnings("ignore", message="Local mode performs exact", category=UserWarning)


class QdrantIndex:
    """See :class:`ssrnet.index.entries.GalleryIndex`. A point's id is its entry's key."""

    def __init__(self, client: QdrantClient, collection: str, dimension: int) -> None:
        self.client, self.collection, self.dimension = client, collection, dimension

    @classmethod
    def open(
        cls,
        collection: str,
        dimension: int,
        *,
        folder: Path | None = None,
        url: str | None = None,
        create: bool = False,
    ) -> QdrantIndex:
        """Connects to the server at ``url``, or opens Qdrant's files in ``folder``; makes the collection if asked to.

        Raises :class:`InstallationError` without qdrant-client, :class:`ResourceError` where the server cannot be
        reached or another process has the folder open, :class:`DataError` where the collection is missing, damaged,
        or of another dimension or distance.
        """
        index = cls(connect(folder=folder, url=url), collection, dimension)
        try:
            with user_facing_errors(url or folder):
                if create:
                    index._create(local=url is None)
                index._check(url or str(folder))
        except BaseException:
            index.close()
            raise
        return index

    def __len__(self) -> int:
        with user_facing_errors(self.collection):
            return self.client.count(self.collection, exact=True).count

    def add(self, entries: Sequence[Entry], features: np.ndarray) -> int:
        half = vectors.checked_features(features, len(entries), self.dimension)
        first = vectors.positions(entries)
        added = 0
        with user_facing_errors(self.collection):
            for keys in _parts(list(first)):
                there = {str(point.id) for point in self.client.retrieve(self.collection, keys, with_payload=False)}
                fresh = [first[key] for key in keys if key not in there]
                points = [
                    _models().PointStruct(
                        id=entries[i].key, vector=half[i].astype(np.float32).tolist(), payload=_payload(entries[i])
                    )
                    for i in fresh
                ]
                if points:
                    self.client.upsert(self.collection, points, wait=True)
                added += len(points)
        return added

    def relabel(self, entries: Sequence[Entry]) -> None:
        with user_facing_errors(self.collection):
            for entry in entries:
                self.client.overwrite_payload(self.collection, _payload(entry), points=[entry.key], wait=True)

    def delete(self, keys: Collection[str]) -> int:
        removed = 0
        with user_facing_errors(self.collection):
            for part in _parts(list(keys)):
                removed += len(self.client.retrieve(self.collection, part, with_payload=False))
                self.client.delete(self.collection, points_selector=list(part), wait=True)
        return removed

    def named(self, source: str, names: Sequence[str]) -> list[Entry]:
        m, found = _models(), []
        for part in _parts(names):
            conditions = [
                m.FieldCondition(key="source", match=m.MatchValue(value=source)),
                m.FieldCondition(key="name", match=m.MatchAny(any=list(part))),
            ]
            found += self._scroll(m.Filter(must=conditions))
        return found

    def entries(self) -> Iterator[Entry]:
        return self._scroll(None)

    def search(self, queries: np.ndarray, k: int, filters: Filters = EVERYTHING) -> list[list[Neighbour]]:
        queries = vectors.checked_queries(queries, k, self.dimension)
        with user_facing_errors(self.collection):
            return [self._nearest(query, k, _filter(filters)) for query in queries]

    def save(self) -> None:
        """Nothing is left to do: every change is waited for."""

    def close(self) -> None:
        self.client.close()

    def _nearest(self, query: np.ndarray, k: int, condition: Any) -> list[Neighbour]:
        """Asks for more than ``k``, until those that float32 cannot tell from the k-th are all there."""
        limit = k + SLACK
        if not query.any():
            limit = max(limit, len(self))  # all are at the same distance of a zero vector
        while True:
            points = self.client.query_points(
                self.collection,
                query=query.tolist(),
                query_filter=condition,
                limit=limit,
                with_payload=True,
                with_vectors=True,
                search_params=_models().SearchParams(exact=True),
            ).points
            if len(points) < limit or points[-1].score < points[k - 1].score - vectors.tolerance(self.dimension):
                break
            limit *= 2
        rows = np.array([point.vector for point in points], dtype=np.float32).reshape(-1, self.dimension)
        return vectors.nearest([_entry(point.payload) for point in points], vectors.exact_distances(query, rows), k)

    def _scroll(self, condition: Any) -> Iterator[Entry]:
        offset: Any = None
        while True:
            with user_facing_errors(self.collection):
                points, offset = self.client.scroll(self.collection, condition, limit=1000, offset=offset)
            yield from (_entry(point.payload) for point in points)
            if offset is None:
                return

    def _create(self, local: bool) -> None:
        m = _models()
        if not self.client.collection_exists(self.collection):
            self.client.create_collection(
                self.collection,
                vectors_config=m.VectorParams(size=self.dimension, distance=m.Distance.COSINE, on_disk=True),
                hnsw_config=m.HnswConfigDiff(m=0),  # no graph: it takes hours to build, and exact search ignores it
            )
        for field, kind in INDEXED.items() if not local else ():  # local mode has none, and warns
            self.client.create_payload_index(self.collection, field, field_schema=kind, wait=True)

    def _check(self, where: str) -> None:
        if not self.client.collection_exists(self.collection):
            raise DataError(
                f"{where} has no collection {self.collection}; build it with `ssrnet index build --backend qdrant`."
            )
        params = self.client.get_collection(self.collection).config.params.vectors
        size, distance = getattr(params, "size", None), getattr(params, "distance", None)
        if size != self.dimension or distance != _models().Distance.COSINE:
            raise DataError(
                f"the collection {self.collection} of {where} has dimension {size} and distance {distance}, but this "
                f"index needs {self.dimension} and Cosine; give another --collection."
            )


def connect(*, folder: Path | None = None, url: str | None = None) -> QdrantClient:
    """A client of the server at ``url``, or of Qdrant's local files in ``folder``.

    The server's answer is not waited for. Raises as :meth:`QdrantIndex.open`.
    """
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise InstallationError(
            "an index in Qdrant needs qdrant-client, not installed here; run `pip install -e .[index]` in the folder "
            "of SSR-Net Explorer, or use --backend exact."
        ) from error
    if url is not None and not url.startswith(("http://", "https://")):
        raise SettingsError(f"--url is {url!r}; write the address of a Qdrant server, as http://localhost:6333.")
    with user_facing_errors(url or folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # local mode over 20,000 points, a version that is not compared
        if url is not None:
            known = os.environ.get(KEY_FOR_VARIABLE, "").rstrip("/") == url.rstrip("/")
            key = os.environ.get(KEY_VARIABLE) if known else None
            return QdrantClient(url=url, api_key=key, timeout=TIMEOUT_SECONDS, check_compatibility=False)
        try:
            check_points(folder)
            return QdrantClient(path=str(folder), force_disable_check_same_thread=True)
        except (
            ValueError,
            RecursionError,
            KeyError,
            TypeError,
            AttributeError,
            EOFError,
            UnpicklingError,
            sqlite3.DatabaseError,
        ) as error:
            raise DataError(
                f"Qdrant's files in {folder} are damaged ({error}); restore them from a copy, or build the index again "
                "in another folder."
            ) from error
        except OSError as error:
            raise ResourceError(
                f"{folder} cannot be used ({error.strerror or error}); free space or check its permissions."
            ) from error


def _filter(filters: Filters) -> Any:
    m = _models()

    def any_of(key: str, values: tuple[str, ...]) -> list:
        return [m.FieldCondition(key=key, match=m.MatchAny(any=list(values)))] if values else []

    must = any_of("vehicle_id", filters.vehicle_ids) + any_of("camera_id", filters.cameras)
    must_not = any_of("vehicle_id", filters.not_vehicle_ids) + any_of("camera_id", filters.not_cameras)
    if filters.after is not None or filters.before is not None:
        must.append(m.FieldCondition(key="seconds", range=m.Range(gte=filters.after, lte=filters.before)))
    return m.Filter(must=must, must_not=must_not) if must or must_not else None


def _payload(entry: Entry) -> dict[str, object]:
    payload = {name: getattr(entry, name) for name in FIELDS} | {"seconds": entry.seconds}
    return {name: value for name, value in payload.items() if value is not None}


def _entry(payload: dict[str, Any]) -> Entry:
    try:
        return Entry(**{name: payload[name] for name in FIELDS if name in payload})
    except TypeError as error:
        raise DataError(
            f"the collection holds a point that is no image of ssrnet (its payload has {', '.join(payload) or 'nothing'});"
            " give another --collection."
        ) from error


def _models() -> Any:
    from qdrant_client import models

    return models


def _parts(values: Sequence) -> Iterator[Sequence]:
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))


@contextmanager
def user_facing_errors(where: object) -> Iterator[None]:
    """Turns what Qdrant raises into a sentence."""
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException

    try:
        yield
    except (ApiException, QdrantException, ConnectionError, TimeoutError) as error:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise ResourceError(
            f"Qdrant at {where} did not do as asked ({what}); check that the server runs and can be reached, its "
            f"address, and where it wants a key {KEY_VARIABLE} and, with this address, {KEY_FOR_VARIABLE}."
        ) from error
    except RuntimeError as error:
        if "already accessed" not in str(error):
            raise
        raise ResourceError(
            f"another process has {where} open, and Qdrant's local mode allows one; close it, or use a Qdrant server."
        ) from error
