"""Readers of names, lists, CSV tables and headers, fuzzed with hypothesis: each returns what it says or ends in a sentence.

The property of each is in the modules ``fuzz_*``; what broke once is an explicit example there, and so in the short form.
"""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.soak import fuzz_headers, fuzz_lists, fuzz_names
from tests.soak.fuzzing import Target
from tests.soak.report import Row, lost

MINUTES = 10
"""Of each part; a part's targets share them."""
AT_ONCE = 500
"""Examples between two looks at the clock."""
TARGETS = (*fuzz_names.TARGETS, *fuzz_lists.TARGETS, *fuzz_headers.TARGETS)
PARTS = {
    "names": "names of images, uploads and index entries",
    "lists": "lists of VeRi-776, VehicleID and VERI-Wild",
    "csv": "CSV tables",
    "headers": "safetensors headers and what checkpoints say of themselves",
}


def soak(folder: Path, seed: int) -> list[Row]:
    """``MINUTES`` of each part, two parts at once, with hypothesis' examples kept in ``folder``."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        rows = [pool.submit(fuzz, part, folder, seed, MINUTES * 60.0) for part in PARTS]
        return [row.result() for row in rows]


def fuzz(part: str, folder: Path, seed: int, seconds: float) -> Row:
    """One part for so long; every failure is told with what hypothesis shrank it to."""
    targets = [target for target in TARGETS if target.part == part]
    tried, failures, rounds, end = 0, [], 0, time.monotonic() + seconds
    open_targets = list(targets)
    while open_targets and time.monotonic() < end:
        for target in list(open_targets):
            count, failure = _round(target, folder, seed + 1000 * rounds)
            tried += count
            if failure:
                failures.append(f"{target.check.__name__}: {failure}")
                print(f"  {failures[-1]}", flush=True)
                open_targets.remove(target)  # it would find the same again
        rounds += 1
    return Row(f"fuzzed {PARTS[part]}", tried, lost(failures), f"{seconds / 60:g} minutes")


def _round(target: Target, folder: Path, seed: int) -> tuple[int, str]:
    """How many examples were tried, and the first failure."""
    tried = 0

    def counted(drawn: object) -> None:
        nonlocal tried
        tried += 1
        target.check(drawn)

    test = settings(
        max_examples=AT_ONCE,
        deadline=None,
        database=DirectoryBasedExampleDatabase(folder / target.check.__name__),
        suppress_health_check=list(HealthCheck),
        phases=[Phase.reuse, Phase.generate, Phase.shrink],
        print_blob=False,
        report_multiple_bugs=False,
    )(seeded(seed)(given(target.inputs)(counted)))
    try:
        test()
    except Exception as error:
        notes = " ".join(getattr(error, "__notes__", ()))
        return tried, " ".join(f"{type(error).__name__}: {error} {notes}".split())[:600]
    return tried, ""
