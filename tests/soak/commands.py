"""Command lines of ssrnet in processes of their own: forked from one that has imported all, or started anew."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType

import numpy as np

KILLED = -signal.SIGKILL
THREADS = 1
"""Of every command: results are compared bit by bit, and another number of threads adds up in another order."""
PRELOADED = ["tests.soak.replaced", "ssrnet.cli", "torch.utils.tensorboard"]


@dataclass(frozen=True)
class Haste:
    """What a forked command is spared, so that its kills fall where files are written. None of it touches a file.

    ``graph``: an exported model that stands for tracing the same network again. ``card``: photographs of coloured noise
    in place of rendered ones. ``steadily``: features that are extracted are written so often, in seconds. ``largest``:
    no file may have more bytes, as on a full disk. ``back``: its clock is a day ahead and set back after so many seconds.
    """

    graph: Path | None = None
    card: bool = False
    steadily: float | None = None
    largest: int | None = None
    back: float | None = None


class Command:
    """``ssrnet`` with these arguments, running; ``log`` gets what it says."""

    def __init__(self, arguments: Sequence[str], log: Path, haste: Haste = Haste(), anew: bool = False) -> None:
        """``anew``: `python -m ssrnet` as a user starts it, seconds of imports included; ``haste`` then has no part."""
        self.log = log
        if anew:
            command, own = [sys.executable, "-m", "ssrnet", *arguments], os.environ | {"OMP_NUM_THREADS": str(THREADS)}
            with open(log, "wb") as said:
                self._process = subprocess.Popen(command, stdout=said, stderr=said, env=own, start_new_session=True)
        else:
            self._process = start(_run, list(arguments), str(log), haste)

    @property
    def code(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.poll() if isinstance(self._process, subprocess.Popen) else self._process.exitcode

    def wait(self, seconds: float = 300) -> int | None:
        deadline = time.monotonic() + seconds
        while self.code is None and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.code

    def kill(self) -> None:
        """kill -9 of it and of every process that it has started, and waits until it is gone."""
        if self.code is None:  # else its number may be another's by now
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:  # before it has a group of its own
                self._process.kill()
        self.wait()

    def said(self) -> str:
        """The last lines of what it has said."""
        return self.log.read_text(errors="replace")[-800:] if self.log.exists() else ""


def finish(arguments: Sequence[str], log: Path, haste: Haste = Haste()) -> Command:
    """Runs the command to its end, which it reaches within five minutes or is killed."""
    command = Command(arguments, log, haste)
    if command.wait() is None:
        command.kill()
    return command


def start(function: Callable[..., object], *arguments: object) -> BaseProcess:
    """Runs a function of a module in a process forked from one that has imported all and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=function, args=arguments)
    # The child would import this process's own script first, which after Streamlit's AppTest is a page.
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        process.start()
    finally:
        sys.modules["__main__"] = main
    return process


def _run(arguments: list[str], log: str, haste: Haste) -> None:
    os.setsid()
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.stdout = open(1, "w", buffering=1, closefd=False)
    sys.stderr = open(2, "w", buffering=1, closefd=False)
    import torch

    from ssrnet.__main__ import main

    torch.set_num_threads(THREADS)
    _hasten(haste)
    sys.argv = ["ssrnet", *arguments]
    main()


def _hasten(haste: Haste) -> None:
    if haste.back is not None:
        right, began = time.time, time.monotonic()
        time.time = lambda: right() + (86_400 if time.monotonic() - began < haste.back else 0)
    if haste.largest is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing raises OSError
        resource.setrlimit(resource.RLIMIT_FSIZE, (haste.largest, resource.RLIM_INFINITY))
    if haste.graph is not None:
        import onnx

        import ssrnet.commands.export

        graph = onnx.load(haste.graph)
        ssrnet.commands.export.to_onnx = lambda *_: graph
    if haste.steadily is not None:
        import ssrnet.index.partial

        ssrnet.index.partial.SECONDS = haste.steadily
    if haste.card:
        from ssrnet.synth import generate, jobs

        generate.load_mitsuba = lambda: None
        generate.unresolvable_views = lambda a, b: ()
        jobs.build = lambda identity: identity
        jobs.photographer = lambda samples: Card()


class Card:
    """A camera that takes another noise of each capture, always the same."""

    samples = 9

    def take(self, vehicle, capture, staging=None, framed_as=None):
        noise = np.random.default_rng([ord(letter) for letter in capture.name])
        time.sleep(0.02)
        return type(
            "Photo",
            (),
            {
                "pixels": noise.integers(0, 255, (120, 160, 3), np.uint8),
                "occlusion": 0.0,
                "azimuth": 10.0,
                "elevation": 12.0,
                "parts": noise.integers(0, 9, (120, 160), np.uint8),
                "visible_marks": (),
            },
        )
