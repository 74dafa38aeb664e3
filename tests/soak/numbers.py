"""Same numbers everywhere: the shipped features and metrics computed again by other threads, batches, layouts, libraries.

The long form takes the whole city each time, in a process of its own, and installs the other versions of torch.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import torch
from torch.nn import functional as F

from ssrnet.analysis.scorecard.scorecard import read_comparison
from ssrnet.data.datasets import open_dataset
from ssrnet.training.checkpoint import read_checkpoint
from tests.soak.again import CHECKPOINTS, CITY, ROOT, Way, shipped
from tests.soak.report import Row, lost

ROUNDING = 2**-11
"""Of a number, by which float16, in which features are shipped, may be off it."""
KERNELS = 1e-4
"""Beyond rounding, in a feature of size up to 13: other kernels add in another order. 3.2e-6 was the most seen."""
COSINE = 3e-7
"""1 - cosine between a shipped and a fresh feature. Rounding alone gives 3e-8; neighbours differ by 1e-3 and more."""
QUERIES = 1.0
"""Queries that may gain or lose their rank-1 hit (a seed): two images of a near tie change places."""
POINTS = 0.01
"""Percentage points of mAP and mINP that such changes may cost."""

WAYS = (
    Way(threads=2, batch=3, layout="contiguous"),
    Way(threads=4, batch=16, order="shuffled"),
    Way(threads=1, batch=1, order="reversed", every=4),
    Way(threads=2, batch=7, workers=2, deterministic=True, every=4),
    Way(threads=2, batch=4, onednn=False, every=12),
    Way("baseline", threads=2, batch=16, order="shuffled"),
    Way("baseline", threads=1, batch=3, layout="contiguous", every=4),
)
VERSIONS = {"2.11.0": "0.26.0", "2.12.1": "0.27.1", "2.13.0": "0.28.0", "2.14.1": "0.29.1"}
"""torch -> the torchvision built with it: the last of each minor version that pyproject.toml admits."""
OTHER_VERSIONS_WAYS = (Way(threads=2, every=4), Way("baseline", threads=2, every=8))
UV = "uv==0.13.9"
HANG = 7200
"""Seconds for one process: an install of 5 GB, or the whole city on a busy machine."""


@dataclass(frozen=True)
class Difference:
    """Fresh features less the shipped ones, and fresh metrics less those of checkpoints/city.json, at most."""

    number: float
    beyond_rounding: float
    cosine: float
    queries: float = 0.0
    points: float = 0.0

    def failures(self) -> list[str]:
        limits = {"beyond_rounding": KERNELS, "cosine": COSINE, "queries": QUERIES + 1e-6, "points": POINTS}
        return [
            f"{name} differs by {getattr(self, name):.2g}, {limit:g} is allowed"
            for name, limit in limits.items()
            if not getattr(self, name) <= limit
        ]

    def __str__(self) -> str:
        said = f"a number by {self.number:.4f} ({self.beyond_rounding:.0e} beyond float16's rounding), cosine {self.cosine:.0e}"
        return f"{said}, rank-1 {self.queries:.1f} queries, mAP {self.points:.4f} points"


def feature_difference(features: torch.Tensor, expected: torch.Tensor) -> Difference:
    """Of rows (N, D) and the shipped rows of the same images."""
    fresh, stored = features.double(), expected.double()
    off = (fresh - stored).abs()
    beyond = (off - ROUNDING * stored.abs()).max().clamp(min=0)
    cosine = (1 - F.cosine_similarity(fresh, stored)).max()
    return Difference(float(off.max()), float(beyond), float(cosine))


def metric_difference(scores: Mapping[str, Mapping[str, float]], network: str) -> tuple[float, float]:
    """Queries of rank-1 (mean over seeds) and percentage points of mAP and mINP by which ``scores`` are off those of
    checkpoints/city.json."""
    title = read_checkpoint(CHECKPOINTS / f"{network}.safetensors").info.model.title
    queries, points = [0.0], [0.0]
    for result in read_comparison(CHECKPOINTS / "city.json").protocols:
        every = result.slices[0]
        (row,) = [row for row in every.rows if row.model == title and row.branches == ()]
        own = scores[result.protocol]
        queries.append(abs(own["rank-1"] - row.metrics["rank-1"].value) * np.mean(every.queries))
        points += [100 * abs(own[name] - row.metrics[name].value) for name in ("mAP", "mINP")]
    return max(queries), max(points)


def run(command: Sequence[str | Path], **environment: str) -> str:
    """Standard output of a process that starts in the repository; its last words where it fails."""
    own = os.environ | {"TQDM_DISABLE": "1"} | environment
    try:
        done = subprocess.run(list(map(str, command)), cwd=ROOT, env=own, capture_output=True, text=True, timeout=HANG)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{Path(str(command[0])).name} {command[2]} was not done after {HANG} seconds") from error
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "nothing said").splitlines()
        raise OSError(f"{Path(str(command[0])).name} {' '.join(map(str, command[1:4]))} ended with {words[-1][:200]!r}")
    return done.stdout


def again(python: Path | str, way: Way, folder: Path) -> tuple[Difference, str]:
    """The difference where ``python`` computes as ``way`` says, and its torch; raises OSError where that fails."""
    (folder / "way.json").write_text(json.dumps(asdict(way)))
    run([python, "-m", "tests.soak.again", folder / "way.json", folder / "out.npz"])
    with np.load(folder / "out.npz") as out:
        about, names = json.loads(str(out["about"])), out["names"].tolist()
        fresh, stored = torch.from_numpy(out["features"]), shipped(way.network, open_dataset(CITY))
    index = {name: i for i, name in enumerate(stored.names)}
    found = feature_difference(fresh, stored.features[[index[name] for name in names]])
    queries, points = metric_difference(about["scores"], way.network)
    return replace(found, queries=queries, points=points), about["torch"]


def row(tried: str, differences: Sequence[Difference], times: int, failures: Sequence[str], note: str = "") -> Row:
    """``times`` images computed again; the largest of each difference."""
    if not differences:
        return Row(tried, 0, lost(failures), note)
    most = Difference(*(max(column) for column in zip(*(asdict(d).values() for d in differences), strict=True)))
    failures = [*failures, *(said for difference in differences for said in difference.failures())]
    return Row(tried, times, lost(failures), f"{most}{note}")


def ways(python: Path | str, tried: str, several: Sequence[Way], folder: Path, note: str = "") -> Row:
    """One row of all ``several``; a process that fails is a failure of each of its images."""
    city, differences, failures, times = open_dataset(CITY), [], [], 0
    for way in several:
        try:
            difference, version = again(python, way, folder)
        except OSError as error:
            failures.append(str(error))
        else:
            differences.append(difference)
            times += len(city.test[:: way.every])
            print(f"{tried}, {way.network}, {way}, torch {version}: {difference}", flush=True)
    return row(tried, differences, times, failures, note)


def environment(folder: Path, install: Sequence[str]) -> Path:
    """The Python of a new virtual environment with ``install``; raises OSError where it cannot be installed."""
    run([sys.executable, "-m", "venv", folder])
    run([folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *install])
    return folder / "bin/python"


def borrow(python: Path) -> None:
    """Whatever ``python`` has not installed itself it finds among this process's packages."""
    own = run([python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]).strip()
    Path(own, "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")


def other_torch(version: str, torchvision: str, folder: Path) -> Row:
    """``===`` since a build of another index (2.13.0+cpu) is another torch."""
    tried = f"features and metrics by torch {version}, torchvision {torchvision}"
    place = folder / f"torch-{version}"
    try:
        python = environment(place, [f"torch==={version}", f"torchvision==={torchvision}"])
        borrow(python)
        return ways(python, tried, OTHER_VERSIONS_WAYS, folder)
    except OSError as error:
        return Row(tried, 0, measured=f"not tried: it could not be installed ({error})")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def lowest(folder: Path) -> list[Row]:
    """The oldest versions that pyproject.toml admits, all at once: numbers, draws, `doctor`, `evaluate`, the Start page."""
    tried = "the oldest versions in range"
    place = folder / "lowest"
    try:
        python = environment(place, [UV])
        resolution = ["--resolution", "lowest-direct", "--no-config", "--quiet"]
        run([python, "-m", "uv", "pip", "compile", *resolution, "pyproject.toml", "-o", folder / "lowest.txt"])
        run([python, "-m", "pip", "install", "--quiet", "-r", folder / "lowest.txt"])
        said = re.findall(r"^(torch|numpy|streamlit|pillow)==(\S+)", (folder / "lowest.txt").read_text(), re.M)
        note = "; " + ", ".join(map(" ".join, said))
        rows = [ways(python, f"features and metrics by {tried}", OTHER_VERSIONS_WAYS, folder, note)]
        return [*rows, commands(python, tried), draws(python, f"draws of {tried}", [{}], folder)]
    except OSError as error:
        return [Row(tried, 0, measured=f"not tried: they could not be installed ({error})")]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def commands(python: Path, tried: str) -> Row:
    """`doctor`, `evaluate` on a part of the city, the app's first page, and its server, each without an error."""
    page = (
        f"from streamlit.testing.v1 import AppTest; t = AppTest.from_file({str(ROOT / 'app/pages.py')!r}, "
        "default_timeout=600).run(); assert not t.exception and not t.error, [e.value for e in (*t.exception, *t.error)]; "
        "assert len(t.sidebar.text_input) >= 1, 'no sidebar'; print('stands')"
    )
    evaluate = ["evaluate", "--data", CITY, "--checkpoint", CHECKPOINTS / "baseline.safetensors", "--device", "cpu"]
    tries = {
        "doctor": (["-m", "ssrnet", "doctor", "--data", CITY, "--checkpoints", CHECKPOINTS], "nothing wrong"),
        "evaluate": (["-m", "ssrnet", *evaluate, "--only", "type=bus"], "rank-1"),
        "first page": (["-c", page], "stands"),
    }
    failures = []
    for name, (arguments, expected) in tries.items():
        try:
            if expected not in run([python, *arguments]):
                failures.append(f"{name} did not say {expected!r}")
        except OSError as error:
            failures.append(f"{name}: {error}")
    if not answers(python):
        failures.append("the server did not answer within five minutes")
    return Row(f"{', '.join(tries)} and server with {tried}", len(tries) + 1, lost(failures))


def answers(python: Path) -> bool:
    """Whether `streamlit run app/main.py` serves on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "streamlit", "run", "app/main.py", "--server.headless=true", f"--server.port={port}"]
    with subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            for _ in range(300):
                with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
                    return answer.status == 200
                if server.poll() is not None:
                    return False
                time.sleep(1)
            return False
        finally:
            server.terminate()


TRAINED = 1e-4
"""Weights after two steps on another number of threads: 1.3e-6 was measured, and another seed moves them by 0.7."""
DRAWN_EXACTLY = 1e-9
"""Intervals and maps: they came out bit for bit, on every number of threads."""
MAPS = ("UMAP", "t-SNE")
"""Another version of their libraries draws another map, which is said and is no failure."""


def draw_in_process(python: Path | str, seed: int, out: Path, **environment: str) -> dict[str, np.ndarray]:
    run([python, "-m", "tests.soak.draws", str(seed), out], **environment)
    with np.load(out) as drawn:
        return dict(drawn)


def disagreements(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> dict[str, float]:
    """By how much two processes' draws differ, by name: 0 or 1 for those that are exact, else the largest difference."""
    assert a.keys() == b.keys() and a
    return {
        name: float(a[name] != b[name]) if a[name].dtype.kind == "U" else float(np.abs(a[name] - b[name]).max())
        for name in a
    }


def draws(python: Path | str, tried: str, environments: Sequence[Mapping[str, str]], folder: Path) -> Row:
    """Draws of ``python`` in each of the environments against those of this process's Python; then of another seed."""
    from tests.soak.draws import DRAWN

    failures, most = [], {}
    first = draw_in_process(sys.executable, 0, folder / "first.npz", OMP_NUM_THREADS="1")
    failures += [f"{name} is not the one of the record" for name, value in DRAWN.items() if str(first[name]) != value]
    for number, environment in enumerate(environments):
        drawn = draw_in_process(python, 0, folder / f"draws-{number}.npz", **environment)
        for name, difference in disagreements(first, drawn).items():
            most[name] = max(most.get(name, 0.0), difference)
            free = name in MAPS and python != sys.executable
            if difference > (TRAINED if "training" in name else DRAWN_EXACTLY) and not free:
                failures.append(f"{name} differs by {difference:.2g} in {dict(environment) or 'other versions'}")
    other = disagreements(first, draw_in_process(python, 1, folder / "other.npz"))
    # t-SNE starts from the principal components and draws nothing.
    failures += [f"{name} is the same for another seed" for name, d in other.items() if d == 0 and name != "t-SNE"]
    said = ", ".join(f"{name} {value:.0e}" for name, value in most.items() if value) or "all to the last bit"
    return Row(tried, len(environments) * len(first), lost(failures), f"largest difference: {said}")


def soak(folder: Path, seed: int) -> list[Row]:
    """All of it; ``seed`` draws nothing here, since what is tried is listed."""
    threads = [{"OMP_NUM_THREADS": n, "OPENBLAS_NUM_THREADS": n, "PYTHONHASHSEED": n} for n in ("1", "2", "4")]
    rows = [draws(sys.executable, "draws of a seed, in other processes, on 1, 2 and 4 threads", threads, folder)]
    for way in WAYS:
        rows.append(ways(sys.executable, f"features and metrics of {way.network}: {way}", [way], folder))
    rows += [other_torch(version, torchvision, folder) for version, torchvision in VERSIONS.items()]
    return rows + lowest(folder)
