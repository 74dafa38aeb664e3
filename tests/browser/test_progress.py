"""Progress bars in Chromium: *Cancel* ends the work, on a page and in a fragment; an error removes bar and button."""

import os
import time
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from tests import tiny
from tests.browser.serving import serving, stand_still

COPIES = 300
SECONDS = 30
"""Limit from *Cancel* to its effect on a busy machine; the work itself takes longer."""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def server(project):
    with serving(project) as address:
        yield address


@pytest.fixture
def slow_city(tmp_path):
    """The tiny city with a gallery that takes a minute to embed: many links to one large photograph.

    Each test has another photograph: embeddings of an earlier test would leave no bar.
    """
    root = tiny.city(tmp_path / "slow")
    large = root / "image_test/0009_c001_00009999_0.jpg"
    pixels = np.random.default_rng().integers(0, 255, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((3600, 3600)).save(large, quality=95)
    for number in range(COPIES):
        os.link(large, large.with_name(f"0009_c{number % 5 + 1:03d}_{number:08d}_1.jpg"))
    return root


def cancel(page, label):
    """Waits for the bar, clicks Cancel and returns the seconds until the page says so."""
    page.get_by_text(f"{label}: about").wait_for()
    time.sleep(1)  # in the middle of the work
    began = time.monotonic()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text(f"{label}: cancelled.").wait_for()
    took = time.monotonic() - began
    # The sentence is drawn before what stood there in the run before is taken away.
    page.get_by_role("button", name="Cancel").wait_for(state="detached")
    page.locator("[data-testid=stProgress]").wait_for(state="detached")
    return took


def test_cancel_on_regions_whose_work_is_in_a_fragment(page, server, project, slow_city, checkpoints):
    label = "Cutting the gallery's regions at every λ"
    page.goto(f"{server}/regions?{urlencode({'data': str(slow_city), **checkpoints})}")
    page.get_by_text("Rank the gallery at this λ").click()
    assert cancel(page, label) < SECONDS
    page.get_by_role("button", name="Start again").click()
    assert cancel(page, label) < SECONDS
    assert not (project / "runs/graphs").exists(), "the work went on to its end"


def test_cancel_on_a_whole_page(page, server, slow_city, checkpoints):
    page.goto(f"{server}/retrieval?{urlencode({'data': str(slow_city), **checkpoints})}")
    assert cancel(page, "Embedding the test images with Baseline (GB)") < SECONDS


@pytest.mark.parametrize("view", ["retrieval", "regions"])
def test_an_error_removes_the_bar_and_the_button(page, server, slow_city, checkpoints, view):
    for path in sorted((slow_city / "image_test").glob("*_1.jpg"))[12:]:
        path.unlink()
    broken = max((slow_city / "image_test").iterdir())
    broken.write_bytes(b"no picture")
    page.goto(f"{server}/{view}?{urlencode({'data': str(slow_city), **checkpoints})}")
    if view == "regions":
        page.get_by_text("Rank the gallery at this λ").click()
    page.locator("[data-testid=stAlert]").get_by_text(broken.name).wait_for()
    stand_still(page)
    assert page.get_by_role("button", name="Cancel").count() == 0
    assert page.locator("[data-testid=stProgress]").count() == 0
    assert page.locator("[data-testid=stException]").count() == 0
