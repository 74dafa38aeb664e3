"""A full disk: one sentence, the old file untouched; with space again the same command goes on to its end."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssrnet.data.datasets import open_dataset
from tests import tiny
from tests.soak.commands import Command, Shortcuts, finish
from tests.soak.kills import Job, Outcome, bytes_in, count, make_inputs, same_files, undisturbed
from tests.soak.whole import check_whole, is_temporary

ROOM, PAGE = 2 * 2**30, 4096
SENTENCE = re.compile(r"^ssrnet: [^\n]+\.$", re.MULTILINE)


@dataclass(frozen=True)
class Disk:
    """A folder on a separate disk; ``real`` is False where none may be mounted, and then ``largest`` limits each file."""

    folder: Path
    real: bool
    largest: int | None

    def shortcuts(self, of: Shortcuts) -> Shortcuts:
        return replace(of, largest=self.largest)


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Disk]:
    """A file system in memory with ``size`` bytes left; where none may be mounted, a limit of each file's size."""
    place.mkdir(parents=True)
    mounted = _mount("-t", "tmpfs", "-o", f"size={size + PAGE}", "tmpfs", str(place))
    try:
        if mounted:
            (place / "other").write_bytes(bytes(PAGE))  # a size of 0 would mean no limit
        yield Disk(place, mounted, None if mounted else size)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=True)


def give_room(disk: Disk) -> Disk:
    """The same disk with all the space it needs."""
    if disk.real and not _mount("-o", f"remount,size={ROOM}", str(disk.folder)):
        raise OSError(f"{disk.folder} could not be made larger")
    return replace(disk, largest=None)


def _mount(*options: str) -> bool:
    try:
        return subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def fill_often(job: Job, place: Path, shares: Sequence[float]) -> Outcome:
    """Runs ``job`` on disks of these shares of what it needs; ``kills`` counts those that were full."""
    outcome, place = Outcome(), place / job.name.replace(" ", "-")
    log, reference = place / "output.txt", place / "reference"
    undisturbed(job, place)
    size = bytes_in(reference)
    for number, share in enumerate(shares):
        with small_disk(place / f"disk{number}", int(share * size)) as disk:
            count(outcome, f"{job.name} on a disk of {share:.0%}", fill_once, job, disk, log, reference, outcome)
    return outcome


def fill_once(job: Job, disk: Disk, log: Path, reference: Path, outcome: Outcome) -> None:
    folder = disk.folder / "out"
    command = finish(job.arguments(folder), log, disk.shortcuts(job.shortcuts))
    if command.code != 0:
        outcome.kills += 1
        check_sentence(command)
        job.check(folder)
        left = [path.name for path in folder.rglob("*") if is_temporary(path, folder)]
        assert not left, f"{left[0]} is left"
        command = finish(job.arguments(folder), log, give_room(disk).shortcuts(job.shortcuts))
    assert command.code == 0, f"it did not go on with space again: {command.output()}"
    job.check(folder)
    job.same(folder, reference)
    outcome.finished += 1


def check_sentence(command: Command) -> None:
    output = command.output()
    assert command.code == 2, f"it ended with {command.code}: {output}"
    assert "Traceback" not in output, output
    assert len(SENTENCE.findall(output)) == 1, output


def overwrite_once(job: Job, place: Path, reference: Path) -> None:
    """On a disk with little space beside an old result, the old result stays byte for byte."""
    size = bytes_in(reference)
    with small_disk(place, size + size // 3 + 4096) as disk:
        folder = disk.folder / "out"
        folder.mkdir()
        for path in reference.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        before = tiny.files(folder)
        limited = disk.shortcuts(job.shortcuts) if disk.real else replace(job.shortcuts, largest=size // 3)
        command = finish(job.arguments(folder), place.with_suffix(".txt"), limited)
        check_sentence(command)
        after = {name: content for name, content in tiny.files(folder).items() if name in before}
        assert after == before, "the old file has changed"
        check_whole(folder)


def more_jobs(place: Path) -> list[Job]:
    """Commands that write one file or a few, besides those of :mod:`tests.soak.kills`."""
    given = make_inputs(place / "more")
    data, cpu = str(given["data"]), ["--workers", "0", "--device", "cpu"]
    checkpoint, baseline = str(given["network"]), str(given["baseline"])
    arrays, names = place / "theirs.npz", [image.name for image in open_dataset(given["data"]).test]
    features = np.random.default_rng(0).normal(size=(len(names), 512)).astype(np.float32)
    np.savez(arrays, features=features, paths=np.array(names))

    def compare(out: Path) -> list[str]:
        of = ["--data", data, "--baseline", baseline, "--ssrnet", checkpoint, *cpu, "--seeds", "2"]
        return ["compare", *of, "--out", str(out / "comparison.json"), "--queries-csv", str(out / "queries.csv")]

    def evaluate(out: Path) -> list[str]:
        return ["evaluate", "--data", data, "--checkpoint", baseline, *cpu, "--out", str(out / "metrics.json")]

    def imported(out: Path) -> list[str]:
        return ["import", "--features", str(arrays), "--data", data, "--name", "theirs", "--out", str(out)]

    def study(out: Path) -> list[str]:
        small = ["--recipe", "quick", "--model.backbone", "resnet18", "--backbone-weights", "none", *cpu]
        steps = ["--frozen-stages", "1", "--sizes", "0", "32", "--epochs", "1", "--max-steps", "1"]
        batches = ["--identities-per-batch", "2", "--images-per-identity", "2", "--train-identities", "4"]
        timing = ["--latency.image-size", "32", "--latency.batch-size", "1", "--latency.rounds", "1"]
        return ["study", "depth", "--data", data, "--out", str(out), *small, *steps, *batches, *timing]

    return [
        Job(
            "publish",
            lambda out: ["publish", "--checkpoint", baseline, "--out", str(out / "small.safetensors")],
            check_whole,
            same_files,
        ),
        Job("import", imported, check_whole, same_files),
        Job("evaluate", evaluate, check_whole, same_files),
        Job("compare", compare, check_whole, same_files),
        Job("study depth", study, check_whole, same_names_below),
    ]


def same_names_below(folder: Path, reference: Path) -> None:
    """Studies measure times, which differ."""
    names = [{str(path.relative_to(place)) for path in place.rglob("*.json")} for place in (folder, reference)]
    assert names[0] == names[1], f"{sorted(names[0] ^ names[1])}"


def sweep(chance: random.Random, many: int) -> list[float]:
    """Shares of the needed space, from nothing to almost all."""
    return [0.0, *sorted(chance.uniform(0.01, 0.97) for _ in range(many - 2)), 0.99]
