"""Runs work in a thread, so that the page that waits for it responds to clicks."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from streamlit.runtime.scriptrunner import add_script_run_ctx

from app.workbench import Progress

TICK = 0.25
"""Seconds between two reports of a page that waits."""
PATIENCE = 5.0
"""Seconds without a page that waits, after which a :class:`SharedJob` ends."""
T = TypeVar("T")


class Abandoned(BaseException):
    """Ends work that no page waits for any more. A BaseException, so that ``except Exception`` does not catch it."""


@dataclass
class Job(Generic[T]):
    """Work in a thread. It ends at its next progress once it is abandoned, or nobody has waited for ``patience`` s."""

    patience: float = math.inf
    began: float = field(default_factory=time.monotonic)
    waited: float = field(default_factory=time.monotonic)
    """When a page last waited for it."""
    finished: threading.Event = field(default_factory=threading.Event)
    abandoned: bool = False
    progress: tuple[int, int] | None = None
    result: T | None = None
    error: BaseException | None = None

    def listen(self, done: int, total: int) -> None:
        """The work's ``progress_callback``."""
        if self.abandoned or time.monotonic() - self.waited > self.patience:
            raise Abandoned
        self.progress = done, total

    def run(self, work: Callable[[Progress], T]) -> None:
        try:
            self.result = work(self.listen)
        except BaseException as error:  # the page that waits raises it
            self.error = error
        finally:
            self.finished.set()

    def wait(self, on_tick: Callable[[], None]) -> None:
        """Until the work is finished; calls ``on_tick()`` every :data:`TICK` seconds and raises what it raises."""
        self.waited = time.monotonic()
        while not self.finished.wait(TICK):
            self.waited = time.monotonic()
            on_tick()

    def outcome(self) -> T:
        """The result of finished work; what the work raised is raised here."""
        if self.error is not None:
            raise self.error
        return self.result


def in_background(work: Callable[[Progress], T], progress_callback: Progress) -> T:
    """``work(progress_callback)`` in a thread; meanwhile the page calls its callback every :data:`TICK` seconds.

    So *Cancel*, which Streamlit delivers when the page reports, takes effect however seldom the work itself does.
    Until the work has called its callback, the page's is called with (0, 1). What the page's callback raises leaves
    the work at once; the work then ends at its next progress, or its result is dropped. What the work raises is raised
    here.
    """
    job: Job[T] = Job()
    # The page's context: where a cached function draws its spinner, and whose session state is read.
    thread = threading.Thread(target=copy_context().run, args=(job.run, work), daemon=True)
    add_script_run_ctx(thread)
    thread.start()
    try:
        job.wait(lambda: progress_callback(*(job.progress or (0, 1))))
    except BaseException:
        job.abandoned = True
        raise
    return job.outcome()


@dataclass
class SharedJob(Generic[T]):
    """Work that any page may wait for: it goes on while pages come and go, and ends when none waits.

    It knows no page: the work must not use Streamlit. Work that failed is begun again by the next page.
    """

    job: Job[T] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def result(self, work: Callable[[Progress], T], on_tick: Callable[[Job[T]], None]) -> T:
        """The result of ``work(progress_callback)``, which is begun if it is neither done nor under way.

        ``on_tick(job)`` is called every :data:`TICK` seconds; what it raises leaves the work, which goes on.
        """
        while True:
            job = self._started(work)
            job.wait(lambda: on_tick(job))
            if not isinstance(job.error, Abandoned):  # else it ended just before this page came
                return job.outcome()

    def _started(self, work: Callable[[Progress], T]) -> Job[T]:
        with self.lock:
            if self.job is None or self.job.error is not None:
                self.job = Job(PATIENCE)
                threading.Thread(target=self._run, args=(self.job, work), daemon=True).start()
            self.job.waited = time.monotonic()
            return self.job

    def _run(self, job: Job[T], work: Callable[[Progress], T]) -> None:
        job.run(work)
        with self.lock:
            if job.error is not None and self.job is job:
                self.job = None  # the error's frames hold all that the work had in memory
