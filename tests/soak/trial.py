"""One hostile thing against one reader, in another process with little memory and little time.

Nothing may be written, run or opened outside, and no signal may end the process.
"""

from __future__ import annotations

import faulthandler
import gc
import hashlib
import os
import pickle
import random
import resource
import shutil
import signal
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from ssrnet.errors import LONGEST, SSRNetError
from tests.soak.hostile import CPU_SECONDS, Case

WALL_SECONDS = 40
"""The machine may be shared; what waits for ever waits longer."""
MEMORY = 2**30


class Outcome(NamedTuple):
    """``failure`` is empty where all went as it must; ``what`` came out, ``grown`` bytes of memory later."""

    failure: str
    what: str
    grown: int = 0
    seconds: float = 0.0


class Found(NamedTuple):
    """What the process reports: ``sentences`` are those a user would see, ``right`` what the case's check said."""

    kind: str
    message: str
    family: bool = True
    sentences: tuple[str, ...] = ()
    right: bool = True
    grown: int = 0
    seconds: float = 0.0


class Process:
    """A fork of this process that tries cases, until one of them ends it.

    To fork takes longer than most cases: the short form tries many in one process, the long form (``many`` False) each
    in its own.
    """

    def __init__(self, cases: Sequence[Case], place: Path, many: bool = True) -> None:
        self.cases, self.place, self.many = cases, place, many
        self._process = 0

    def run(self, number: int, seed: int = 0) -> Outcome:
        """The case of this number in ``place``, which is emptied before and removed after."""
        case, place = self.cases[number], self.place
        shutil.rmtree(place, ignore_errors=True)
        for name in ("case", "outside", "work", "tmp"):
            (place / name).mkdir(parents=True)
        (place / "outside" / "kept.txt").write_text("this must stay")
        try:
            before = _everything(place)
            found, status = self._ask(number, seed)
            failure = _judged(case, found, status)
            if not failure and _everything(place) != before:
                failure = "something outside the case's folder was written"
            return Outcome(failure, f"{found.kind}: {found.message}", found.grown, found.seconds)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._process:
            self._requests.close()
            self._answers.close()
            os.waitpid(self._process, 0)
            self._process = 0

    def _ask(self, number: int, seed: int) -> tuple[Found, int]:
        """What came of it, and the status with which the process ended, 0 while it goes on."""
        if not self._process:
            self._start()
        self._requests.write(f"{number} {seed}\n".encode())
        self._requests.flush()
        try:
            found, status = Found(*pickle.load(self._answers)), 0
        except EOFError:
            found = Found("nothing", "")
            self._requests.close()
            self._answers.close()
            _, status = os.waitpid(self._process, 0)
            self._process = 0
        if not self.many:
            self.close()
        return found, status

    def _start(self) -> None:
        asked, ask = os.pipe()
        answered, answer = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(ask)
            os.close(answered)
            try:
                self._serve(asked, answer)
            finally:
                os._exit(0)
        os.close(asked)
        os.close(answer)
        self._requests, self._answers = os.fdopen(ask, "wb"), os.fdopen(answered, "rb")

    def _serve(self, asked: int, answer: int) -> None:
        os.environ["TMPDIR"] = os.environ["HOME"] = str(self.place / "tmp")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff says what it thinks itself
        torch.set_num_threads(1)
        faulthandler.disable()  # pytest's, which tells of every signal at length
        gc.freeze()  # a million objects of PyTorch, which no collection need look at
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        warnings.simplefilter("ignore")
        with os.fdopen(asked, "rb") as requests, os.fdopen(answer, "wb") as answers:
            for line in requests:
                number, seed = map(int, line.split())
                pickle.dump(tuple(_tried(self.cases[number], self.place, seed)), answers)
                answers.flush()


def run(case: Case, place: Path, seed: int = 0) -> Outcome:
    """One case in a process of its own."""
    return Process([case], place, many=False).run(0, seed)


def _tried(case: Case, place: Path, seed: int) -> Found:
    os.chdir(place / "work")
    target = case.make(place / "case", random.Random(f"{seed} {case.name}"))
    start = _peak(reset=True)
    spent = time.process_time()
    # Not RLIMIT_CPU, which counts from the start by another clock: after many cases the two are seconds apart.
    signal.setitimer(signal.ITIMER_PROF, case.seconds)
    resource.setrlimit(resource.RLIMIT_AS, (_virtual() + MEMORY, -1))
    signal.alarm(WALL_SECONDS * case.seconds // CPU_SECONDS)
    found = _read(case, target)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    return found._replace(grown=_peak() - start, seconds=time.process_time() - spent)


def _read(case: Case, target: object) -> Found:
    try:
        value = case.read(target)
        right = case.check is None or bool(case.check(value))
        refused = tuple(getattr(value, "refused", ()))
        kind, message = ("sentence", refused[0]) if refused else ("opens", type(value).__name__)
        return Found(kind, message, True, refused, right)
    except SSRNetError as error:
        return Found("sentence", str(error), True, (str(error),))
    except BaseException as error:
        return Found("raised", f"{type(error).__name__}: {error}"[:500], False)


def _judged(case: Case, found: Found, status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    if not found.family or found.kind == "nothing":
        return f"raised {found.message or 'nothing that could be reported'}"
    if case.expected != "either" and found.kind != case.expected:
        return f"expected {case.expected}, but {found.kind}: {found.message}"
    if not found.right:
        return f"what came out is wrong: {found.message}"
    for sentence in found.sentences:
        if not sentence.isprintable() or len(sentence) > LONGEST or not sentence.endswith("."):
            return f"no sentence of one line: {sentence!r}"
    if case.says and not any(case.says in sentence for sentence in found.sentences):
        return f"does not say {case.says!r}: {found.message}"
    return f"took {found.grown / 2**20:.0f} MB" if found.grown > MEMORY else ""


def _everything(place: Path) -> dict[str, str]:
    """Every path below ``place`` but the case's own, with what it holds."""
    found = {}
    for name in ("outside", "work", "tmp"):
        for folder, _, names in os.walk(place / name):
            found[folder] = ""
            found |= {os.path.join(folder, n): hashlib.sha256(Path(folder, n).read_bytes()).hexdigest() for n in names}
    return found | dict.fromkeys(os.listdir(place), "")


def _peak(reset: bool = False) -> int:
    """Bytes of memory that the process had at most, since it was reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024


def _virtual() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
