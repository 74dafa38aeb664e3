"""``ssrnet benchmark index``: a gallery index in Milvus beside the exact store, numpy and faiss."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from ssrnet.benchmarks.clusters import IMAGES_PER_VEHICLE, Clusters, Images
from ssrnet.benchmarks.cost import IMAGE, entries_of
from ssrnet.errors import SettingsError
from ssrnet.files import write_atomically
from ssrnet.index.entries import GalleryIndex
from ssrnet.index.exact_store import ExactIndex
from ssrnet.index.milvus import MilvusIndex

Search = Callable[[np.ndarray], list[list[str]]]
"""Queries (Q, D) to the names of the nearest images of each."""
Contender = Callable[[Path], tuple[Search, Callable[[], None]]]
"""Builds its index in a folder; returns its search, and what closes it."""


@dataclass(frozen=True)
class IndexBenchmarkSettings:
    """Build and search an index of synthetic features in Milvus, in the exact store, with numpy and with faiss."""

    images: int = 200_000
    """Images in the gallery."""
    dimension: int = 3072
    """Numbers of a feature; SSR-Net's has 3,072."""
    k: int = 50
    """Neighbours of a query."""
    batches: tuple[int, ...] = (1, 8, 64)
    """Queries in one search."""
    rounds: int = 3
    """Repetitions of each search; the median is reported."""
    uri: str | None = None
    """Milvus server, whose collections of this name are replaced; by default a file in a temporary folder."""
    process: int | None = None
    """Process id of the server on this machine, for its memory."""
    approximate: bool = False
    """Milvus with HNSW too."""
    seed: int = 0
    """Decides the features."""
    folder: Path | None = None
    """Where files are stored meanwhile; by default a temporary folder."""
    out: Path | None = None
    """JSON file for the results."""

    def __post_init__(self) -> None:
        for name in ("dimension", "k", "rounds"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.images < self.k:
            raise SettingsError(f"--images is {self.images}; it must be at least k ({self.k}).")
        if not self.batches or min(self.batches) < 1:
            raise SettingsError(f"--batches is {self.batches}; give whole numbers from 1.")


@dataclass(frozen=True)
class Row:
    """A contender: seconds to build and, by number of queries, to search; ``memory``: growth in bytes of this process
    and the server; ``recall``: share of the exact store's neighbours found. None where it was not measured."""

    name: str
    build: float | None = None
    search: dict[int, float] | None = None
    memory: int | None = None
    recall: float | None = None
    note: str = ""


def benchmark_index(settings: IndexBenchmarkSettings) -> list[Row]:
    """Runs the command: prints a table, and returns its rows; the first is the exact store's."""
    rows: list[Row] = []
    exact: list[list[str]] = []
    queries = _clusters(settings).whole(max(settings.batches)).features
    for name, contender in _contenders(settings).items():
        with TemporaryDirectory(dir=settings.folder) as place:
            before, began = _memory(settings.process), time.perf_counter()
            try:
                search, close = contender(Path(place))
            except ImportError as error:
                rows.append(Row(name, note=f"{error.name} is not installed"))
                continue
            build = time.perf_counter() - began
            os.sync()  # else what was just stored is still being written while searches are timed
            found = search(queries)
            times = {}
            for batch in settings.batches:
                times[batch] = statistics.median(
                    _seconds(lambda: search(queries[:batch])) for _ in range(settings.rounds)
                )
            memory = _memory(settings.process)
            close()
            search = close = None  # and what they hold, before the memory of the next is measured
        exact = exact or found
        recall = statistics.mean(len(set(a) & set(b)) / len(b) for a, b in zip(found, exact, strict=True))
        grown = None if memory is None or before is None else max(0, memory - before)
        rows.append(Row(name, build, times, grown, recall))
        if settings.out is not None:  # after each, since a graph of many images takes long
            _write(settings.out, settings, rows)
    print(table(rows, settings))
    return rows


def table(rows: list[Row], settings: IndexBenchmarkSettings) -> str:
    """A line for each contender, with its times as ratios to the exact store's."""
    ours = rows[0]
    lines = [
        f"{settings.images:,} images of {settings.dimension:,} numbers, top-{settings.k}, {torch.get_num_threads()} threads, "
        f"load {os.getloadavg()[0]:.1f}; seconds, and beside them the ratio to the exact store's",
        f"{'':16}{'build':>18}{'GB':>7}"
        + "".join(f"{f'{b} queries':>20}" for b in settings.batches)
        + f"{'recall':>9}",
    ]
    for row in rows:
        if row.search is None or row.build is None:
            lines.append(f"{row.name:16}  {row.note}")
            continue
        assert ours.search is not None and ours.build is not None
        cells = [f"{row.build:10.1f} {row.build / ours.build:6.2f}x"]
        cells.append("   " + ("   -" if row.memory is None else f"{row.memory / 1e9:4.1f}"))
        cells += [f"{row.search[b]:11.4f} {row.search[b] / ours.search[b]:7.2f}x" for b in settings.batches]
        lines.append(f"{row.name:16}" + "".join(cells) + f"{row.recall:9.1%}")
    return "\n".join(lines)


def _contenders(settings: IndexBenchmarkSettings) -> dict[str, Contender]:
    def exact(place: Path) -> tuple[Search, Callable[[], None]]:
        return _filled(settings, ExactIndex(place, settings.dimension, create=True))

    def numpy(place: Path) -> tuple[Search, Callable[[], None]]:
        features = np.concatenate([_unit(block.features) for _, block in _blocks(settings)])

        def search(queries: np.ndarray) -> list[list[str]]:
            cosines = _unit(queries) @ features.T
            nearest = np.argpartition(-cosines, settings.k - 1)[:, : settings.k]
            return _names(np.take_along_axis(nearest, np.argsort(-np.take_along_axis(cosines, nearest, 1)), 1))

        return search, lambda: None

    def faiss_flat(place: Path) -> tuple[Search, Callable[[], None]]:
        import faiss

        index = faiss.IndexFlatIP(settings.dimension)
        for _, block in _blocks(settings):
            index.add(_unit(block.features))
        return lambda queries: _names(index.search(_unit(queries), settings.k)[1]), lambda: None

    def milvus(place: Path, approximate: bool = False) -> tuple[Search, Callable[[], None]]:
        name, uri = f"benchmark_{os.getpid()}_{approximate:d}", settings.uri or str(place / "milvus.db")
        index = MilvusIndex.open(uri, name, settings.dimension, "a benchmark", approximate, create=True)
        search, _ = _filled(settings, index)

        def close() -> None:
            with closing(index):
                index.connection.client.drop_collection(name)

        return search, close

    found: dict[str, Contender] = {
        "exact store": exact,
        "numpy": numpy,
        "faiss flat": faiss_flat,
        "Milvus FLAT": milvus,
    }
    return found | ({"Milvus HNSW": lambda place: milvus(place, True)} if settings.approximate else {})


def _filled(settings: IndexBenchmarkSettings, index: GalleryIndex) -> tuple[Search, Callable[[], None]]:
    for start, block in _blocks(settings):
        index.add(entries_of(start, block), block.features)
    index.save()

    def search(queries: np.ndarray) -> list[list[str]]:
        return [[neighbour.entry.name for neighbour in row] for row in index.search(queries, settings.k)]

    return search, index.close


def _clusters(settings: IndexBenchmarkSettings) -> Clusters:
    vehicles = max(2, min(settings.images // IMAGES_PER_VEHICLE, 20_000))
    return Clusters(settings.dimension, vehicles, settings.seed, image=IMAGE, decaying=True)


def _blocks(settings: IndexBenchmarkSettings) -> Iterator[tuple[int, Images]]:
    """The gallery, block by block, each with the number of its first image; queries are drawn before it."""
    clusters = _clusters(settings)
    clusters.whole(max(settings.batches))
    start = 0
    for block in clusters.images(settings.images):
        yield start, block._replace(features=block.features.astype(np.float16).astype(np.float32))
        start += len(block.features)


def _names(order: np.ndarray) -> list[list[str]]:
    return [[f"{i:07d}.jpg" for i in row] for row in order]


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-8)


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _memory(server: int | None) -> int | None:
    """Bytes of this process without mapped files, and of the server; None where there is no /proc."""
    total = 0
    for process in ("self", *([server] if server else [])):
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
        except OSError:
            return None
        with suppress(StopIteration):
            total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
    return total


def _write(out: Path, settings: IndexBenchmarkSettings, rows: list[Row]) -> None:
    text = json.dumps({"settings": _plain(settings), "rows": [asdict(row) for row in rows]}, indent=2)
    write_atomically(out, lambda path: path.write_text(text + "\n"))


def _plain(settings: IndexBenchmarkSettings) -> dict[str, object]:
    kept = ("images", "dimension", "k", "batches", "rounds", "seed")
    return {name: value for name, value in asdict(settings).items() if name in kept}
