"""Scoreboard's verdict in a real Chromium: a fixed query leads to Retrieval, runs unfold, the sheet is downloaded."""

import pytest

from tests.browser.serving import REPOSITORY, serving, stand_still


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The app on the repository's demo."""
    project = tmp_path_factory.mktemp("project")
    for name in ("assets", "checkpoints"):
        (project / name).symlink_to(REPOSITORY / name)
    with serving(project) as server:
        yield server


def test_the_verdict_leads_on(page, demo):
    page.goto(f"{demo}/scoreboard")
    page.get_by_text("SSR-Net finds more of each vehicle's images (mAP +7.6, 5.9 to 9.1)").wait_for()
    assert page.locator(".metrics tr.difference th").inner_text() == "SSR-Net − Baseline"

    stand_still(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="This comparison to take along (PDF)").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")

    page.get_by_text("Curves", exact=True).wait_for()
    stand_still(page)
    page.get_by_text("Training runs", exact=True).first.click()
    page.get_by_text("Held-back mAP").first.wait_for()
    page.wait_for_function(
        "[...document.querySelectorAll('[data-testid=stExpander] .js-plotly-plot')]"
        ".filter(plot => plot.getBoundingClientRect().width > 400).length >= 8"
    )

    stand_still(page)
    query = page.locator(".cards figure.query").first
    name = query.get_attribute("data-name")
    query.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".ranks .row")
    assert f"query={name}" in page.url and "/retrieval" in page.url


@pytest.mark.parametrize("view", ["", "retrieval", "failures", "scoreboard"])
def test_the_table_fits_on_a_small_screen(page, demo, view):
    page.set_viewport_size({"width": 1024, "height": 800})  # where the sidebar leaves the least room
    page.goto(f"{demo}/{view}?align=true")
    page.locator(".metrics tr.difference").nth(1).wait_for()
    for width in (1024, 390):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(
            "(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.querySelector('.metrics'))"
        )
