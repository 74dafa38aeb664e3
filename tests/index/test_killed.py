"""kill -9 while images are added, at many moments; then the same again: nothing is lost, nothing is there twice."""

import math
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from ssrnet.index import exact_store, milvus
from ssrnet.index.opening import open_index
from tests.index.galleries import BACKENDS, DIMENSION, entries, features, make
from tests.processes import run_script
from tests.soak.commands import finish

COUNT, BATCH = 40, 8
SOURCES = {"exact": (exact_store.__file__,), "milvus": (milvus.__file__,)}
MOMENTS = {"exact": (0.0, 0.07, 0.15, 0.19, 0.3, 0.42, 0.55, 0.68, 0.83, 0.99), "milvus": (0.02, 0.45, 0.95)}
"""Shares of the lines of the sources above, run while COUNT images are added, after which the process dies."""


KILLED_AT_THE_FOURTH = """
import os, signal
from ssrnet.__main__ import main
from ssrnet.index import filling
from ssrnet.index.exact_store import ExactIndex

filling.SECONDS = 0  # each batch is added at once
add, calls = ExactIndex.add, []

def counted(self, *arguments):
    calls.append(arguments)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return add(self, *arguments)

ExactIndex.add = counted
main()
"""


def ingest(folder: Path, backend: str, lines: float) -> None:
    """Adds all images batch by batch; the process kills itself after so many lines, wherever that is."""
    index = make(folder, backend)
    seen = 0

    def count(_frame, event, _argument):
        nonlocal seen
        seen += event == "line"
        if seen > lines:
            os.kill(os.getpid(), signal.SIGKILL)
        return count

    def trace(frame, _event, _argument):
        return count if frame.f_code.co_filename.endswith(SOURCES[backend]) else None

    sys.settrace(trace)
    for start in range(0, COUNT, BATCH):
        index.add(entries(COUNT)[start : start + BATCH], features(COUNT)[start : start + BATCH])
        (folder / "batches").write_text(str(start + BATCH))  # what has been promised
    sys.settrace(None)
    index.close()
    (folder / "lines").write_text(str(seen))


def run(folder: Path, backend: str, lines: float = math.inf) -> int | None:
    process = multiprocessing.get_context("fork").Process(target=ingest, args=(folder, backend, lines))
    process.start()
    process.join(60)
    return process.exitcode


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """By backend and moment a folder in which the process died then."""
    folders = {}
    for backend in BACKENDS:
        whole = tmp_path_factory.mktemp("whole")
        make(whole, backend).close()
        assert run(whole, backend) == 0
        for moment in MOMENTS[backend]:
            folder = folders[backend, moment] = tmp_path_factory.mktemp("killed")
            make(folder, backend).close()
            assert run(folder, backend, moment * int((whole / "lines").read_text())) == -signal.SIGKILL
    return folders


@pytest.mark.parametrize(("backend", "moment"), [(backend, m) for backend in BACKENDS for m in MOMENTS[backend]])
def test_killed_while_adding(killed, backend, moment):
    folder = killed[backend, moment]
    promised = int((folder / "batches").read_text()) if (folder / "batches").exists() else 0
    index, _ = open_index(folder)
    kept = sorted(entry.name for entry in index.entries())
    assert promised <= len(kept) == len(index) <= promised + BATCH
    assert kept == [entry.name for entry in entries(len(kept))]
    assert abs(len(kept) - moment * COUNT) <= 2 * BATCH, "the moments are not spread over the adding"
    if backend == "exact":
        assert len(kept) % BATCH == 0, "a part of a batch was committed"
        index.verify()
    index.close()

    assert run(folder, backend) == 0
    index, _ = open_index(folder)
    assert sorted(entry.name for entry in index.entries()) == [entry.name for entry in entries(COUNT)]
    for i, row in enumerate(index.search(features(COUNT), 2)):
        assert row[0].entry == entries(COUNT)[i] and row[0].distance < 1e-6 < row[1].distance
    index.close()
    if backend == "exact":
        assert (folder / exact_store.MATRIX).stat().st_size == COUNT * 2 * DIMENSION


def test_a_build_that_was_killed_goes_on(city, checkpoints, tmp_path):
    out = tmp_path / "index"
    of = ["--data", city, "--checkpoint", checkpoints["ssrnet"], "--out", out, "--split", "all"]
    options = ["--workers", "0", "--device", "cpu", "--extraction.batch-size", "1", "--features", tmp_path / "none"]
    arguments = ["index", "build", *map(str, (*of, *options))]
    assert run_script(KILLED_AT_THE_FOURTH, *arguments).returncode == -signal.SIGKILL
    with open_index(out)[0] as index:
        assert len(index) == 3
        before = {entry.key: feature for part in index.blocks() for entry, feature in zip(*part, strict=True)}

    again = finish(arguments, tmp_path / "output.txt").output()
    assert "30 images of 1,536 numbers, exact; 3 images were there, 27 added" in again, again
    with open_index(out)[0] as index:
        index.verify()
        after = {entry.key: feature for part in index.blocks() for entry, feature in zip(*part, strict=True)}
    assert len(after) == 30 and all(np.array_equal(after[key], feature) for key, feature in before.items())
