"""The libraries that ``ssrnet benchmark ranking`` compares; run as a module, one of them in a process with a memory limit.

All rank the same features by cosine distance and are prepared before the clock starts. Gallery images of the query's
vehicle by the query's camera are junk.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ssrnet.benchmarks.clusters import Retrieval
from ssrnet.retrieval.alignment import CameraStatistics, cameras_of
from ssrnet.retrieval.ranking import BLOCK_ELEMENTS, PRODUCT_BLOCKS, rank

ORDER = "order-{}.npy"
"""File of a contender's nearest images, (Q, K) int64, in the folder of the features."""


class Absent(Exception):
    """A contender that is not installed; the message says what is missing."""


@dataclass
class Answer:
    """A contender's result: scores in [0, 1], or ``order`` (Q, K), or both; ``distances``: seconds for the distances."""

    rank_1: float | None = None
    mAP: float | None = None
    order: np.ndarray | None = None
    distances: float | None = None


@dataclass
class Measured:
    """``status``: done, absent or out of memory, explained by ``note``; wall and CPU seconds; memory in bytes."""

    status: str
    note: str = ""
    seconds: float | None = None
    processor_seconds: float | None = None
    distance_seconds: float | None = None
    memory: int | None = None
    rank_1: float | None = None
    mAP: float | None = None


Contender = Callable[[Retrieval, int], Callable[[], Answer]]


def product(data: Retrieval, top_k: int) -> Callable[[], Answer]:
    """The matrix product alone, in blocks that are discarded: the lower bound of any exact ranking's time."""
    query, gallery = torch.from_numpy(data.query), torch.from_numpy(data.gallery)

    def run() -> Answer:
        for rows in query.split(PRODUCT_BLOCKS * max(1, BLOCK_ELEMENTS // len(gallery))):
            rows @ gallery.T
        return Answer()

    return run


def ours(data: Retrieval, top_k: int) -> Callable[[], Answer]:
    """This package's ranking: CMC, mAP and the nearest ``top_k``, in one pass."""
    query, gallery, split = torch.from_numpy(data.query), torch.from_numpy(data.gallery), data.split()

    def run() -> Answer:
        ranking = rank(query, gallery, split, top_k=top_k)
        return Answer(ranking.metrics.rank(1), ranking.metrics.mAP, ranking.order[:, :top_k])

    return run


def ours_aligned(data: Retrieval, top_k: int) -> Callable[[], Answer]:
    """The same after camera alignment in place, with statistics over queries and gallery together."""
    both, split = torch.from_numpy(np.concatenate([data.query, data.gallery])), data.split()
    cameras = cameras_of((*split.query, *split.gallery))

    def run() -> Answer:
        aligned = CameraStatistics.of(both, cameras).align_in_place(both, cameras)
        query, gallery = aligned.split([len(data.query), len(data.gallery)])
        ranking = rank(query, gallery, split, top_k=top_k)
        return Answer(ranking.metrics.rank(1), ranking.metrics.mAP, ranking.order[:, :top_k])

    return run


def numpy_argsort(data: Retrieval, top_k: int) -> Callable[[], Answer]:
    """The full distance matrix, sorted in full, then scored one query at a time."""

    def run() -> Answer:
        began = time.perf_counter()
        distance = 1 - _unit(data.query) @ _unit(data.gallery).T
        distances = time.perf_counter() - began
        order = distance.argsort(1)
        first, precision = [], []
        for q, row in enumerate(order):
            same = data.gallery_vehicles[row] == data.query_vehicles[q]
            junk = same & (data.gallery_cameras[row] == data.query_cameras[q])
            ranks = np.flatnonzero(same[~junk]) + 1
            if len(ranks):
                first.append(ranks[0] == 1)
                precision.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
        return Answer(float(np.mean(first)), float(np.mean(precision)), order[:, :top_k], distances)

    return run


def faiss_flat(data: Retrieval, top_k: int) -> Callable[[], Answer]:
    """The nearest ``top_k`` alone, from faiss's flat index of inner products; the time includes filling it."""
    try:
        import faiss
    except ImportError as error:
        raise Absent("faiss is not installed: pip install -e .[benchmark]") from error

    def run() -> Answer:
        index = faiss.IndexFlatIP(data.gallery.shape[1])
        for start in range(0, len(data.gallery), 4096):
            index.add(_unit(data.gallery[start : start + 4096]))
        return Answer(order=index.search(_unit(data.query), top_k)[1])

    return run


CONTENDERS: dict[str, Contender] = {
    "matrix product alone": product,
    "ours": ours,
    "ours, aligned": ours_aligned,
    "numpy argsort": numpy_argsort,
    "faiss flat": faiss_flat,
}


def measure(contender: Contender, data: Retrieval, top_k: int, limit: int | None = None) -> tuple[Measured, Answer]:
    """Run once under a memory ``limit``, in bytes beyond what this process has now; the limit stays in force."""
    try:
        # Libraries start their threads and reserve their buffers at the first call.
        contender(data.head(64, 256), min(top_k, 256, len(data.gallery)))()
        run = contender(data, top_k)
    except Absent as error:
        return Measured("absent", str(error)), Answer()
    _limit_memory(limit)
    before, wall, processor = _memory_now(), time.perf_counter(), time.process_time()
    try:
        answer = run()
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "alloc" not in str(error):  # torch's allocator and C++'s bad_alloc
            raise
        return Measured("out of memory", seconds=time.perf_counter() - wall), Answer()
    seconds, busy = time.perf_counter() - wall, time.process_time() - processor
    grown = _peak_memory() - before
    return Measured("done", "", seconds, busy, answer.distances, grown, answer.rank_1, answer.mAP), answer


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-8)


def _limit_memory(limit: int | None) -> None:
    """Limits the address space on Linux; other systems do not enforce it."""
    statm = Path("/proc/self/statm")
    if limit is not None and statm.exists():
        now = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _memory_now() -> int:
    """The memory in use in bytes, after resetting the peak (Linux only; elsewhere the peak so far)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak, which the imports set
    return _peak_memory()


def _peak_memory() -> int:
    """The peak in bytes. ``ru_maxrss`` would include the parent's memory at the time of the fork."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(name: str, folder: str, top_k: str, limit: str) -> None:
    """Prints the result as one line of JSON and writes the ranked order into the folder."""
    measured, answer = measure(CONTENDERS[name], Retrieval.load(Path(folder)), int(top_k), int(limit))
    if answer.order is not None:
        np.save(Path(folder) / ORDER.format(name), answer.order)
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main(*sys.argv[1:])
