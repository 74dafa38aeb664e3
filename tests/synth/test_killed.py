"""kill -9 in the middle of a real rendering, then the same command again; `make soak` compares with a run never killed."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CITY = ["--identities", "2", "--seed", "4", "--min-passes", "2", "--max-passes", "2", "--max-frames", "1"]


def start(out: Path, workers: int) -> subprocess.Popen:
    options = ["--out", str(out), *CITY, "--samples", "1", "--masks", "--workers", str(workers)]
    command = [sys.executable, "-m", "ssrnet", "synth", *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def written(out: Path) -> list[Path]:
    return list(out.glob("image_*/[!.]*.jpg"))


def children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(number) for number in path.read_text().split()] if path.exists() else []


def test_killed_and_continued_by_two_processes_has_the_pictures_of_one(tmp_path):
    if any(importlib.util.find_spec(name) is None for name in ("mitsuba", "mitsuba_oidn")):
        pytest.skip("the synth extra (Mitsuba 3 and Open Image Denoise) is not installed")
    victim = start(tmp_path, workers=1)
    deadline = time.monotonic() + 300
    while not written(tmp_path) and victim.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = children(victim.pid)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(60)
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{one}").exists() for one in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [one for one in workers if Path(f"/proc/{one}").exists()], "workers outlive their parent"
    assert written(tmp_path) and not (tmp_path / "manifest.csv").exists()
    before = {path: path.read_bytes() for path in written(tmp_path)}
    lost = next(iter(before))
    lost.unlink()

    again = start(tmp_path, workers=2)
    assert again.wait(300) == 0, again.stderr.read()
    assert {path: path.read_bytes() for path in before} == before, "the lost one is rendered again, bit for bit"
    listed = (tmp_path / "manifest.csv").read_text()
    assert len(written(tmp_path)) > len(before) and all(path.name in listed for path in written(tmp_path))
    assert not list(tmp_path.rglob("*.part"))
