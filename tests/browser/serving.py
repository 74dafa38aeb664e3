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
NOTHING_RUNS = "document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'"
"""JavaScript; true before the first run as well, so wait for something on the page first."""
WIDER = """() => {
  const [width, window] = [document.querySelector('.stMain').scrollWidth, innerWidth];
  return width > window ? [`the page is ${width} wide, the window ${window}`] : [];
}"""
"""For :func:`listed`: whether the page reaches beyond the window's right edge."""


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


def stand_still(page) -> None:
    """Waits until no script runs: a run may still move or replace what the next gesture or look is meant for."""
    page.wait_for_function(NOTHING_RUNS)


def loaded(pictures) -> None:
    """Waits for all pictures of a locator; one that is broken is an error."""
    pictures.evaluate_all("images => Promise.all(images.map(image => image.decode()))")


def listed(page, script: str, argument: object = None) -> list:
    """What ``script`` finds, and finds again seconds later: a page may be drawn again while it is looked at."""
    for wait in (1000, 2000, 4000, 8000, 0):
        found = page.evaluate(script, argument)
        if not found:
            break
        page.wait_for_timeout(wait)
    return found


def menu(page, title):
    """Opens a page by its entry in the menu; pages contain links too."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()


def type_into(page, label: str, text: str) -> None:
    """Replaces a field's text, which a run that sets the field would undo before it is sent."""
    stand_still(page)
    field = page.get_by_label(label)
    field.fill(text)
    field.press("Enter")
