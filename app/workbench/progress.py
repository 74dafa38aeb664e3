"""How far a computation has come: the callback that pages draw as a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Progress = Callable[[int, int], None]
"""``progress_callback(done, total)``."""


def counted(progress_callback: Progress | None, start: int = 0, each: int = 1) -> Callable[[Iterable, int], Iterable]:
    """A ``progress`` argument, which wraps batches, that calls ``progress_callback(done, total)`` after each of them.

    ``each``: how many things a batch is; ``start``: how many were done before.
    """

    def wrap(items: Iterable, total: int) -> Iterable:
        for done, item in enumerate(items, 1):
            yield item
            if progress_callback:
                progress_callback(start + each * done, total)

    return wrap
