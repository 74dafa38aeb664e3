"""Files that are replaced, overwritten or cut short while another process reads them."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from ssrnet.errors import SSRNetError
from ssrnet.index.opening import open_index
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.training.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint
from tests import tiny
from tests.index import galleries
from tests.processes import start
from tests.soak.kills import Outcome

WAYS = ("replaced", "overwritten", "cut short")
ROWS, WIDTH = 2000, 512
COUNT, BATCH = 600, 4
"""Images of the growing index, and how many are added at once."""
LONGEST = 0.8
"""Seconds that a writer has before it is killed."""


def make_checkpoints(place: Path) -> list[Path]:
    """Two checkpoints of one network with different weights throughout."""
    paths = []
    for seed in (0, 1):
        model, path = tiny.network(seed=seed, **tiny.BASELINE), place / f"{seed}.safetensors"
        save_checkpoint(path, model, tiny.info(model, epoch=seed))
        paths.append(path)
    return paths


def make_features(place: Path) -> list[Path]:
    """Two feature files whose every number is the one in their record."""
    paths = []
    for number in (1.0, 2.0):
        path, names = place / f"f{number:g}.safetensors", tuple(f"{i:04d}.jpg" for i in range(ROWS))
        FeatureSet(torch.full((ROWS, WIDTH), number), names, {"G": WIDTH}).save(path, {"number": number})
        paths.append(path)
    return paths


def write_over(target: str, sources: list[str], way: str, seed: int) -> None:
    """Writes one source after the other into ``target``, with pauses in which it is whole, until it is killed."""
    chance, contents = random.Random(seed), [Path(source).read_bytes() for source in sources]
    for number in range(10**9):
        content = contents[number % len(contents)]
        if way == "replaced":
            Path(f"{target}.new").write_bytes(content)
            os.replace(f"{target}.new", target)
        else:
            with open(target, "r+b") as file:
                if way == "cut short":
                    file.truncate(chance.randrange(len(content)))
                    time.sleep(chance.uniform(0, 0.02))
                for start in range(0, len(content), 2**20):
                    file.write(content[start : start + 2**20])
        time.sleep(chance.choice((0.0, 0.05, 0.3, 1.0)))


def read_checkpoints(target: str, sources: list[str], times: int, report: str) -> None:
    """Loads ``target`` ``times`` times; each load gives a hash with its weights, or one sentence."""
    torch.set_num_threads(1)
    whole = {one.hash: one for one in map(load_checkpoint, sources)}

    def load() -> str | None:
        loaded = load_checkpoint(target)
        if loaded.hash not in whole:
            return f"a hash {loaded.hash} of neither file"
        weights, expected = loaded.model.state_dict(), whole[loaded.hash]
        same = all(torch.equal(weights[name], value) for name, value in expected.model.state_dict().items())
        if loaded.info != expected.info or not same:
            return f"the hash {loaded.hash} with other weights"
        stored = read_checkpoint(target)
        if stored.hash not in whole or stored.info != whole[stored.hash].info:
            return f"metadata that do not belong to the hash {stored.hash}"
        return None

    _read_often(load, times, report)


def read_features(target: str, sources: list[str], times: int, report: str) -> None:
    """As :func:`read_checkpoints`, for features with their record."""

    def load() -> str | None:
        features, record = FeatureSet.load(Path(target))
        wrong = int((features.features != record["number"]).sum())
        return f"{wrong:,} numbers of another file than the record" if wrong else None

    _read_often(load, times, report)


def _read_often(load: Callable[[], str | None], times: int, report: str) -> None:
    wrong, sentences = [], 0
    for _ in range(times):
        try:
            problem = load()
        except SSRNetError as error:
            sentences += 1
            problem = f"no one sentence: {error}" if "\n" in str(error) or not str(error).endswith(".") else None
        except Exception as error:  # a traceback that a user would see
            problem = f"{type(error).__name__} {error}"
        if problem:
            wrong.append(problem)
    Path(report).write_text(json.dumps({"wrong": wrong, "sentences": sentences}))


READERS = {"checkpoint": (make_checkpoints, read_checkpoints), "features": (make_features, read_features)}


def replace_often(kind: str, way: str, place: Path, times: int, seed: int) -> tuple[Outcome, int]:
    """Reads a file of ``kind`` while it is written over in one ``way``; also returns how many reads ended in a sentence."""
    make, read = READERS[kind]
    place.mkdir(parents=True)
    sources = make(place)
    target, report = place / "target.safetensors", place / "report.json"
    target.write_bytes(sources[0].read_bytes())
    writer = start(write_over, str(target), list(map(str, sources)), way, seed)
    reader = start(read, str(target), list(map(str, sources)), times, str(report))
    reader.join(300 + 5 * times)  # where it hangs
    writer.kill()
    writer.join()
    outcome = Outcome(kills=times)
    if reader.exitcode != 0:
        reader.kill()
        outcome.failures.append(f"the process that read a {kind} being {way} ended with {reader.exitcode}")
        return outcome, 0
    result = json.loads(report.read_text())
    outcome.failures += [f"a {kind} being {way}: {problem}" for problem in result["wrong"]]
    return outcome, result["sentences"]


def grow(folder: str, seconds: float) -> None:
    """Adds the images that the index lacks, a few at a time, for at least ``seconds``."""
    all_entries, all_features = galleries.entries(COUNT), galleries.features(COUNT)
    with galleries.make(Path(folder), "exact") as index:
        for start in range(0, COUNT, BATCH):
            index.add(all_entries[start : start + BATCH], all_features[start : start + BATCH])
            time.sleep(seconds * BATCH / COUNT)


def search_often(folder: str, seconds: float, report: str) -> None:
    """Searches a growing index, opened once and opened again each time, and checks every distance."""
    rows = galleries.features(COUNT).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    chance, wrong, searches, largest = random.Random(0), [], 0, 0
    until = time.monotonic() + seconds
    with closing(open_index(Path(folder))[0]) as opened_once:
        while time.monotonic() < until:
            query = chance.randrange(COUNT)
            for index in (opened_once, open_index(Path(folder))[0]):
                (neighbours,) = index.search(galleries.features(COUNT)[query : query + 1], 10)
                searches += 1
                for entry, distance in neighbours:
                    expected = 1 - rows[query] @ rows[int(entry.name[:4])]
                    if abs(distance - expected) > 1e-5:
                        wrong.append(f"{entry.name} at {distance} in place of {expected}")
                largest = max(largest, len(index))
                if index is not opened_once:
                    index.close()
    Path(report).write_text(json.dumps({"wrong": wrong, "searches": searches, "largest": largest}))


def grow_and_search(place: Path, kills: int, seed: int) -> tuple[Outcome, int]:
    """Searches an index while a writer adds, is killed, and adds again; also returns the number of searches."""
    place.mkdir(parents=True)
    chance, report, outcome = random.Random(seed), place / "report.json", Outcome()
    folder = place / "index"
    galleries.make(folder, "exact").close()
    seconds = 1.0 + 0.5 * kills
    reader = start(search_often, str(folder), seconds, str(report))
    while reader.is_alive() and outcome.kills < kills:
        writer = start(grow, str(folder), LONGEST * kills + 1)  # it is not done before the last of them
        writer.join(chance.uniform(0.1, LONGEST))
        if writer.exitcode is None:
            outcome.kills += 1
        writer.kill()
        writer.join()
    reader.join(300 + seconds)
    if reader.exitcode != 0:
        outcome.failures.append(f"the process that searched ended with {reader.exitcode}")
        return outcome, 0
    result = json.loads(report.read_text())
    outcome.failures += result["wrong"]
    with closing(open_index(folder)[0]) as index:
        index.verify()
    return outcome, result["searches"]
