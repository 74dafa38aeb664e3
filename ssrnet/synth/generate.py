"""Renders a city: plans every capture, hands vehicles to workers, survives being killed."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from queue import Empty

from ssrnet.errors import DataError, ResourceError
from ssrnet.synth.fleet import Fleet, draw_fleet
from ssrnet.synth.imaging import jpeg_bytes, png_bytes
from ssrnet.synth.manifest import finished, remove_leftovers, write_atomic, write_manifest, write_record
from ssrnet.synth.mitsuba_setup import load_mitsuba
from ssrnet.synth.passes import Capture, captures_of
from ssrnet.synth.settings import SynthSettings
from ssrnet.synth.specs import IdentitySpec
from ssrnet.synth.visibility import unresolvable_views

FREE = ("out", "workers")  # settings that may change between two runs into one folder


@dataclass(frozen=True)
class Job:
    """One vehicle's captures that are still to be taken; ``folders`` maps a capture's name to its splits."""

    identity: IdentitySpec
    captures: tuple[Capture, ...]
    splits: dict[str, tuple[str, ...]]


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
    done = finished(out) & set(names)
    open_jobs = [replace(job, captures=tuple(c for c in job.captures if c.name not in done)) for job in jobs]
    open_jobs = [job for job in open_jobs if job.captures]
    taken = 0
    report = progress or (lambda *_: None)
    report(len(done), len(names))
    for _ in _run(open_jobs, settings):
        taken += 1
        report(len(done) + taken, len(names))
    rows = write_manifest(out, names)
    write_atomic(out / "siblings.csv", _sibling_table(fleet))
    return GenerateReport(taken, len(names), rows)


def plan(fleet: Fleet, settings: SynthSettings) -> tuple[list[Job], list[str]]:
    """Every vehicle's captures with the splits they are filed in, and all names.

    As in VeRi-776, one image of each vehicle and camera asks, and is filed in the gallery as well.
    """
    jobs, names = [], []
    for identity in fleet.identities:
        captures = captures_of(identity, settings)
        if fleet.split_of[identity.vehicle_id] == "train":
            splits = {capture.name: ("train",) for capture in captures}
        else:
            asking = {capture.camera: capture.name for capture in reversed(captures)}
            splits = {c.name: ("test", "query") if asking[c.camera] == c.name else ("test",) for c in captures}
        jobs.append(Job(identity, tuple(captures), splits))
        names += [capture.name for capture in captures]
    return jobs, names


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
                f"{settings.out} already holds a city with {what}; use the same settings to continue it, or another folder."
            )
    elif (settings.out / "manifest.csv").exists():
        raise DataError(f"{settings.out} holds a data set that this command did not write; choose another folder.")
    write_atomic(path, json.dumps(mine, indent=2).encode())


def _run(jobs: list[Job], settings: SynthSettings) -> Iterator[str]:
    """Names of photographs as they are written."""
    if settings.workers == 1 or len(jobs) <= 1:
        for job in jobs:
            yield from take_all(job, settings)
        return
    context = multiprocessing.get_context("spawn")  # LLVM's threads do not survive a fork
    told = context.Manager().Queue()
    with ProcessPoolExecutor(settings.workers, mp_context=context) as pool:
        futures = [pool.submit(_work, job, settings, told) for job in jobs]
        expected, seen = sum(len(job.captures) for job in jobs), 0
        while seen < expected:
            try:
                name = told.get(timeout=2)
            except Empty:
                _raise_failures(futures)
                continue
            seen += 1
            yield name


def _raise_failures(futures) -> None:
    for future in futures:
        if future.done() and future.exception() is not None:
            for other in futures:
                other.cancel()
            if isinstance(future.exception(), BrokenProcessPool):
                raise ResourceError(
                    "A rendering process was killed, most likely for want of memory (each needs about 1.2 GB); "
                    "run the same command again with fewer --workers, it continues where it stopped."
                )
            raise future.exception()


def _work(job: Job, settings: SynthSettings, told) -> None:
    for name in take_all(job, settings):
        told.put(name)


_photographer = None  # one a process: kernels, sites and extras are worth keeping


def photographer(samples: int):
    """This process's photographer."""
    global _photographer
    if _photographer is None or _photographer.samples != samples:
        from ssrnet.synth.photographer import Photographer

        _photographer = Photographer(samples)
    return _photographer


def take_all(job: Job, settings: SynthSettings) -> Iterator[str]:
    """Takes and files every capture of a job; yields each name once it is safe on disk."""
    from ssrnet.synth.vehicle import build

    vehicle = build(job.identity)
    for capture in job.captures:
        photo = photographer(settings.samples).take(vehicle, capture)
        image = jpeg_bytes(photo.pixels)
        splits = job.splits[capture.name]
        for split in splits:
            write_atomic(settings.out / f"image_{split}" / capture.name, image)
        mask = ""
        if settings.masks:
            mask = f"masks/{capture.name.removesuffix('.jpg')}.png"
            write_atomic(settings.out / mask, png_bytes(photo.parts))
        rows = [_row(job.identity, capture, photo, split, mask) for split in splits]
        write_record(settings.out, capture.name, rows)
        yield capture.name


def _row(identity: IdentitySpec, capture: Capture, photo, split: str, mask: str) -> dict[str, object]:
    height, width = photo.pixels.shape[:2]
    return {
        "image": f"image_{split}/{capture.name}", "split": split, "vehicle_id": f"{identity.vehicle_id:04d}",
        "camera_id": f"c{capture.camera:03d}", "track": capture.track, "frame": capture.frame, "model": identity.model.name,
        "sibling_group": identity.sibling_group if identity.sibling_group >= 0 else "", "type": identity.model.body_type,
        "colour": identity.paint.name, "azimuth": photo.azimuth, "elevation": photo.elevation, "time": capture.clock,
        "weather": capture.weather.kind, "light": capture.weather.night_light, "occlusion": photo.occlusion,
        "visible_marks": " ".join(kind.replace(" ", "-") for kind in photo.visible_marks),
        "marks": " ".join(mark.name for mark in identity.marks), "width": width, "height": height, "mask": mask,
    }  # fmt: skip


def _sibling_table(fleet: Fleet) -> bytes:
    """Each pair of siblings and the views from which nothing tells them apart."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("sibling_group", "vehicle_a", "vehicle_b", "unresolvable_views"))
    for group, members in sorted(fleet.groups().items()):
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
