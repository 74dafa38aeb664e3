"""Runs work in a thread, so that the page that waits for it responds to clicks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from streamlit.runtime.scriptrunner import add_script_run_ctx

TICK = 0.25
"""Seconds between two reports of a page that waits."""
T = TypeVar("T")


class Abandoned(BaseException):
    """Ends work that no page waits for any more. A BaseException, so that ``except Exception`` does not catch it."""


@dataclass
class _Job(Generic[T]):
    finished: threading.Event = field(default_factory=threading.Event)
    abandoned: bool = False
    progress: tuple[int, int] = (0, 1)
    result: T | None = None
    error: BaseException | None = None

    def listen(self, done: int, total: int) -> None:
        if self.abandoned:
            raise Abandoned
        self.progress = done, total

    def run(self, work: Callable[[Callable[[int, int], None]], T]) -> None:
        try:
            self.result = work(self.listen)
        except BaseException as error:  # the page that waits raises it
            self.error = error
        finally:
            self.finished.set()


def in_background(work: Callable[[Callable[[int, int], None]], T], report: Callable[[int, int], None]) -> T:
    """``work(progress_callback)`` in a thread, while ``report(done, total)`` is called every :data:`TICK` seconds.

    So *Cancel*, which Streamlit delivers when the page reports, takes effect however seldom the work itself does.
    Until the work has called its ``progress_callback(done, total)``, ``report`` is called with (0, 1). What
    ``report`` raises leaves the work at once; the work then ends at its next progress, or its result is dropped.
    What the work raises is raised here.
    """
    job: _Job[T] = _Job()
    # The page's context: where a cached function draws its spinner, and whose session state is read.
    thread = threading.Thread(target=copy_context().run, args=(job.run, work), daemon=True)
    add_script_run_ctx(thread)
    thread.start()
    try:
        while not job.finished.wait(TICK):
            report(*job.progress)
    except BaseException:
        job.abandoned = True
        raise
    if job.error is not None:
        raise job.error
    return job.result
