"""``ssrnet benchmark ranking``: exact ranking and its metrics beside numpy and faiss."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from ssrnet.benchmarks.clusters import Retrieval
from ssrnet.benchmarks.contenders import CONTENDERS, ORDER, Measured
from ssrnet.errors import ResourceError, SettingsError
from ssrnet.files import write_atomically

OURS = "ours"
ONCE = 100_000_000
"""More distances than this are ranked once, whatever the number of rounds."""


@dataclass(frozen=True)
class RankingBenchmarkSettings:
    """Rank synthetic features with several libraries, each in its own process; compare time, memory and scores."""

    sizes: tuple[str, ...] = ("1678x11579", "10000x128517")
    """Queries x gallery; by default VeRi-776's and VERI-Wild's large test set."""
    dimension: int = 3072
    """Numbers of a feature; SSR-Net's has 3,072."""
    memory: float = 6.0
    """GB that each contender may use beyond the features; running out of memory is a result."""
    rounds: int = 3
    """Repetitions of each contender, in turn; the median is reported. Above 10^8 distances it is one."""
    top_k: int = 50
    """Nearest images that faiss and this package list."""
    only: tuple[str, ...] = ()
    """Contenders by the start of their names; by default all."""
    seed: int = 0
    """Decides the features."""
    folder: Path | None = None
    """Where the features are stored meanwhile, 1.7 GB at the larger size; by default a temporary folder."""
    out: Path | None = None
    """JSON file for the results."""

    def __post_init__(self) -> None:
        for name in ("dimension", "rounds", "top_k", "memory"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be above 0.")
        for text, (queries, gallery) in zip(self.sizes, self.pairs, strict=True):
            if queries < 1 or gallery < self.top_k:
                raise SettingsError(
                    f"the size {text} cannot be ranked: give at least 1 query and a gallery of at least --top-k "
                    f"({self.top_k}) images."
                )
        for name in self.only:
            if not any(contender.startswith(name) for contender in CONTENDERS):
                raise SettingsError(f"--only names {name!r}; choose from {', '.join(CONTENDERS)}.")

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The sizes as numbers of queries and gallery images."""
        matches = [re.fullmatch(r"(\d+)x(\d+)", text) for text in self.sizes]
        for text, match in zip(self.sizes, matches, strict=True):
            if match is None:
                raise SettingsError(f"--sizes has {text!r}; write queries x gallery, as 1678x11579.")
        return [(int(match[1]), int(match[2])) for match in matches if match]

    @property
    def contenders(self) -> list[str]:
        """Names of those that run; always ours, since the others are compared with it."""
        return [name for name in CONTENDERS if not self.only or name == OURS or name.startswith(self.only)]


@dataclass(frozen=True)
class Row:
    """A contender at one size: medians over the rounds, and ``same_order``, the share of equal places in the top K."""

    name: str
    measured: Measured
    same_order: float | None = None


def benchmark_ranking(settings: RankingBenchmarkSettings) -> dict[str, list[Row]]:
    """Runs the command: prints a table for each size, and returns the rows by size.

    Raises :class:`ResourceError` where a contender ends for another reason than memory.
    """
    results = {}
    for text, (queries, gallery) in zip(settings.sizes, settings.pairs, strict=True):
        with TemporaryDirectory(dir=settings.folder) as folder:
            Retrieval.make(queries, gallery, settings.dimension, settings.seed).save(Path(folder))
            results[text] = _rows(settings, Path(folder), queries * gallery)
        title = f"{queries:,} queries x {gallery:,} gallery images x {settings.dimension:,} numbers"
        print(f"{title}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}\n{table(results[text])}\n")
    if settings.out is not None:
        text = json.dumps({size: [asdict(row) for row in rows] for size, rows in results.items()}, indent=2)
        write_atomically(settings.out, lambda path: path.write_text(text + "\n"))
    return results


def table(rows: list[Row]) -> str:
    """A line for each contender, with its time as a ratio to ours and its scores as differences from ours."""
    ours = next(row.measured for row in rows if row.name == OURS)
    lines = [f"{'':22}{'seconds':>9}{'of CPU':>9}{'over ours':>11}{'GB more':>9}{'rank-1':>10}{'mAP':>10}"]
    for row in rows:
        m = row.measured
        if m.status != "done":
            lines.append(
                f"{row.name:22}{m.status}" + (f" after {m.seconds:.1f} s" if m.seconds else "") + _note(m.note)
            )
            continue
        assert m.seconds is not None and m.processor_seconds is not None and m.memory is not None
        line = f"{row.name:22}{m.seconds:9.2f}{m.processor_seconds:9.2f}"
        line += f"{m.seconds / ours.seconds:10.2f}x" if ours.seconds else f"{'':11}"
        line += f"{m.memory / 1e9:9.2f}" + "".join(_score(m, ours, name) for name in ("rank_1", "mAP"))
        notes = [] if m.distance_seconds is None else [f"distances {m.distance_seconds:.2f} s"]
        notes += [] if row.same_order is None else [f"{row.same_order:.4%} of the top places as ours"]
        lines.append(line + _note(", ".join(notes)))
    return "\n".join(line.rstrip() for line in lines)


def _score(measured: Measured, ours: Measured, name: str) -> str:
    """Ours as it is, another's as its difference."""
    value, reference = getattr(measured, name), getattr(ours, name)
    if value is None or reference is None:
        return f"{'':10}"
    return (
        f"{value:10.4%}"
        if measured is ours
        else f"{value - reference:+10.0e}"
        if value != reference
        else f"{'equal':>10}"
    )


def _note(text: str) -> str:
    return f"  ({text})" if text else ""


def _rows(settings: RankingBenchmarkSettings, folder: Path, distances: int) -> list[Row]:
    """Runs all in turn, so that a slower machine slows all of them."""
    runs: dict[str, list[Measured]] = {name: [] for name in settings.contenders}
    for _ in range(1 if distances > ONCE else settings.rounds):
        for name, measured in runs.items():
            if not measured or measured[0].status == "done":
                measured.append(_run(name, folder, settings))
    return [Row(name, _median(measured), _same_order(folder, name)) for name, measured in runs.items()]


def _run(name: str, folder: Path, settings: RankingBenchmarkSettings) -> Measured:
    command = [sys.executable, "-m", "ssrnet.benchmarks.contenders", name, str(folder), str(settings.top_k)]
    ended = subprocess.run([*command, str(int(settings.memory * 1e9))], capture_output=True, text=True, check=False)
    if ended.returncode < 0:  # a library, or the system, ended the process for lack of memory
        return Measured("out of memory", f"ended by signal {-ended.returncode}")
    if ended.returncode:
        why = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise ResourceError(f"the contender {name!r} ended with {why!r}; run `ssrnet benchmark ranking --only` others.")
    return Measured(**json.loads(ended.stdout.splitlines()[-1]))


def _median(runs: list[Measured]) -> Measured:
    """The run of median time, as a whole: its numbers belong together."""
    done = sorted((run for run in runs if run.status == "done"), key=lambda run: run.seconds or 0)
    return done[(len(done) - 1) // 2] if done else runs[0]


def _same_order(folder: Path, name: str) -> float | None:
    ours, other = folder / ORDER.format(OURS), folder / ORDER.format(name)
    if name == OURS or not (ours.exists() and other.exists()):
        return None
    return float((np.load(ours) == np.load(other)).mean())
