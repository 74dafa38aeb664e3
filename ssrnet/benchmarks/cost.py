"""``ssrnet benchmark cost``: time and memory of an exact search of the gallery index, by gallery size."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import numpy as np
import torch
from tqdm import tqdm

from ssrnet.benchmarks.clusters import IMAGES_PER_VEHICLE, Clusters, Images
from ssrnet.benchmarks.cost_report import Batch, Cost, Costs, plot, report
from ssrnet.errors import ResourceError, SettingsError
from ssrnet.files import write_atomically
from ssrnet.index.entries import EVERYTHING, Entry, Filters, Neighbour
from ssrnet.index.exact_store import ExactIndex
from ssrnet.index.pca import ProjectedIndex, Projection, ReScored

CAMERA = 3
ONE_CAMERA = Filters(cameras=(f"c{CAMERA:03d}",))
IMAGE = 0.7
FITTED_ON = 20_000
ENTRY_BYTES = 600
"""Bytes of the database for an entry: names, hashes and their indexes."""
Search = Callable[[np.ndarray, int, Filters], list[list[Neighbour]]]


@dataclass(frozen=True)
class CostBenchmarkSettings:
    """Time exact searches of synthetic galleries of growing size, and of the largest by batch, filter and --pca."""

    sizes: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    """Images in the gallery; a million of 3,072 numbers takes 8.5 GB of disk."""
    dimension: int = 3072
    """Numbers of a feature; SSR-Net's has 3,072."""
    k: int = 50
    """Neighbours of a query."""
    batches: tuple[int, ...] = (1, 8, 64)
    """Queries in one search of the largest gallery."""
    pca: int = 512
    """Numbers of the projected features that a search with re-scoring compares first."""
    rescore: tuple[int, ...] = (100, 400)
    """Candidates that are compared once more by whole features."""
    rounds: int = 3
    """Repetitions of each search; the median is reported."""
    seed: int = 0
    """Decides the features."""
    folder: Path | None = None
    """Where the galleries are stored meanwhile; by default a temporary folder."""
    out: Path | None = None
    """Folder for cost.json and cost.svg."""

    def __post_init__(self) -> None:
        for name in ("dimension", "k", "pca", "rounds"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("sizes", "batches", "rescore"):
            values = getattr(self, name)
            if not values or min(values) < 1 or list(values) != sorted(set(values)):
                raise SettingsError(f"--{name} is {values}; give whole numbers from 1, in ascending order.")
        if self.pca > min(self.dimension, self.sizes[-1], FITTED_ON):
            raise SettingsError(f"--pca is {self.pca}; it cannot be above --dimension or the largest of --sizes.")


def benchmark_cost(settings: CostBenchmarkSettings) -> Costs:
    """Runs the command and prints two tables; raises :class:`ResourceError` where the disk has too little room."""
    _check_disk(settings)
    bandwidth = measured_bandwidth()
    with TemporaryDirectory(dir=settings.folder) as place:
        gallery = Gallery(settings, Path(place))
        growth = []
        for size in settings.sizes:
            gallery.grow(size)
            growth.append(_cost(settings, gallery, bandwidth))
        costs = Costs(bandwidth, growth, _batches(settings, gallery, bandwidth), os.getloadavg()[0])
        gallery.close()
    print(report(costs, settings.dimension, settings.k))
    if settings.out is not None:
        text = json.dumps(asdict(costs), indent=2)
        write_atomically(settings.out / "cost.json", lambda path: path.write_text(text + "\n"))
        write_atomically(settings.out / "cost.svg", lambda path: plot(costs, path))
    return costs


class Gallery:
    """An exact store and its projection, which grow together; queries are other images of the same vehicles."""

    def __init__(self, settings: CostBenchmarkSettings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        largest = settings.sizes[-1]
        vehicles = max(2, min(largest // IMAGES_PER_VEHICLE, 20_000))

        def clusters() -> Clusters:
            return Clusters(settings.dimension, vehicles, settings.seed, image=IMAGE, decaying=True)

        fitted = (block.features for block in clusters().images(min(largest, FITTED_ON)))
        projection = Projection.fit(fitted, settings.pca)
        self._clusters = clusters()
        self.queries = self._clusters.whole(settings.batches[-1]).features
        self.whole = ExactIndex(folder / "whole", settings.dimension, create=True)
        self.short = ExactIndex(folder / "short", settings.pca, create=True)
        self.projected = ProjectedIndex(self.short, projection)
        self.by_one_camera = 0

    def grow(self, size: int) -> None:
        """Adds images until there are ``size``."""
        start = len(self.whole)
        with tqdm(total=size - start, desc=f"gallery of {size:,}", unit="image") as bar:
            for block in self._clusters.images(size - start):
                entries = entries_of(start, block)
                self.whole.add(entries, block.features)
                self.projected.add(entries, block.features)
                start += len(entries)
                self.by_one_camera += int((block.cameras == CAMERA).sum())
                bar.update(len(entries))

    def opened(self) -> ExactIndex:
        """The store opened once more, as by another process."""
        return ExactIndex(self.folder / "whole", self.settings.dimension)

    def close(self) -> None:
        self.whole.close()
        self.short.close()


def measured_bandwidth(size: int = 512_000_000) -> float:
    """Bytes a second with which all threads read ``size`` bytes, the best of five times."""
    numbers = torch.ones(size // 8, dtype=torch.int64)
    return size / min(_seconds(lambda: numbers.sum()) for _ in range(5))


def _cost(settings: CostBenchmarkSettings, gallery: Gallery, bandwidth: float) -> Cost:
    query = gallery.queries[:1]
    with gallery.opened() as index, peak_memory() as memory:
        first, *later = [_seconds(lambda: index.search(query, settings.k)) for _ in range(1 + settings.rounds)]
        size = len(index)
    floor = size * settings.dimension * 2 / bandwidth
    return Cost(size, first, statistics.median(later), memory[0] if memory else None, floor)


def _batches(settings: CostBenchmarkSettings, gallery: Gallery, bandwidth: float) -> list[Batch]:
    exact = {
        filters: gallery.whole.search(gallery.queries, settings.k, filters) for filters in (EVERYTHING, ONE_CAMERA)
    }
    # The floor of a search with re-scoring is that of its projected features; few whole ones are read.
    ways: list[tuple[str, Search, int]] = [("exact", gallery.whole.search, settings.dimension)]
    for candidates in settings.rescore:
        search = ReScored(gallery.projected, gallery.whole, candidates).search
        ways.append((f"PCA to {settings.pca}, {candidates} re-scored", search, settings.pca))
    batches = []
    size = len(gallery.whole)
    for filters, words, rows in ((EVERYTHING, "all cameras", size), (ONE_CAMERA, "one camera", gallery.by_one_camera)):
        for way, search, dimension in ways:
            results = search(gallery.queries, settings.k, filters)
            share = _recall(results, exact[filters])
            for queries in settings.batches:
                part = gallery.queries[:queries]
                times = [_seconds(lambda: search(part, settings.k, filters)) for _ in range(settings.rounds)]
                floor = rows * dimension * 2 / bandwidth / queries
                batches.append(Batch(f"{way}, {words}", queries, statistics.median(times) / queries, floor, share))
    return batches


def _recall(results: list[list[Neighbour]], exact: list[list[Neighbour]]) -> float:
    hits = sum(
        len({n.entry.key for n in row} & {n.entry.key for n in nearest})
        for row, nearest in zip(results, exact, strict=True)
    )
    return hits / max(1, sum(map(len, exact)))


def entries_of(start: int, block: Images) -> list[Entry]:
    """The entries of a block of images, numbered from ``start``."""
    return [
        Entry("synthetic", f"{i:07d}.jpg", f"{i:064x}", str(vehicle), f"c{camera:03d}")
        for i, (vehicle, camera) in enumerate(zip(block.vehicles, block.cameras, strict=True), start)
    ]


def _check_disk(settings: CostBenchmarkSettings) -> None:
    folder = settings.folder or Path(gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    needed = settings.sizes[-1] * (2 * (settings.dimension + settings.pca) + 2 * ENTRY_BYTES)
    free = shutil.disk_usage(folder).free
    if free < 1.1 * needed:
        raise ResourceError(
            f"{folder} has {free / 1e9:.1f} GB free, and {settings.sizes[-1]:,} images need {needed / 1e9:.1f} GB; "
            "name another --folder, or smaller --sizes."
        )


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """A list that holds, at the end, the growth of the process's memory at its peak, in bytes.

    Sampled every millisecond, without pages of mapped files. Empty where there is no /proc.
    """
    grown: list[int] = []
    before, done, peak = _anonymous_memory(), threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.001):
            peak[0] = max(peak[0], _anonymous_memory() or 0)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield grown
    finally:
        done.set()
        thread.join()
    if before is not None:
        grown.append(max(0, peak[0] - before))


def _anonymous_memory() -> int | None:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
    return None
