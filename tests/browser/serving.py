"""Serves the app for tests that drive it from outside, in Chromium or over its WebSocket."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from app.workbench.roots import NAMED

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 120_000
"""Milliseconds: a shared machine may be slow, and a missing row is what should fail."""
REPOSITORY = Path(__file__).resolve().parents[2]


@contextmanager
def serving(project: Path) -> Iterator[str]:
    """The app's address; it is served from a copy in ``project``, as `make app` serves it."""
    with started(project) as (address, _):
        yield address


@contextmanager
def started(
    project: Path, *options: str, roots: bool = True, log: int | IO = subprocess.DEVNULL
) -> Iterator[tuple[str, int]]:
    """As :func:`serving`, with the server's process id; ``roots``: whether it may read what other fixtures made."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "app", project / "app", ignore=ignored, dirs_exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Sources that change during the tests are not reloaded.
    settled = ("--server.headless", "true", "--server.fileWatcherType", "none")
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py", *settled]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    if roots:
        environment[NAMED] = os.pathsep.join((tempfile.gettempdir(), str(REPOSITORY)))
    process = subprocess.Popen(
        [*command, "--server.port", str(port), *options], cwd=project, env=environment, stdout=log, stderr=log
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
            break
        except OSError:
            assert process.poll() is None, "streamlit run app/main.py ended at once"
            time.sleep(0.1)
    try:
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(20)


def menu(page, title):
    """Opens a page by its entry in the menu; pages contain links too."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
