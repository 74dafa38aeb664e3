"""The app in a real Chromium: open it, pick a query, see the ranked rows."""

import json
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
from urllib.parse import urlencode

import pytest

from app.workbench.roots import NAMED
from tests import tiny
from tests.training.test_runs import line, make, scored

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install -e .[test]")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 120_000
"""Milliseconds: a shared machine may be slow, and a missing row is what should fail."""
REPOSITORY = Path(__file__).resolve().parents[2]


@contextmanager
def serving(project: Path) -> Iterator[str]:
    """The app's address, served as the README says from a copy of it in ``project``."""
    with started(project) as (address, _):
        yield address


@contextmanager
def started(
    project: Path, *options: str, roots: bool = True, log: int | IO = subprocess.DEVNULL
) -> Iterator[tuple[str, int]]:
    """As :func:`serving`, with the server's process number; ``roots``: may it read what other fixtures made?"""
    shutil.copytree(REPOSITORY / "app", project / "app", ignore=shutil.ignore_patterns("__pycache__"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # A file that changes meanwhile, as sources do while they are worked on, is not loaded anew.
    settled = ("--server.headless", "true", "--server.fileWatcherType", "none")
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py", *settled]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    if roots:
        environment[NAMED] = os.pathsep.join((tempfile.gettempdir(), str(REPOSITORY)))
    process = subprocess.Popen(
        [*command, "--server.port", str(port), *options], cwd=project, env=environment, stdout=log, stderr=log
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
            break
        except OSError:
            assert process.poll() is None, "streamlit run app/main.py ended at once"
            time.sleep(0.5)
    try:
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The app without a demo."""
    with serving(tmp_path_factory.mktemp("project")) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        # executable_path None is Playwright's own build, where no Chromium of the system was found
        launched = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()


def menu(page, title):
    """Opens a page by its entry in the menu; pages have links of their own."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()


def test_a_picked_query_is_ranked_in_two_rows_and_kept_in_the_url(page, server, city, checkpoints):
    page.goto(f"{server}/retrieval?{urlencode({'data': str(city), **checkpoints})}")
    page.wait_for_selector(".ranks .row")
    assert page.locator(".ranks .row").count() == 2

    chosen = page.get_by_role("button", name="0008 · c001").first
    chosen.click()
    page.wait_for_selector('.ranks .query img[alt*="vehicle 0008"]')
    assert page.locator('.ranks .query img[alt*="vehicle 0008"]').count() == 2
    assert page.locator(".ranks .hit, .ranks .error").count() == 10
    assert page.locator(".ranks .junk").count() >= 1
    assert "query=0008_c001" in page.url
    # the pictures are really there, not broken
    widths = page.eval_on_selector_all(".ranks img", "images => images.map(image => image.naturalWidth)")
    assert min(widths) > 0

    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector('.ranks .query img[alt*="vehicle 0008"]')


def test_attention_draws_its_maps(page, server, city, checkpoints):
    page.goto(f"{server}/attention?{urlencode({'data': str(city), **checkpoints})}")
    page.get_by_text("SSR-Net (GB+AB+RB): M_s").wait_for()
    page.get_by_text("Baseline (GB): Grad-CAM").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0
    page.wait_for_function("[...document.querySelectorAll('.sheet .picture img')].every(i => i.naturalWidth > 0)")
    # of both models' CAMs, |F_G| and |F_attn|, and SSR-Net's M_s, over three images each, and of eight channels
    assert page.locator(".sheet .picture img").count() == 5 * 3 + 8
    page.get_by_text("Measured on all images").wait_for()


def test_without_data_the_page_says_what_to_do(page, server):
    page.goto(server)
    page.get_by_text("Still missing").wait_for()
    page.get_by_text("ssrnet train --data DIR --out runs/ssrnet").wait_for()


def test_the_demo_opens_by_itself_and_extracts_nothing(page, tiny_demo, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(tiny_demo, project)
    before = tiny.files(project)
    with serving(project) as server:
        page.goto(server)
        page.get_by_text("The loaded models").wait_for()
        page.get_by_text("The bundled demo").wait_for()
        menu(page, "Retrieval")
        page.wait_for_selector(".ranks figure")
        assert page.locator(".ranks .row").count() == 2
        link = page.url

        menu(page, "Attention")
        page.get_by_text("SSR-Net (GB+AB+RB): M_s").wait_for()
        menu(page, "Scoreboard")
        page.get_by_text("Nothing chosen yet").wait_for()
        menu(page, "Retrieval")
        page.wait_for_selector(".ranks .row")

        field = page.get_by_label("Data folder")
        field.fill("")
        field.press("Enter")
        page.get_by_text("Still missing: a data folder.").wait_for()
        menu(page, "Attention")
        page.get_by_role("heading", name="Attention").wait_for()
        page.get_by_text("Still missing: a data folder.").wait_for()
        page.goto(link)
        page.wait_for_selector(".ranks .row")
        assert page.locator("[data-testid=stException]").count() == 0
        after = tiny.files(project)
    assert {name: after.get(name) for name in before} == before
    assert not (project / "runs").exists(), "an extraction would have kept its features there"


def test_scoreboard_curves_grow_with_the_log(page, server, tmp_path):
    folder = make(tmp_path / "growing", [line(1), line(2, held_back=scored(0.5))], seed=0)
    os.utime(folder / "log.jsonl")  # now, so that the run counts as going on
    page.goto(f"{server}/scoreboard?{urlencode({'runs': str(folder)})}")
    page.get_by_text("training, epoch 2 of 4").wait_for()
    drawn = "[...document.querySelectorAll('.js-plotly-plot')].map(plot => plot.data[0].x.length)"
    page.wait_for_function(f"{drawn}.length === 8 && {drawn}[0] === 2")

    with open(folder / "log.jsonl", "a") as log:
        log.write(json.dumps(line(3)) + "\n" + '{"epoch": 4, "st')
    page.get_by_text("training, epoch 3 of 4").wait_for()
    page.wait_for_function(f"{drawn}.length === 8 && {drawn}[0] === 3")
    assert page.locator("[data-testid=stException]").count() == 0
    assert "growing" in page.url


def test_the_menu_keeps_data_and_models(page, server, city, checkpoints):
    """The server has no demo, so a page without them would say what is missing."""
    shots = {"protocol": "Single-gallery-shot", "seed": "3"}
    page.goto(f"{server}/retrieval?{urlencode({'data': str(city), **checkpoints, **shots})}")
    page.wait_for_selector(".ranks .row")
    for title, there in (
        ("Failures", ".js-plotly-plot"),
        ("Regions", ".grid rect.box"),
        ("Gallery map", ".panel canvas"),
    ):
        menu(page, title)
        page.wait_for_selector(there)
        page.wait_for_url("**data=*")
        assert "protocol=Single-gallery-shot" in page.url and "seed=3" in page.url
    field = page.get_by_label("Data folder")
    field.fill("")
    field.press("Enter")
    page.get_by_text("Still missing: a data folder").wait_for()
    menu(page, "Failures")
    page.get_by_text("Still missing: a data folder").wait_for()


def test_scoreboard_forgets_nothing_of_the_sidebar(page, server, city, checkpoints):
    page.goto(f"{server}/retrieval?{urlencode({'data': str(city), **checkpoints})}")
    page.wait_for_selector(".ranks .row")
    menu(page, "Scoreboard")
    page.get_by_text("Nothing chosen yet").wait_for()
    menu(page, "Retrieval")
    page.wait_for_selector(".ranks .row")
