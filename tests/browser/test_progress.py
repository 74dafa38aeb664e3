"""Bars in a real Chromium: *Cancel* ends work under way, on a whole page and in a fragment, and an error removes both."""

import os
import time
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from tests import tiny
from tests.browser.test_app import browser, page, serving  # noqa: F401

COPIES = 300
SECONDS = 30
"""The most that may pass between *Cancel* and its effect on a busy machine; the work itself takes longer."""


@pytest.fixture
def slow_city(tmp_path):
    """The tiny city with a gallery that takes a minute to embed: many links to one large photograph."""
    root = tiny.city(tmp_path / "slow")
    large = root / "image_test/0009_c001_00009999_0.jpg"
    pixels = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((3600, 3600)).save(large, quality=95)
    for number in range(COPIES):
        os.link(large, large.with_name(f"0009_c{number % 5 + 1:03d}_{number:08d}_1.jpg"))
    return root


@pytest.fixture
def project(tmp_path):
    """A folder of its own: what one test embeds would spare the next its bar."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def cancel(page, label):  # noqa: F811
    """Waits for the bar, clicks Cancel and returns the seconds until the page says so."""
    page.get_by_text(f"{label}: about").wait_for()
    time.sleep(1)  # in the midst of the work
    began = time.monotonic()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text(f"{label}: cancelled.").wait_for()
    took = time.monotonic() - began
    assert page.get_by_role("button", name="Cancel").count() == 0
    assert page.locator("[data-testid=stProgress]").count() == 0
    return took


def test_cancel_on_regions_whose_work_is_in_a_fragment(page, project, slow_city, checkpoints):  # noqa: F811
    label = "Cutting the gallery's regions at every λ"
    with serving(project) as server:
        page.goto(f"{server}/regions?{urlencode({'data': str(slow_city), **checkpoints})}")
        page.get_by_text("Rank the gallery at this λ").click()
        took = cancel(page, label)
        print(f"regions: {took:.2f} s")
        assert took < SECONDS
        page.get_by_role("button", name="Start again").click()
        took = cancel(page, label)
        print(f"regions, again: {took:.2f} s")
        assert took < SECONDS
    assert not (project / "runs/graphs").exists(), "the work went on to its end"


def test_cancel_on_a_whole_page(page, project, slow_city, checkpoints):  # noqa: F811
    with serving(project) as server:
        page.goto(f"{server}/retrieval?{urlencode({'data': str(slow_city), **checkpoints})}")
        took = cancel(page, "Embedding the test images with Baseline (GB)")
        print(f"retrieval: {took:.2f} s")
        assert took < SECONDS


@pytest.mark.parametrize("view", ["retrieval", "regions"])
def test_an_error_removes_the_bar_and_the_button(page, project, slow_city, checkpoints, view):  # noqa: F811
    for path in sorted((slow_city / "image_test").glob("*_1.jpg"))[12:]:
        path.unlink()
    broken = max((slow_city / "image_test").iterdir())
    broken.write_bytes(b"no picture")
    with serving(project) as server:
        page.goto(f"{server}/{view}?{urlencode({'data': str(slow_city), **checkpoints})}")
        if view == "regions":
            page.get_by_text("Rank the gallery at this λ").click()
        page.locator("[data-testid=stAlert]").get_by_text(broken.name).wait_for()
        assert page.get_by_role("button", name="Cancel").count() == 0
        assert page.locator("[data-testid=stProgress]").count() == 0
        assert page.locator("[data-testid=stException]").count() == 0
