"""kill -9 at random moments: no reader takes a half-written file for a whole one, and the same command goes on."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.training.checkpoint import save_checkpoint
from ssrnet.training.runs import read_run
from tests import tiny
from tests.soak.commands import KILLED, Command, Shortcuts, finish
from tests.soak.report import Row, lost
from tests.soak.whole import check_index, check_part, check_run, check_whole, is_temporary

KILLS = 20
ANEW = 3
"""Of these, kills of a process started as a user starts it."""
MILVUS = "index build of Milvus"


@dataclass(frozen=True)
class Job:
    """A command to kill. ``check(folder)`` holds at any moment; ``same(folder, reference)`` once it has finished."""

    name: str
    arguments: Callable[[Path], list[str]]
    check: Callable[[Path], object]
    same: Callable[[Path, Path], None]
    shortcuts: Shortcuts = Shortcuts()


@dataclass
class Outcome:
    """Counts and failures of a job's trials."""

    kills: int = 0
    finished: int = 0
    """Times that it ran to its end and its result was compared."""
    half: int = 0
    """Kills that left a temporary file behind."""
    failures: list[str] = field(default_factory=list)


def kill_often(job: Job, place: Path, kills: int, seed: int, anew: int = 0) -> Outcome:
    """Kills ``job`` ``kills`` times, ``anew`` of them as a user's process, then lets it end."""
    chance, outcome, place = random.Random(f"{seed} {job.name}"), Outcome(), place / job.name.replace(" ", "-")
    log, reference = place / "output.txt", place / "reference"
    takes = undisturbed(job, place)
    size, fresh = bytes_in(reference), 0
    folder = place / f"{fresh}"
    while outcome.kills < kills and len(outcome.failures) < 5:
        by_user = outcome.kills >= kills - anew
        command = Command(job.arguments(folder), log, job.shortcuts, by_user)
        wait_for_a_moment(command, folder, chance, takes + (5 if by_user else 0), size)
        command.kill()
        if command.code == KILLED:
            outcome.kills += 1
            when = f"{job.name}, kill {outcome.kills}"
            outcome.half += any(is_temporary(path, folder) for path in folder.rglob("*"))
            count(outcome, when, job.check, folder)
            continue
        finished(job, command, folder, reference, outcome)
        fresh += 1
        folder = place / f"{fresh}"
    finished(job, finish(job.arguments(folder), log, job.shortcuts), folder, reference, outcome)
    return outcome


def undisturbed(job: Job, place: Path) -> float:
    """Seconds that ``job`` takes; its result goes to ``place / "reference"``, its output to ``place / "output.txt"``."""
    place.mkdir(parents=True)
    began = time.monotonic()
    command = finish(job.arguments(place / "reference"), place / "output.txt", job.shortcuts)
    if command.code:
        raise AssertionError(f"{job.name} does not work at all: {command.output()}")
    return time.monotonic() - began


def finished(job: Job, command: Command, folder: Path, reference: Path, outcome: Outcome) -> None:
    """Compares the result of a command that ended by itself with the undisturbed one's."""
    if command.code != 0:
        outcome.failures.append(f"{job.name} ended with {command.code} after {outcome.kills} kills: {command.output()}")
        return
    outcome.finished += 1
    count(outcome, f"{job.name} after {outcome.kills} kills", lambda: (job.check(folder), job.same(folder, reference)))
    left = [path.name for path in folder.rglob("*") if is_temporary(path, folder)]
    if left:
        outcome.failures.append(f"{job.name} after {outcome.kills} kills: {left[0]} is left")


def count(outcome: Outcome, when: str, check: Callable, *arguments: object) -> None:
    try:
        check(*arguments)
    except Exception as error:  # any error is one that a reader of these files would raise
        outcome.failures.append(f"{when}: {type(error).__name__} {error}")


def wait_for_a_moment(command: Command, folder: Path, chance: random.Random, takes: float, size: int) -> None:
    """Half of the moments are uniform in the command's time, half in the bytes that it writes."""
    started, share, within = time.monotonic(), chance.random(), chance.random() * 0.04
    if chance.random() < 0.5:
        while command.code is None and time.monotonic() - started < share * takes:
            time.sleep(0.002)
        return
    before = bytes_in(folder)
    wanted = before + share * max(size - before, size / 3)  # existing files are often rewritten beside the old
    while command.code is None and bytes_in(folder) <= wanted and time.monotonic() - started < 3 * takes:
        time.sleep(0.001)
    time.sleep(within)


def bytes_in(folder: Path) -> int:
    """Size of all files below it, unfinished ones included."""
    total = 0
    for place, _, names in os.walk(folder):  # which passes over folders that are renamed meanwhile
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


# The commands, on data small enough for many repetitions


def make_inputs(place: Path) -> dict[str, Path]:
    """A city, an SSR-Net, and the baseline, whose graph is traced in a third of the time."""
    given = {"data": tiny.city(place / "city")}
    for role, changes in (("network", {}), ("baseline", tiny.BASELINE)):
        model, given[role] = tiny.network(**changes), place / f"{role}.safetensors"
        save_checkpoint(given[role], model, tiny.info(model))
    return given


def jobs(place: Path, real: bool, graph: bool = True) -> list[Job]:
    """``real``: the export traces its network each time, and the city is rendered; else ``graph`` is traced once."""
    given = make_inputs(place)
    data, checkpoint, cpu = str(given["data"]), str(given["network"]), ["--workers", "0", "--device", "cpu"]
    exported = checkpoint if real else str(given["baseline"])
    one_by_one = ["--extraction.batch-size", "1", "--extraction.image-size", "96"]
    traced = export_once(place, exported) if graph and not real else None

    def train(out: Path) -> list[str]:
        resume = ["--resume"] if (out / "resume.pt").exists() else []
        options = "--recipe quick --model.backbone resnet18 --backbone-weights none --frozen-stages 1 --sizes 0 32"
        options += " --identities-per-batch 2 --images-per-identity 2 --holdout 2 --optimiser.learning-rate 1e-3"
        epochs = ["--epochs", "3" if real else "2"]
        return ["train", "--data", data, "--out", str(out), *options.split(), *epochs, *cpu, *resume]

    def index(out: Path, *more: str) -> list[str]:
        of = ["--data", data, "--checkpoint", checkpoint, "--out", str(out), "--split", "all"]
        return ["index", "build", *of, "--features", str(place / "none"), *cpu, *one_by_one, *more]

    def extract(out: Path) -> list[str]:
        of = ["--data", data, "--checkpoint", checkpoint, "--out", str(out), "--split", "train"]
        return ["extract", *of, *cpu, *one_by_one]

    def synth(out: Path) -> list[str]:
        size = ["--identities", "2" if real else "8", "--min-passes", "2", "--max-passes", "2", "--max-frames", "2"]
        return ["synth", "--out", str(out), *size, "--seed", "4", "--samples", "1", "--masks", "--workers", "1"]

    steadily = Shortcuts(steadily=0.02)
    return [
        Job("train", train, check_run, same_runs),
        Job("extract", extract, check_part, same_features, steadily),
        Job("synth", synth, check_whole, same_files, Shortcuts(card=not real)),
        Job("index build", index, check_index, same_indexes, steadily),
        Job(MILVUS, lambda out: index(out, "--backend", "milvus"), check_index, same_indexes, steadily),
        Job("export", lambda out: export_arguments(exported, out), check_whole, same_exports, Shortcuts(graph=traced)),
    ]


def export_arguments(checkpoint: str, out: Path) -> list[str]:
    return ["export", "--checkpoint", checkpoint, "--out", str(out / "model.onnx"), "--image-size", "32"]


def export_once(place: Path, checkpoint: str) -> Path:
    finish(export_arguments(checkpoint, place / "graph"), place / "output.txt")
    return place / "graph/model.onnx"


def same_runs(folder: Path, reference: Path) -> None:
    """The same weights bit for bit, and the same log but for times."""
    for name in ("last.safetensors", "best.safetensors"):
        mine, expected = load_file(folder / name), load_file(reference / name)
        assert mine.keys() == expected.keys()
        assert all(torch.equal(mine[key], expected[key]) for key in mine), f"{name} has other weights"
    mine, expected = (
        [{k: v for k, v in line.items() if k not in ("seconds", "minutes", "images_per_second")} for line in run.epochs]
        for run in (read_run(folder), read_run(reference))
    )
    assert mine == expected, "the logs differ"
    assert read_run(folder).state == "finished", read_run(folder).state
    same_names(folder, reference)


def same_features(folder: Path, reference: Path) -> None:
    (mine,), (expected,) = list(folder.iterdir()), list(reference.iterdir())
    assert mine.name == expected.name
    (features, record), (others, other_record) = FeatureSet.load(mine), FeatureSet.load(expected)
    assert features.names == others.names and record == other_record
    assert torch.equal(features.features, others.features), "the features differ"


def same_files(folder: Path, reference: Path) -> None:
    mine, expected = tiny.files(folder), tiny.files(reference)
    assert mine.keys() == expected.keys(), f"{sorted(mine.keys() ^ expected.keys())[:3]}"
    other = [name for name in mine if mine[name] != expected[name]]
    assert not other, f"{other[0]} has other bytes"


def same_indexes(folder: Path, reference: Path) -> None:
    mine, expected = check_index(folder), check_index(reference)
    assert mine.keys() == expected.keys(), f"{len(mine)} rows in place of {len(expected)}"
    assert mine == expected, "a row has other numbers"


def same_exports(folder: Path, reference: Path) -> None:
    import onnxruntime

    images = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    answers = [
        onnxruntime.InferenceSession(str(path / "model.onnx"), providers=["CPUExecutionProvider"]).run(
            None, {"images": images}
        )[0]
        for path in (folder, reference)
    ]
    assert np.array_equal(*answers), "the exported models differ"
    same_names(folder, reference)


def same_names(folder: Path, reference: Path) -> None:
    mine, expected = ({path.name for path in place.iterdir()} for place in (folder, reference))
    assert mine == expected, f"{', '.join(sorted(mine ^ expected))} is in one of them alone"


def soak(folder: Path, seed: int) -> list[Row]:
    rows = []
    for job in jobs(folder, real=True):
        began = time.monotonic()
        outcome = kill_often(job, folder, KILLS, seed, 1 if job.name == MILVUS else ANEW)
        minutes = (time.monotonic() - began) / 60
        measured = (
            f"{outcome.half} kills left a half-written file under a temporary name; the result was compared "
            f"{outcome.finished} times; {minutes:.1f} minutes"
        )
        command = job.name.replace(MILVUS, "index build --backend milvus")
        rows.append(Row(f"kill -9 during `ssrnet {command}`", outcome.kills, lost(outcome.failures), measured))
    return rows
