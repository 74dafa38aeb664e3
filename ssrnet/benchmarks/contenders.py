"""The contenders of ``ssrnet benchmark ranking``; run as a module, one of them in a process with a memory limit.

Each takes the same features and is prepared before the clock starts. All compare cosines, and gallery images of the
query's vehicle by the query's camera are junk.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from ssrnet.benchmarks.clusters import Retrieval
from ssrnet.retrieval.ranking import BLOCK_ELEMENTS, PRODUCT_BLOCKS, rank

ORDER = "order-{}.npy"
"""File of a contender's nearest images, (Q, K) int64, in the folder of the features."""


class Absent(Exception):
    """A contender that is not installed; the message says what is missing."""


@dataclass
class Answer:
    """What a contender found: scores in [0, 1], or ``order`` (Q, K), or both; ``distances``: seconds for them."""

    rank_1: float | None = None
    mAP: float | None = None
    order: np.ndarray | None = None
    distances: float | None = None


@dataclass
class Measured:
    """``status``: done, absent or out of memory, with ``note`` to it. Seconds of wall and of processor; bytes."""

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
    """Only the matrix product, block by block and thrown away: what no exact ranking can be faster than."""
    query, gallery = torch.from_numpy(data.query), torch.from_numpy(data.gallery)

    def run() -> Answer:
        for rows in query.split(PRODUCT_BLOCKS * max(1, BLOCK_ELEMENTS // len(gallery))):
            rows @ gallery.T
        return Answer()

    return run


def ours(data: Retrieval, top_k: int) -> Callable[[], Answer]:
    """CMC, mAP and the nearest ``top_k``, in one pass."""
    query, gallery, split = torch.from_numpy(data.query), torch.from_numpy(data.gallery), data.split()

    def run() -> Answer:
        ranking = rank(query, gallery, split, top_k=top_k)
        return Answer(ranking.metrics.rank(1), ranking.metrics.mAP, ranking.order[:, :top_k])

    return run


def torchreid_python(data: Retrieval, top_k: int) -> Callable[[], Answer]:
    return _torchreid(data, cython=False)


def torchreid_cython(data: Retrieval, top_k: int) -> Callable[[], Answer]:
    return _torchreid(data, cython=True)


def numpy_argsort(data: Retrieval, top_k: int) -> Callable[[], Answer]:
    """The whole matrix of distances and its whole order, then one query at a time."""

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
    """The nearest ``top_k`` alone, from faiss's flat index of inner products; filled within the time."""
    faiss = _module("faiss", "pip install -e .[benchmark]")

    def run() -> Answer:
        index = faiss.IndexFlatIP(data.gallery.shape[1])
        for start in range(0, len(data.gallery), 4096):
            index.add(_unit(data.gallery[start : start + 4096]))
        return Answer(order=index.search(_unit(data.query), top_k)[1])

    return run


CONTENDERS: dict[str, Contender] = {
    "matrix product alone": product,
    "ours": ours,
    "torchreid, Cython": torchreid_cython,
    "torchreid, Python": torchreid_python,
    "numpy argsort": numpy_argsort,
    "faiss flat": faiss_flat,
}


def measure(contender: Contender, data: Retrieval, top_k: int, limit: int | None = None) -> tuple[Measured, Answer]:
    """One run under a ``limit`` in bytes beyond what this process has now, which stays in force."""
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


def _torchreid(data: Retrieval, cython: bool) -> Callable[[], Answer]:
    metrics = _torchreid_metrics()
    if cython and not metrics.rank.IS_CYTHON_AVAI:
        raise Absent("torchreid's rank_cy is not built; PyPI's package has no source of it, its GitHub repository has")

    def run() -> Answer:
        began = time.perf_counter()
        both = (torch.from_numpy(features) for features in (data.query, data.gallery))
        distance = metrics.compute_distance_matrix(*both, "cosine").numpy()
        distances = time.perf_counter() - began
        labels = (data.query_vehicles, data.gallery_vehicles, data.query_cameras, data.gallery_cameras)
        cmc, mAP = metrics.evaluate_rank(distance, *labels, use_cython=cython)
        return Answer(float(cmc[0]), float(mAP), None, distances)

    return run


def _torchreid_metrics() -> ModuleType:
    """From PyPI's package, or from that of its GitHub repository."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that the Cython evaluation is not built, and so do we
        package = _module("torchreid", "pip install -e .[benchmark]")
        return import_module("torchreid.reid.metrics" if hasattr(package, "reid") else "torchreid.metrics")


def _module(name: str, remedy: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        missing = getattr(error, "name", None)
        why = "is not installed" if missing in (name, None) else f"lacks {missing}, which it imports"
        raise Absent(f"{name} {why}: {remedy}") from error


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-8)


def _limit_memory(limit: int | None) -> None:
    """Of the address space, which Linux keeps to; elsewhere there is no limit."""
    own = Path("/proc/self/statm")
    if limit is not None and own.exists():
        now = int(own.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _memory_now() -> int:
    """Bytes, from which :func:`_peak_memory` counts on Linux; elsewhere the peak until now."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
    return _peak_memory()


def _peak_memory() -> int:
    """Bytes. ``ru_maxrss`` alone would count what the parent process had when this one began."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(name: str, folder: str, top_k: str, limit: str) -> None:
    """Prints the result as one line of JSON, and leaves the order it found in the folder."""
    measured, answer = measure(CONTENDERS[name], Retrieval.load(Path(folder)), int(top_k), int(limit))
    if answer.order is not None:
        np.save(Path(folder) / ORDER.format(name), answer.order)
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main(*sys.argv[1:])
