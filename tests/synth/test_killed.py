"""kill -9 in the middle of a real rendering, then the same command again; with one process and with two."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CITY = ["--identities", "2", "--seed", "4", "--min-passes", "2", "--max-passes", "2", "--max-frames", "2"]


def start(out: Path, workers: int) -> subprocess.Popen:
    options = ["--out", str(out), *CITY, "--samples", "1", "--masks", "--workers", str(workers)]
    command = [sys.executable, "-m", "ssrnet", "synth", *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def written(out: Path) -> list[Path]:
    return list(out.glob("image_*/[!.]*.jpg"))


def children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(number) for number in path.read_text().split()] if path.exists() else []


def test_killed_and_continued_is_as_never_killed(tmp_path):
    if any(importlib.util.find_spec(name) is None for name in ("mitsuba", "mitsuba_oidn")):
        pytest.skip("the synth extra (Mitsuba 3 and Open Image Denoise) is not installed")
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    run = start(whole, workers=2)
    assert run.wait(300) == 0, run.stderr.read()

    victim = start(torn, workers=1)
    deadline = time.monotonic() + 300
    while not written(torn) and victim.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = children(victim.pid)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(60)
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{one}").exists() for one in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [one for one in workers if Path(f"/proc/{one}").exists()], "workers outlive their parent"
    assert 0 < len(written(torn)) < len(written(whole)) and not (torn / "manifest.csv").exists()

    again = start(torn, workers=1)
    assert again.wait(300) == 0, again.stderr.read()
    for name in ("checksums.sha256", "manifest.csv", "siblings.csv"):
        assert (torn / name).read_bytes() == (whole / name).read_bytes()
    assert not list(torn.rglob("*.part"))
