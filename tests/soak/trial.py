"""One hostile case against its reader, in a forked process with little memory and little time.

Nothing outside the case's folder may be written, no code run, and no signal may end the process.
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
"""For a case of ``CPU_SECONDS``; the machine may be shared."""
MEMORY = 2**30


class Outcome(NamedTuple):
    """``failure`` is empty where the case passed; ``grown`` bytes of memory and ``seconds`` of CPU time were used."""

    failure: str
    grown: int = 0
    seconds: float = 0.0


class Result(NamedTuple):
    """What the process reports: ``sentences`` are those a user would see, ``right`` the result of the case's check."""

    kind: str
    message: str
    family: bool = True
    sentences: tuple[str, ...] = ()
    right: bool = True
    grown: int = 0
    seconds: float = 0.0


class Process:
    """A fork of this process that tries cases one after the other; after a case that ended it, a new one goes on."""

    def __init__(self, cases: Sequence[Case], place: Path) -> None:
        self.cases, self.place = cases, place
        self._process = 0

    def run(self, number: int, seed: int = 0) -> Outcome:
        """Tries the case of this number in ``place``, which is emptied before and removed after."""
        case, place = self.cases[number], self.place
        shutil.rmtree(place, ignore_errors=True)
        for name in ("case", "outside", "work", "tmp"):
            (place / name).mkdir(parents=True)
        (place / "outside" / "kept.txt").write_text("this must stay")
        try:
            before = _everything(place)
            result, status = self._try(number, seed)
            failure = _judged(case, result, status)
            if not failure and _everything(place) != before:
                failure = "something outside the case's folder was written"
            return Outcome(failure, result.grown, result.seconds)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def close(self) -> int:
        """Ends the process, if there is one, and returns its exit status."""
        if not self._process:
            return 0
        self._requests.close()
        self._answers.close()
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        return status

    def _try(self, number: int, seed: int) -> tuple[Result, int]:
        """The result, and the status with which the process ended, 0 while it goes on."""
        if not self._process:
            self._start()
        self._requests.write(f"{number} {seed}\n".encode())
        self._requests.flush()
        try:
            return Result(*pickle.load(self._answers)), 0
        except EOFError:
            return Result("nothing", ""), self.close()

    def _start(self) -> None:
        child_in, parent_out = os.pipe()
        parent_in, child_out = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(parent_out)
            os.close(parent_in)
            try:
                self._serve(child_in, child_out)
            finally:
                os._exit(0)
        os.close(child_in)
        os.close(child_out)
        self._requests, self._answers = os.fdopen(parent_out, "wb"), os.fdopen(parent_in, "rb")

    def _serve(self, child_in: int, child_out: int) -> None:
        os.environ["TMPDIR"] = os.environ["HOME"] = str(self.place / "tmp")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff prints its own warnings
        torch.set_num_threads(1)
        faulthandler.disable()  # pytest's prints a traceback at every signal
        gc.freeze()  # PyTorch's million objects need no collection
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        warnings.simplefilter("ignore")
        with os.fdopen(child_in, "rb") as requests, os.fdopen(child_out, "wb") as answers:
            for line in requests:
                number, seed = map(int, line.split())
                pickle.dump(tuple(_tried(self.cases[number], self.place, seed)), answers)
                answers.flush()


def run(case: Case, place: Path, seed: int = 0) -> Outcome:
    """Tries one case in a separate process."""
    process = Process([case], place)
    try:
        return process.run(0, seed)
    finally:
        process.close()


def _tried(case: Case, place: Path, seed: int) -> Result:
    os.chdir(place / "work")
    target = case.make(place / "case", random.Random(f"{seed} {case.name}"))
    start = _peak(reset=True)
    began = time.process_time()
    # Not RLIMIT_CPU, which counts from the process's start by another clock: after many cases the two are seconds apart.
    signal.setitimer(signal.ITIMER_PROF, case.seconds)
    resource.setrlimit(resource.RLIMIT_AS, (_virtual() + MEMORY, -1))
    signal.alarm(WALL_SECONDS * case.seconds // CPU_SECONDS)
    result = _read(case, target)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    return result._replace(grown=_peak() - start, seconds=time.process_time() - began)


def _read(case: Case, target: object) -> Result:
    try:
        value = case.read(target)
        right = case.check is None or bool(case.check(value))
        refused = tuple(getattr(value, "refused", ()))
        kind, message = ("sentence", refused[0]) if refused else ("opens", type(value).__name__)
        return Result(kind, message, True, refused, right)
    except SSRNetError as error:
        return Result("sentence", str(error), True, (str(error),))
    except BaseException as error:
        return Result("raised", f"{type(error).__name__}: {error}"[:500], False)


def _judged(case: Case, result: Result, status: int) -> str:
    """Why the case failed; empty where it passed."""
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    if not result.family or result.kind == "nothing":
        return f"raised {result.message or 'nothing that could be reported'}"
    if case.expected != "either" and result.kind != case.expected:
        return f"expected {case.expected}, but {result.kind}: {result.message}"
    if not result.right:
        return f"the result is wrong: {result.message}"
    for sentence in result.sentences:
        if not sentence.isprintable() or len(sentence) > LONGEST or not sentence.endswith("."):
            return f"no sentence of one line: {sentence!r}"
    if case.says and not any(case.says in sentence for sentence in result.sentences):
        return f"does not say {case.says!r}: {result.message}"
    return f"took {result.grown / 2**20:.0f} MB" if result.grown > MEMORY else ""


def _everything(place: Path) -> dict[str, str]:
    """Every path below ``place`` outside the case's folder, with its content's hash."""
    contents = {}
    for top in ("outside", "work", "tmp"):
        for folder, _, names in os.walk(place / top):
            contents[folder] = ""
            for name in names:
                contents[os.path.join(folder, name)] = hashlib.sha256(Path(folder, name).read_bytes()).hexdigest()
    return contents | dict.fromkeys(os.listdir(place), "")


def _peak(reset: bool = False) -> int:
    """The process's peak of memory in bytes, since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024


def _virtual() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
