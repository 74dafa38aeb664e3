"""``ssrnet index build | search | serve-check``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from ssrnet.commands.index_build import FULL, BuildSettings, build_index
from ssrnet.errors import DataError, SettingsError
from ssrnet.index.entries import Filters, GalleryIndex, Neighbour, read_time
from ssrnet.index.exact_store import ExactIndex
from ssrnet.index.opening import open_index
from ssrnet.index.pca import ReScored
from ssrnet.index.qdrant import connect, said
from ssrnet.index.record import read_index_record
from ssrnet.index.vectors import exact_distances
from ssrnet.predictor import Predictor
from ssrnet.resources import DeviceName, resolve_device
from ssrnet.retrieval.extraction import describe
from ssrnet.training.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

SAME = 1e-4
"""A stored vector's distance to itself may be so large: a server may keep fewer digits than it was sent."""


@dataclass(frozen=True)
class SearchSettings:
    """Find the images of an index that are nearest to one image; every one that passes the filters is compared."""

    index: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Folder that `ssrnet index build` made."""
    checkpoint: Path
    """The checkpoint that the index was built with."""
    image: Path
    """The image to look for."""
    k: int = 10
    """Neighbours to list."""
    camera: tuple[str, ...] = ()
    """Only images by one of these cameras."""
    not_camera: tuple[str, ...] = ()
    """No images by these cameras."""
    id: tuple[str, ...] = ()
    """Only images of one of these vehicles."""
    not_id: tuple[str, ...] = ()
    """No images of these vehicles."""
    after: str | None = None
    """Only images taken then or later: seconds, 2026-05-01T12:00, or "day 13 10:21:24", as the data set writes it."""
    before: str | None = None
    """Only images taken then or earlier."""
    rescore: int | None = None
    """Of an index built with --pca: compare so many, the nearest by projected features, once more by whole ones."""
    device: DeviceName = "auto"
    """Where to run."""

    def filters(self) -> Filters:
        """Raises :class:`SettingsError` for a time that cannot be read, or a range that is empty."""
        after, before = _seconds("--after", self.after), _seconds("--before", self.before)
        return Filters(self.id, self.not_id, self.camera, self.not_camera, after, before)


@dataclass(frozen=True)
class ServeCheckSettings:
    """Say whether a Qdrant server serves an index as it should."""

    url: str
    """Address of the server, as http://localhost:6333. Its key, if it has one, is read from QDRANT_API_KEY where
    QDRANT_URL names the same address."""
    index: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder of an index on that server, which says what collection and dimension are right."""
    collection: str | None = None
    """Collection to look at; by default the index's, or without one each that `ssrnet` made."""


@dataclass(frozen=True)
class IndexSettings:
    """Keep the embeddings of any number of images in an index, and search it exactly."""

    action: Annotated[
        Annotated[BuildSettings, tyro.conf.subcommand("build")]
        | Annotated[SearchSettings, tyro.conf.subcommand("search")]
        | Annotated[ServeCheckSettings, tyro.conf.subcommand("serve-check")],
        tyro.conf.arg(name=""),
    ]


def index_command(settings: IndexSettings) -> None:
    """Runs one of the three."""
    actions: dict[type, Callable[[Any], None]] = {
        BuildSettings: build_index,
        SearchSettings: search_index,
        ServeCheckSettings: serve_check,
    }
    actions[type(settings.action)](settings.action)


def search_index(settings: SearchSettings) -> None:
    """Prints the neighbours as a table.

    Raises :class:`DataError` for an image that cannot be read and for a checkpoint that is not the index's; otherwise
    as :func:`open_index`.
    """
    filters = settings.filters()
    if settings.k < 1:
        raise SettingsError(f"k is {settings.k}; ask for at least 1 neighbour.")
    record = read_index_record(settings.index)
    if settings.rescore is not None and (record.stored == record.dimension or settings.rescore < settings.k):
        raise SettingsError(
            f"--rescore is {settings.rescore}; it needs an index built with --pca, and at least k ({settings.k}): "
            "change it, or leave it out."
        )
    checkpoint = load_checkpoint(settings.checkpoint)
    extraction = record.extraction
    record.check(settings.index, checkpoint.record | describe(extraction, checkpoint.info.image_size))
    predictor = Predictor(checkpoint.model.to(resolve_device(settings.device)), checkpoint.info.image_size)
    query = predictor.embed_as(settings.image, extraction).numpy()
    with ExitStack() as stack:
        index = stack.enter_context(closing(open_index(settings.index)[0]))
        searched: GalleryIndex | ReScored = index
        if settings.rescore is not None:
            whole = stack.enter_context(ExactIndex(settings.index / FULL, record.dimension))
            searched = ReScored(index, whole, settings.rescore)
        (found,) = searched.search(query, settings.k, filters)
        size = len(index)
    if not found:
        raise DataError(f"none of the {size:,} images of {settings.index} passes the filters; loosen one of them.")
    print(table(found))


def table(found: list[Neighbour]) -> str:
    """Rank, distance, vehicle, camera, time, name and source, in columns."""
    rows = [("rank", "distance", "vehicle", "camera", "time", "name", "source")]
    for rank, (entry, distance) in enumerate(found, 1):
        known = (entry.vehicle_id or "-", entry.camera_id or "-", entry.time or "-", entry.name, entry.source)
        rows.append((str(rank), f"{distance:.4f}", *known))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def serve_check(settings: ServeCheckSettings) -> None:
    """Prints one sentence a finding.

    Raises :class:`ResourceError` where the server cannot be reached, :class:`DataError` where a collection is missing
    or not as it should be; what was found until then is printed.
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
    """The sentences of :func:`serve_check`, as they are found."""
    with said(url):
        yield f"{url} answers: Qdrant {client.info().version}."
        named = [one.name for one in client.get_collections().collections]
    ours = sorted(name for name in named if name.startswith("ssrnet-"))
    if not (ours if collection is None else collection in named):
        raise DataError(
            f"{url} has no collection {collection or 'that ssrnet made'}; it has {', '.join(sorted(named)) or 'none'}: "
            "build one with `ssrnet index build --backend qdrant --url`."
        )
    for name in ours if collection is None else [collection]:
        with said(url):
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
    found = client.query_points(name, query=point.vector, limit=10, search_params=exact, with_vectors=True).points
    own = np.array(point.vector, dtype=np.float32)
    distances = exact_distances(own, np.array([hit.vector for hit in found], dtype=np.float32).reshape(-1, len(own)))
    if not len(found) or distances[0] > SAME:
        raise DataError(
            f"an exact search of {name} for the vector of point {point.id} does not return it first; the server is not "
            "in order: look into its log."
        )
    yield f"An exact search for a stored vector returns it first, at distance {distances[0]:.1e}."


def _seconds(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    seconds = read_time(text)
    if seconds is None:
        raise SettingsError(f'{option} is {text!r}; write seconds, 2026-05-01T12:00:00, or "day 13 10:21:24".')
    return seconds
