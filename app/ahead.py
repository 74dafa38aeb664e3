"""Work for the viewer's likely next gesture, done while the page stands: step by step, until any page is drawn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

_turn = 0


def stop() -> None:
    """Ends the work that is under way after its present step: what a viewer asked for comes first."""
    global _turn
    _turn += 1


def begin(steps: Iterable[Callable[[], object]]) -> threading.Thread:
    """Begins ``steps``, each of which caches what it makes; what fails is left to the page that needs it."""
    stop()
    thread = threading.Thread(target=_take, args=(steps, _turn), daemon=True, name="ahead")
    thread.start()
    return thread


def _take(steps: Iterable[Callable[[], object]], turn: int) -> None:
    for step in steps:
        if turn != _turn:
            return
        with suppress(Exception):
            step()
