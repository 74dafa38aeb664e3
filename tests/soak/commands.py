"""Command lines of ssrnet in separate processes: forked from one that has imported everything, or started as by a user."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.processes import redirect_output, start

KILLED = -signal.SIGKILL
THREADS = 1
"""Results are compared bit by bit, and another number of threads sums in another order."""


@dataclass(frozen=True)
class Shortcuts:
    """What a forked command skips, so that its kills fall where files are written. None of it touches a file.

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
    """A running ``ssrnet`` with these arguments; its output goes to ``log``."""

    def __init__(
        self, arguments: Sequence[str], log: Path, shortcuts: Shortcuts = Shortcuts(), anew: bool = False
    ) -> None:
        """``anew``: `python -m ssrnet` as a user starts it, imports included, without ``shortcuts``."""
        self.log = log
        if anew:
            command, environment = (
                [sys.executable, "-m", "ssrnet", *arguments],
                os.environ | {"OMP_NUM_THREADS": str(THREADS)},
            )
            with open(log, "wb") as output:
                self._process = subprocess.Popen(
                    command, stdout=output, stderr=output, env=environment, start_new_session=True
                )
        else:
            self._process = start(_run, list(arguments), str(log), shortcuts)

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
        """kill -9 of it and of every process that it has started; waits for its end."""
        if self.code is None:  # else its process id may belong to another by now
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:  # before it has created its process group
                self._process.kill()
        self.wait()

    def output(self) -> str:
        """The end of its output."""
        return self.log.read_text(errors="replace")[-800:] if self.log.exists() else ""


def finish(arguments: Sequence[str], log: Path, shortcuts: Shortcuts = Shortcuts()) -> Command:
    """Runs the command to its end; kills it after five minutes."""
    command = Command(arguments, log, shortcuts)
    if command.wait() is None:
        command.kill()
    return command


def _run(arguments: list[str], log: str, shortcuts: Shortcuts) -> None:
    os.setsid()
    redirect_output(log)
    import torch

    from ssrnet.__main__ import main

    torch.set_num_threads(THREADS)
    _take_shortcuts(shortcuts)
    sys.argv = ["ssrnet", *arguments]
    main()


def _take_shortcuts(shortcuts: Shortcuts) -> None:
    if shortcuts.back is not None:
        right, began = time.time, time.monotonic()
        time.time = lambda: right() + (86_400 if time.monotonic() - began < shortcuts.back else 0)
    if shortcuts.largest is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing raises OSError
        resource.setrlimit(resource.RLIMIT_FSIZE, (shortcuts.largest, resource.RLIM_INFINITY))
    if shortcuts.graph is not None:
        import onnx

        import ssrnet.commands.export

        graph = onnx.load(shortcuts.graph)
        ssrnet.commands.export.to_onnx = lambda *_: graph
    if shortcuts.steadily is not None:
        import ssrnet.index.filling
        import ssrnet.index.partial

        ssrnet.index.partial.SECONDS = ssrnet.index.filling.SECONDS = shortcuts.steadily
    if shortcuts.card:
        from ssrnet.synth import generate, jobs

        generate.load_mitsuba = lambda: None
        generate.unresolvable_views = lambda a, b: ()
        jobs.build = lambda identity: identity
        jobs.photographer = lambda samples: Card()


class Card:
    """A camera whose picture of each capture is noise that its name decides."""

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
