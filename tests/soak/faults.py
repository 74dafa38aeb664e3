"""Full disks, vanishing folders, files replaced while they are read, clocks set back."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

from tests.soak import kills
from tests.soak.clocks import TRIED, set_back_often
from tests.soak.disks import fill_often, more_jobs, overwrite_once, sweep
from tests.soak.kills import Outcome, count
from tests.soak.replaced import READERS, WAYS, grow_and_search, replace_often
from tests.soak.report import Row, lost
from tests.soak.vanishing import vanish_often

SIZES = 4
"""Disks that each command is run on."""
LOADS = {"checkpoint": 100, "features": 400}
INDEX_KILLS = 30
CLOCKS = 3
OVERWRITTEN = ("publish", "import", "compare", "export", "extract")
"""Commands that put a file in the place of an old one."""


def soak(folder: Path, seed: int) -> list[Row]:
    rows = [*_disks(folder / "disks", seed), _vanishing(folder / "vanishing")]
    return [*rows, *_replaced(folder / "replaced", seed), _clocks(folder / "clocks", seed)]


def _disks(place: Path, seed: int) -> Iterator[Row]:
    """One row of all commands, and one of those that overwrite an old file."""
    chance, full, commands = random.Random(seed), Outcome(), []
    replacing = Outcome()
    for job in [*_jobs(place), *more_jobs(place)]:
        outcome = fill_often(job, place, sweep(chance, SIZES))
        full.kills, full.finished = full.kills + outcome.kills, full.finished + outcome.finished
        full.failures += outcome.failures
        commands.append(job.name)
        if job.name in OVERWRITTEN:
            replacing.kills += 1
            old = place / job.name / "reference"
            count(replacing, f"{job.name} over an old file", overwrite_once, job, place / f"over-{job.name}", old)
    sentence = f"{', '.join(commands)}; {full.finished} went on to the whole result once there was space"
    yield Row("a disk that fills up, at many points", full.kills, lost(full.failures), sentence)
    yield Row("a full disk where an old file lies", replacing.kills, lost(replacing.failures), ", ".join(OVERWRITTEN))


def _vanishing(place: Path) -> Row:
    began = time.monotonic()
    outcome = vanish_often(place)
    measured = f"ten pages, each without and again with it; {(time.monotonic() - began) / 60:.1f} minutes"
    return Row(
        "a data set, image, checkpoint, features, run or index that vanishes while the app shows it",
        outcome.kills,
        lost(outcome.failures),
        measured,
    )


def _replaced(place: Path, seed: int) -> Iterator[Row]:
    for kind in READERS:
        outcome, sentences = Outcome(), 0
        for way in WAYS:
            each, refused = replace_often(kind, way, place / f"{kind} {way}", LOADS[kind], seed)
            outcome.kills, sentences = outcome.kills + each.kills, sentences + refused
            outcome.failures += each.failures
        measured = f"{sentences} of them ended in one sentence, the others in weights and a hash that belong together"
        if kind == "features":
            measured = f"{sentences} of them ended in one sentence, the others in features of the record beside them"
        yield Row(
            f"a {kind.replace('features', 'feature file')} replaced, overwritten or cut short while it is loaded",
            outcome.kills,
            lost(outcome.failures),
            measured,
        )
    outcome, searches = grow_and_search(place / "index", INDEX_KILLS, seed)
    yield Row(
        "kill -9 of what adds to an index that is searched",
        outcome.kills,
        lost(outcome.failures),
        f"{searches:,} searches, every distance right",
    )


def _clocks(place: Path, seed: int) -> Row:
    outcome = Outcome()
    for job in _jobs(place):
        if job.name in TRIED:
            each = set_back_often(job, place, place / "city", CLOCKS, seed)
            outcome.kills, outcome.failures = outcome.kills + each.kills, outcome.failures + each.failures
    measured = f"{', '.join(TRIED)}: killed, all files dated a year ahead, ended as on a steady clock"
    return Row("a clock set back by a day in the middle of a command", outcome.kills, lost(outcome.failures), measured)


def _jobs(place: Path) -> list[kills.Job]:
    place.mkdir(parents=True)
    return [job for job in kills.jobs(place, real=False) if job.name != kills.MILVUS]
