"""Renders a city: plans every capture, distributes vehicles over workers, continues after an interruption."""

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
from pathlib import Path
from queue import Empty

from ssrnet.errors import DataError, ResourceError
from ssrnet.files import remove_leftovers
from ssrnet.synth.camera.captures import captures_of
from ssrnet.synth.camera.visibility import unresolvable_views
from ssrnet.synth.jobs import CityJob, ProbeJob
from ssrnet.synth.manifest import complete_rows, write_atomic, write_manifest
from ssrnet.synth.probes import Step, probe_files, probe_steps, write_probe_table
from ssrnet.synth.render.mitsuba_setup import load_mitsuba
from ssrnet.synth.settings import SynthSettings
from ssrnet.synth.vehicle.fleet import Fleet, draw_fleet

CHANGEABLE = ("out", "workers", "recipe")  # settings that may differ between two runs into one folder
PROBES_PER_JOB = 12


@dataclass(frozen=True)
class GenerateReport:
    """Photographs taken by this run, photographs in all, rows of the manifest."""

    taken: int
    total: int
    rows: int

    def __str__(self) -> str:
        return f"{self.taken:,} photographs taken, {self.total:,} in all, {self.rows:,} rows in manifest.csv"


def generate(settings: SynthSettings, progress_callback: Callable[[int, int], None] | None = None) -> GenerateReport:
    """Render the city of ``settings`` into ``settings.out``, or continue one that is there.

    ``progress_callback(done, total)`` counts photographs. Raises :class:`InstallationError` without the
    ``synth`` extra, :class:`DataError` where ``out`` holds another city, and :class:`ResourceError` where
    a worker dies, usually for lack of memory.
    """
    load_mitsuba()
    out = settings.out
    _record_settings(settings)
    remove_leftovers(out)
    fleet = draw_fleet(settings)
    jobs, names = plan(fleet, settings)
    steps = probe_steps(fleet, settings.seed) if settings.probes else []
    complete = complete_rows(out).keys() & set(names)
    open_jobs: list[CityJob | ProbeJob] = [
        replace(job, captures=tuple(c for c in job.captures if c.name not in complete)) for job in jobs
    ]
    open_jobs += _probe_jobs([step for step in steps if not probe_files(out, step)[0].exists()])
    open_jobs = [job for job in open_jobs if len(job)]
    total = len(names) + len(steps)
    before = total - sum(map(len, open_jobs))
    show_progress = progress_callback or (lambda *_: None)
    show_progress(before, total)
    taken = 0
    for _ in _run(open_jobs, settings):
        taken += 1
        show_progress(before + taken, total)
    if steps:
        write_probe_table(out, steps)
    rows = write_manifest(out, names)
    write_atomic(out / "siblings.csv", _sibling_table(fleet, settings))
    return GenerateReport(taken, total, rows)


def plan(fleet: Fleet, settings: SynthSettings) -> tuple[list[CityJob], list[str]]:
    """(one job per vehicle with all its captures and their splits, names of all captures).

    As in VeRi-776, the first image of each vehicle and camera is a query, and is in the gallery as well.
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
            queries = {capture.camera: capture.name for capture in reversed(captures)}
            splits = {c.name: ("test", "query") if queries[c.camera] == c.name else ("test",) for c in captures}
        masked = frozenset(
            capture.name
            for place, capture in enumerate(captures, len(names))
            if settings.masks and place % settings.mask_every == 0
        )
        jobs.append(CityJob(identity, tuple(captures), splits, masked))
        names += [capture.name for capture in captures]
    return jobs, names


def _probe_jobs(steps: Sequence[Step]) -> list[ProbeJob]:
    return [ProbeJob(tuple(steps[start : start + PROBES_PER_JOB])) for start in range(0, len(steps), PROBES_PER_JOB)]


def recorded_settings(out: Path) -> dict[str, object]:
    """The settings behind the pixels of ``out``; those that ``settings.json`` lacks had their defaults."""
    return settings_of_pixels(SynthSettings(out)) | json.loads((out / "settings.json").read_text())


def settings_of_pixels(settings: SynthSettings) -> dict[str, object]:
    """The settings that decide what a folder holds, by name."""
    return {key: value for key, value in asdict(settings).items() if key not in CHANGEABLE}


def _record_settings(settings: SynthSettings) -> None:
    """Writes ``settings.json``, or raises :class:`DataError` where the folder holds another city."""
    path = settings.out / "settings.json"
    wanted = settings_of_pixels(settings)
    if path.exists():
        recorded = recorded_settings(settings.out)
        changed = [key for key in wanted if key != "identities" and recorded[key] != wanted[key]]
        if changed or recorded["identities"] > wanted["identities"]:
            what = ", ".join(f"{key} {recorded[key]}" for key in changed or ["identities"])
            raise DataError(
                f"{settings.out} already holds a city with {what}; "
                "use the same settings to continue it, or another folder."
            )
    elif (settings.out / "manifest.csv").exists():
        raise DataError(f"{settings.out} holds a data set that this command did not write; choose another folder.")
    write_atomic(path, json.dumps(wanted, indent=2).encode())


def _run(jobs: Sequence[CityJob | ProbeJob], settings: SynthSettings) -> Iterator[str]:
    """Runs all jobs; yields the name of each photograph once it is written."""
    if settings.workers == 1 or len(jobs) <= 1:
        for job in jobs:
            yield from job.take(settings)
        return
    context = multiprocessing.get_context("spawn")  # LLVM's threads do not survive a fork
    written = context.Queue()
    pool = ProcessPoolExecutor(settings.workers, mp_context=context, initializer=_start_worker, initargs=(written,))
    with pool:
        futures = [pool.submit(_run_job, job, settings) for job in jobs]
        expected, seen = sum(map(len, jobs)), 0
        while seen < expected:
            try:
                name = written.get(timeout=2)
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
                    "A rendering process was killed, most likely for lack of memory (each needs about 1 GB); "
                    "run the same command with fewer --workers; it continues where it stopped."
                )
            raise future.exception()


_written: multiprocessing.Queue | None = None  # in a worker: names of photographs, for the parent


def _start_worker(written: multiprocessing.Queue) -> None:
    global _written
    _written = written
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    load_mitsuba()


def _exit_with_parent(parent: int) -> None:
    """Ends this process when its parent is gone: after kill -9 nothing else would."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _run_job(job: CityJob | ProbeJob, settings: SynthSettings) -> None:
    for name in job.take(settings):
        _written.put(name)


def _sibling_table(fleet: Fleet, settings: SynthSettings) -> bytes:
    """``siblings.csv``: each pair of siblings and the viewpoints from which nothing tells them apart."""
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
    """A progress bar on standard error with images per second and the time left."""
    from tqdm import tqdm

    layout = "rendering {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} images, {rate_noinv_fmt}, {remaining} left"
    bar: list[tqdm] = []

    def advance(done: int, total: int) -> None:
        if not bar:  # an earlier run's photographs do not count towards the speed
            bar.append(tqdm(total=total, initial=done, unit=" images", bar_format=layout))
            return
        bar[0].update(done - bar[0].n)
        if done >= total:
            bar[0].close()

    return advance
