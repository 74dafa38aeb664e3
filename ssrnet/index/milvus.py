"""The same index in a Milvus collection: in a local file, on a server or on a cluster.

The collection's index is FLAT, which compares a query with every vector, or for an approximate one HNSW. Milvus answers
with candidates by float32 cosines; their vectors are fetched and ranked in float64, so that distances and ties are
those of the exact store. Vectors are the exact store's float16 numbers, stored as float32. Every read sees all that was
written before it (consistency Strong), for which a server waits up to a fifth of a second.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from tqdm import tqdm

from ssrnet.errors import DataError, ResourceError, SettingsError
from ssrnet.index import milvus_client, vectors
from ssrnet.index.entries import EVERYTHING, FIELDS, Entry, Filters, Neighbour
from ssrnet.index.milvus_rows import KEY, SECONDS, VECTOR, any_of, entry_from, expression, quoted, row_of

TEXT_BYTES = 65_535
MADE_BY = "ssrnet.made_by"
"""The property of a collection that says by which model and settings its features were made."""
AT_ONCE = 500
"""Entries in one request: 500 features of 3,072 numbers are 6 MB."""
QUERIES_AT_ONCE = 64
SLACK = 16
"""Candidates beyond k; where more tie with the k-th, twice as many are asked for."""
MOST = 16_384
"""The most that Milvus lists for a query. Where more tie with the k-th, it decides which of them are listed."""
LOAD_SECONDS = 600
HNSW = {"M": 16, "efConstruction": 200}
EF = 256
"""Candidates that HNSW keeps while it searches, at least."""
SMALLEST_HNSW = 1024
"""Rows below which Milvus builds no graph of a segment, and compares one by one."""
HANDOVER_SECONDS = 600
"""The longest wait, once HNSW is built, until searches use it."""


class MilvusIndex:
    """See :class:`ssrnet.index.entries.GalleryIndex`. An entry's primary key is its key."""

    def __init__(self, connection: milvus_client.Connection, collection: str, dimension: int, kind: str) -> None:
        self.connection, self.collection, self.dimension, self.kind = connection, collection, dimension, kind

    @classmethod
    def open(
        cls, uri: str, collection: str, dimension: int, made_by: str, approximate: bool = False, create: bool = False
    ) -> Self:
        """Opens the collection at ``uri``, or makes it if asked to.

        Raises as :func:`ssrnet.index.milvus_client.connect`, and :class:`DataError` where the collection is missing, has
        other fields, another dimension or another index, or holds features that something else than ``made_by`` made.
        """
        index = cls(milvus_client.connect(uri), collection, dimension, "HNSW" if approximate else "FLAT")
        try:
            if create:
                index._create(made_by)
            index._check(made_by)
            index._ask("load_collection", timeout=LOAD_SECONDS)
        except BaseException:
            index.close()
            raise
        return index

    def __len__(self) -> int:
        return self._ask("query", filter="", output_fields=["count(*)"])[0]["count(*)"]

    def add(self, entries: Sequence[Entry], features: np.ndarray) -> int:
        half = vectors.checked_features(features, len(entries), self.dimension)
        first = vectors.positions(entries)
        added = 0
        for keys in _parts(list(first)):
            there = self._there(keys)
            rows = [row_of(entries[first[key]], half[first[key]]) for key in keys if key not in there]
            if rows:
                self._ask("upsert", data=rows)
            added += len(rows)
        return added

    def relabel(self, entries: Sequence[Entry]) -> None:
        for part in _parts(entries):
            stored = self._features([entry.key for entry in part])
            rows = [row_of(entry, stored[entry.key]) for entry in part if entry.key in stored]
            if rows:
                self._ask("upsert", data=rows)

    def delete(self, keys: Collection[str]) -> int:
        removed = 0
        for part in _parts(list(keys)):
            there = self._there(part)
            if there:
                self._ask("delete", filter=any_of(KEY, sorted(there)))
            removed += len(there)
        return removed

    def named(self, source: str, names: Sequence[str]) -> list[Entry]:
        found = []
        for part in _parts(names):
            condition = f"{any_of('name', part)} and source == {quoted(source)}"
            found += self._ask("query", filter=condition, output_fields=list(FIELDS))
        return [entry_from(row) for row in found]

    def entries(self) -> Iterator[Entry]:
        return self._listed("")

    def blocks(self, size: int = 1024) -> Iterator[tuple[list[Entry], np.ndarray]]:
        """All entries with their features (n, dimension) float32, ``size`` at a time, by key."""
        for rows in self._pages("", [*FIELDS, VECTOR], size):
            yield [entry_from(row) for row in rows], np.array([row[VECTOR] for row in rows], dtype=np.float32)

    def search(self, queries: np.ndarray, k: int, filters: Filters = EVERYTHING) -> list[list[Neighbour]]:
        queries = vectors.checked_queries(queries, k, self.dimension)
        if k > MOST:
            raise SettingsError(f"k is {k:,}; Milvus lists at most {MOST:,} neighbours.")
        condition = expression(filters)
        zero = ~queries.any(axis=1)
        found = iter(
            row for part in _parts(queries[~zero], QUERIES_AT_ONCE) for row in self._nearest(part, k, condition)
        )
        first = self._first(k, condition) if zero.any() else []
        return [list(first) if is_zero else next(found) for is_zero in zero]

    def save(self) -> None:
        """Waits until HNSW is built, and used by searches, where the index is approximate.

        Else does nothing: what was added is with the server. Until HNSW is used, Milvus searches in another, less
        accurate way.
        """
        if self.kind == "FLAT":
            return
        self._ask("flush")
        with tqdm(desc="building HNSW", unit="image", leave=False) as bar:
            while self._still_building(bar):
                time.sleep(0.5)
        deadline = time.monotonic() + HANDOVER_SECONDS
        while milvus_client.is_server(self.connection.uri) and time.monotonic() < deadline:
            segments = self._ask("list_loaded_segments")
            rows = self._ask("describe_index", index_name=VECTOR)["total_rows"]
            loaded = sum(segment.num_rows for segment in segments)
            if rows < SMALLEST_HNSW or (
                loaded >= rows and all(s.index_name for s in segments if s.num_rows >= SMALLEST_HNSW)
            ):
                return
            time.sleep(0.5)

    def close(self) -> None:
        self.connection.close()

    def _nearest(self, queries: np.ndarray, k: int, condition: str) -> list[list[Neighbour]]:
        """Asks for more than ``k``, until those that float32 cannot tell from the k-th are all there."""
        hits: dict[int, Any] = {}
        limit, pending = min(k + SLACK, MOST), list(range(len(queries)))
        while pending:
            answer = self._ask(
                "search",
                data=list(queries[pending]),
                anns_field=VECTOR,
                filter=condition,
                limit=limit,
                output_fields=[KEY, *FIELDS],
                search_params={"params": {"ef": max(EF, limit)} if self.kind == "HNSW" else {}},
            )
            hits |= zip(pending, answer, strict=True)
            full = [i for i in pending if len(hits[i]) == limit < MOST]
            pending = [i for i in full if hits[i][-1]["distance"] >= self._bound(hits[i], k)]
            limit = min(2 * limit, MOST)
        near = [
            [hit["entity"] for hit in hits[i] if hit["distance"] >= self._bound(hits[i], k)]
            for i in range(len(queries))
        ]
        features = self._features(list({row[KEY] for rows in near for row in rows}))
        results = []
        for query, rows in zip(queries, near, strict=True):
            rows = [row for row in rows if row[KEY] in features]  # without those deleted since
            stored = np.array([features[row[KEY]] for row in rows], dtype=np.float32).reshape(-1, self.dimension)
            results.append(vectors.nearest([entry_from(r) for r in rows], vectors.exact_distances(query, stored), k))
        return results

    def _bound(self, hits: Any, k: int) -> float:
        """The cosine above which a hit may be one of the ``k`` nearest."""
        return hits[min(k, len(hits)) - 1]["distance"] - vectors.tolerance(self.dimension)

    def _first(self, k: int, condition: str) -> list[Neighbour]:
        """The answer to a query of zeros, which is at the same distance of all entries."""
        first = heapq.nsmallest(k, self._listed(condition), key=lambda entry: (entry.name, entry.source, entry.key))
        return [Neighbour(entry, 1.0) for entry in first]

    def _there(self, keys: Sequence[str]) -> set[str]:
        return {row[KEY] for row in self._ask("query", filter=any_of(KEY, keys), output_fields=[KEY])}

    def _features(self, keys: Sequence[str]) -> dict[str, np.ndarray]:
        found = {}
        for part in _parts(keys):
            for row in self._ask("query", filter=any_of(KEY, part), output_fields=[KEY, VECTOR]):
                found[row[KEY]] = np.array(row[VECTOR], dtype=np.float32)
        return found

    def _listed(self, condition: str) -> Iterator[Entry]:
        return (entry_from(row) for rows in self._pages(condition, list(FIELDS), 1000) for row in rows)

    def _pages(self, condition: str, fields: list[str], size: int) -> Iterator[list[dict]]:
        pages = self._ask("query_iterator", batch_size=size, filter=condition, output_fields=fields)
        while True:
            with milvus_client.user_facing_errors(self.connection.uri, self.connection.versions):
                rows = pages.next()
            if not rows:
                pages.close()
                return
            yield rows

    def _still_building(self, bar: tqdm) -> bool:
        state = self._ask("describe_index", index_name=VECTOR)
        bar.total, bar.n = state["total_rows"], state["total_rows"] - state["pending_index_rows"]
        bar.refresh()
        return state["pending_index_rows"] > 0

    def _create(self, made_by: str) -> None:
        """Makes the collection, or what a killed process left out of it; another process may make it meanwhile."""
        client = self.connection.client
        pymilvus = milvus_client.import_pymilvus()
        if not self._ask("has_collection"):
            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            text = pymilvus.DataType.VARCHAR
            schema.add_field(KEY, text, is_primary=True, max_length=36)
            for name in FIELDS:
                schema.add_field(name, text, max_length=TEXT_BYTES)
            schema.add_field(SECONDS, pymilvus.DataType.DOUBLE)
            schema.add_field(VECTOR, pymilvus.DataType.FLOAT_VECTOR, dim=self.dimension)
            try:
                self._ask("create_collection", schema=schema, consistency_level="Strong", properties={MADE_BY: made_by})
            except ResourceError:
                if not self._ask("has_collection"):
                    raise
        indexed = self._ask("list_indexes")
        params = client.prepare_index_params()
        if VECTOR not in indexed:
            build = HNSW if self.kind == "HNSW" else {}
            params.add_index(VECTOR, index_type=self.kind, index_name=VECTOR, metric_type="COSINE", params=build)
        if "name" not in indexed:  # looked up for every image of a build
            local = not milvus_client.is_server(self.connection.uri)
            params.add_index("name", index_type="INVERTED" if local else "Trie", index_name="name")
        if len(params):
            self._ask("create_index", index_params=params)

    def _check(self, made_by: str) -> None:
        uri = self.connection.uri
        if not self._ask("has_collection"):
            raise DataError(
                f"{uri} has no collection {self.collection}; build it with `ssrnet index build --backend milvus`."
            )
        found = describe(self.connection, self.collection)
        if found.fields != {KEY, *FIELDS, SECONDS, VECTOR}:
            raise DataError(
                f"the collection {self.collection} of {uri} was not made by this version of ssrnet (its fields are "
                f"{', '.join(sorted(found.fields))}); give another --collection."
            )
        if (found.dimension, found.kind, found.metric) != (self.dimension, self.kind, "COSINE"):
            raise DataError(
                f"the collection {self.collection} of {uri} has dimension {found.dimension}, index {found.kind} and metric "
                f"{found.metric}, but this index needs {self.dimension}, {self.kind} and COSINE; give another --collection."
            )
        if found.made_by != made_by:
            raise DataError(
                f"the collection {self.collection} of {uri} holds features of another checkpoint or other settings "
                f"({found.made_by}, this index needs {made_by}); give another --collection."
            )

    def _ask(self, method: str, **options: Any) -> Any:
        """The answer of the client's method on the collection; raises :class:`ResourceError`."""
        options.setdefault("timeout", milvus_client.TIMEOUT_SECONDS)
        with milvus_client.user_facing_errors(self.connection.uri, self.connection.versions):
            return getattr(self.connection.client, method)(self.collection, **options)


class Described(NamedTuple):
    """What a collection is: its fields' names, the dimension, index and metric of its vectors, and what made them."""

    fields: set[str]
    dimension: int | None
    kind: str | None
    metric: str | None
    made_by: str | None


def describe(connection: milvus_client.Connection, collection: str) -> Described:
    """A collection that is there; raises :class:`ResourceError`."""
    with milvus_client.user_facing_errors(connection.uri, connection.versions):
        about = connection.client.describe_collection(collection, timeout=milvus_client.TIMEOUT_SECONDS)
        index = connection.client.describe_index(collection, VECTOR, timeout=milvus_client.TIMEOUT_SECONDS) or {}
    dimensions = [field["params"].get("dim") for field in about["fields"] if field["name"] == VECTOR]
    return Described(
        {field["name"] for field in about["fields"]},
        int(dimensions[0]) if dimensions and dimensions[0] else None,
        index.get("index_type"),
        index.get("metric_type"),
        about["properties"].get(MADE_BY),
    )


def _parts(values: Sequence, size: int = AT_ONCE) -> Iterator[Any]:
    return (values[start : start + size] for start in range(0, len(values), size))
