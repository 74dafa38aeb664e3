"""What Python's garbage collection leaves alone: Streamlit collects all generations after every run."""

from __future__ import annotations

import atexit
import gc
import sys
from functools import cache


def set_aside_what_is_loaded() -> None:
    """Exempts all objects from garbage collection, again whenever more modules are loaded.

    A collection takes a fifth of a second over PyTorch's objects, and the browser waits that long for what a run has
    drawn; also after the run of a fragment, which loads nothing itself.
    """
    _set_aside(len(sys.modules))


@cache
def _set_aside(modules: int) -> None:
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # else libraries complain, when the server ends, of what was never collected
