"""Functions, scripts and commands in processes forked from one that has imported the package, which takes seconds."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

PRELOADED = ["tests.soak.replaced", "ssrnet.cli", "torch.utils.tensorboard"]
COMMAND = "from ssrnet.__main__ import main\nmain()"


class Ended(NamedTuple):
    """Exit status and output of a process; a status below 0 is the signal that ended it."""

    returncode: int | None
    output: str


def start(function: Callable[..., object], *arguments: object) -> BaseProcess:
    """Runs a module's function in a process forked from one that has imported everything and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=function, args=arguments)
    # The child would import this process's __main__ first, which after Streamlit's AppTest is a page.
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        process.start()
    finally:
        sys.modules["__main__"] = main
    return process


def run_script(script: str, *arguments: object, timeout: float = 300) -> Ended:
    """Runs the script to its end, with ``arguments`` as ``sys.argv[1:]`` and as many threads as here."""
    import torch

    with tempfile.NamedTemporaryFile() as log:
        process = start(_execute, script, list(map(str, arguments)), log.name, torch.get_num_threads())
        process.join(timeout)
        process.kill()
        process.join()
        return Ended(process.exitcode, Path(log.name).read_text(errors="replace"))


def run_command(*arguments: object) -> Ended:
    """Runs ``ssrnet`` with these arguments to its end."""
    return run_script(COMMAND, *arguments)


def redirect_output(log: str) -> None:
    """Sends stdout and stderr of this process to the file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout = open(1, "w", buffering=1, closefd=False)
    sys.stderr = open(2, "w", buffering=1, closefd=False)


def _execute(script: str, arguments: list[str], log: str, threads: int) -> None:
    redirect_output(log)
    import torch

    torch.set_num_threads(threads)
    sys.argv = ["ssrnet", *arguments]
    exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
