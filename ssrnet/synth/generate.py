"""Renders a city: plans every capture, hands vehicles to workers, survives being killed."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from queue import Empty

from ssrnet.errors import DataError, ResourceError
from ssrnet.files import remove_leftovers
from ssrnet.synth.camera.captures import captures_of
from ssrnet.synth.camera.visibility import unresolvable_views
from ssrnet.synth.jobs import CityJob, ProbeJob
from ssrnet.synth.manifest import filed_rows, write_atomic, write_manifest
from ssrnet.synth.probes import Step, probe_files, probe_steps, write_probe_table
from ssrnet.synth.render.mitsuba_setup import load_mitsuba
from ssrnet.synth.settings import SynthSettings
from ssrnet.synth.vehicle.fleet import Fleet, draw_fleet

FREE = ("out", "workers", "recipe")  # settings that may change between two runs into one folder
PROBES_A_JOB = 12


@dataclass(frozen=True)
class GenerateReport:
    """What a run did: photographs taken now, photographs in all, rows of the manifest."""

    taken: int
    total: int
    rows: int

    def __str__(self) -> str:
        return f"{self.taken:,} photographs taken, {self.total:,} in all, {self.rows:,} rows in manifest.csv"


def generate(settings: SynthSettings, progress: Callable[[int, int], None] | None = None) -> GenerateReport:
    """Render the city of ``settings`` into ``settings.out``, continuing what is already there.

    ``progress`` is called with (done, total) photographs after each one. Raises
    :class:`InstallationError` without the ``synth`` extra, :class:`DataError` where ``out`` holds
    another city, :class:`ResourceError` where a worker dies (usually for want of memory).
    """
    load_mitsuba()
    out = settings.out
    _claim(settings)
    remove_leftovers(out)
    fleet = draw_fleet(settings)
    jobs, names = plan(fleet, settings)
    steps = probe_steps(fleet, settings.seed) if settings.probes else []
    done = filed_rows(out).keys() & set(names)
    open_jobs: list[CityJob | ProbeJob] = [
        replace(job, captures=tuple(c for c in job.captures if c.name not in done)) for job in jobs
    ]
    open_jobs += _probe_jobs([step for step in steps if not probe_files(out, step)[0].exists()])
    open_jobs = [job for job in open_jobs if len(job)]
    total = len(names) + len(steps)
    before = total - sum(map(len, open_jobs))
    report = progress or (lambda *_: None)
    report(before, total)
    taken = 0
    for _ in _run(open_jobs, settings):
        taken += 1
        report(before + taken, total)
    if steps:
        write_probe_table(out, steps)
    rows = write_manifest(out, names)
    write_atomic(out / "siblings.csv", _sibling_table(fleet, settings))
    return GenerateReport(taken, total, rows)


def plan(fleet: Fleet, settings: SynthSettings) -> tuple[list[CityJob], list[str]]:
    """Every vehicle's captures with the splits they are filed in, and all names.

    As in VeRi-776, one image of each vehicle and camera asks, and is filed in the gallery as well.
    """
    jobs, names = [], []
    for identity in fleet.identities:
        split = fleet.split_of[identity.vehicle_id]
        if settings.split not in ("all", split):
            continue
        captures = captures_of(identity, settings)
        if split == "train":
            splits = {capture.name: ("train",) for capture in captures}
        else:
            asking = {capture.camera: capture.name for capture in reversed(captures)}
            splits = {c.name: ("test", "query") if asking[c.camera] == c.name else ("test",) for c in captures}
        masked = frozenset(
            capture.name
            for place, capture in enumerate(captures, len(names))
            if settings.masks and place % settings.mask_every == 0
        )
        jobs.append(CityJob(identity, tuple(captures), splits, masked))
        names += [capture.name for capture in captures]
    return jobs, names


def _probe_jobs(steps: Sequence[Step]) -> list[ProbeJob]:
    return [ProbeJob(tuple(steps[start : start + PROBES_A_JOB])) for start in range(0, len(steps), PROBES_A_JOB)]


def _claim(settings: SynthSettings) -> None:
    """Writes down what the folder holds, or refuses to mix two cities in it."""
    path = settings.out / "settings.json"
    mine = {key: value for key, value in asdict(settings).items() if key not in FREE}
    if path.exists():
        theirs = json.loads(path.read_text())
        changed = [key for key in mine if key != "identities" and theirs.get(key) != mine[key]]
        if changed or theirs["identities"] > mine["identities"]:
            what = ", ".join(f"{key} {theirs.get(key)}" for key in changed or ["identities"])
            raise DataError(
                f"{settings.out} already holds a city with {what}; "
                "use the same settings to continue it, or another folder."
            )
    elif (settings.out / "manifest.csv").exists():
        raise DataError(f"{settings.out} holds a data set that this command did not write; choose another folder.")
    write_atomic(path, json.dumps(mine, indent=2).encode())


def _run(jobs: Sequence[CityJob | ProbeJob], settings: SynthSettings) -> Iterator[str]:
    """Names of photographs as they are written."""
    if settings.workers == 1 or len(jobs) <= 1:
        for job in jobs:
            yield from job.take(settings)
        return
    context = multiprocessing.get_context("spawn")  # LLVM's threads do not survive a fork
    told = context.Queue()
    pool = ProcessPoolExecutor(settings.workers, mp_context=context, initializer=_begin, initargs=(told,))
    with pool:
        futures = [pool.submit(_work, job, settings) for job in jobs]
        expected, seen = sum(map(len, jobs)), 0
        while seen < expected:
            try:
                name = told.get(timeout=2)
            except Empty:
                _raise_failures(futures)
                continue
            seen += 1
            yield name


def _raise_failures(futures: Sequence[Future]) -> None:
    for future in futures:
        if future.done() and future.exception() is not None:
            for other in futures:
                other.cancel()
            if isinstance(future.exception(), BrokenProcessPool):
                raise ResourceError(
                    "A rendering process was killed, most likely for want of memory (each needs about 1 GB); "
                    "run the same command again with fewer --workers, it continues where it stopped."
                )
            raise future.exception()


_told: multiprocessing.Queue | None = None  # a worker's line to the parent


def _begin(told: multiprocessing.Queue) -> None:
    global _told
    _told = told
    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    load_mitsuba()


def _die_with(parent: int) -> None:
    """Ends this process when its parent is gone: after kill -9 nobody else would."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _work(job: CityJob | ProbeJob, settings: SynthSettings) -> None:
    for name in job.take(settings):
        _told.put(name)


def _sibling_table(fleet: Fleet, settings: SynthSettings) -> bytes:
    """Each pair of siblings and the views from which nothing tells them apart."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("sibling_group", "vehicle_a", "vehicle_b", "unresolvable_views"))
    for group, members in sorted(fleet.groups().items()):
        if settings.split not in ("all", fleet.split_of[members[0].vehicle_id]):
            continue
        for a, b in combinations(members, 2):
            writer.writerow((group, f"{a.vehicle_id:04d}", f"{b.vehicle_id:04d}", " ".join(unresolvable_views(a, b))))
    return table.getvalue().encode()


def console_progress() -> Callable[[int, int], None]:
    """A bar on standard error with images a second and the time left."""
    from tqdm import tqdm

    shape = "rendering {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} images, {rate_noinv_fmt}, {remaining} left"
    bar: list[tqdm] = []

    def advance(done: int, total: int) -> None:
        if not bar:  # what an earlier run has done does not count towards the speed
            bar.append(tqdm(total=total, initial=done, unit=" images", bar_format=shape))
            return
        bar[0].update(done - bar[0].n)
        if done >= total:
            bar[0].close()

    return advance
