"""Retrieval in a real Chromium: click a hit, read why, by mouse and by keyboard; the sheets as files; on a phone."""

import re
import zipfile
from urllib.parse import urlencode

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.serving import WIDER, listed, stand_still

QUERY, OTHER = "0008_c001_00000000_0.jpg", "0007_c002_00000001_0.jpg"


@pytest.fixture
def address(server, city, checkpoints):
    return f"{server}/retrieval?{urlencode({'data': str(city), 'query': QUERY, **checkpoints})}"


def open_retrieval(page, address, **url):
    page.goto(f"{address}&{urlencode(url)}" if url else address)
    page.wait_for_selector(".ranks .row")
    stand_still(page)


def test_a_click_on_a_hit_says_why_and_stands_in_the_url(page, address):
    open_retrieval(page, address)
    figure = page.locator(".ranks .row").nth(1).locator("[role=button]").nth(1)
    name = figure.get_attribute("data-name")
    figure.click()
    page.get_by_role("heading", name="Why this match?").wait_for()
    page.get_by_text("Nodes of the two images").wait_for()
    expect(page.locator(".maps img")).to_have_count(4)
    page.locator(f'.ranks [data-name="{name}"][aria-pressed=true]').first.wait_for()
    stand_still(page)
    assert f"match={name}" in page.url
    link = page.url
    page.get_by_role("button", name="Close").click()
    page.get_by_role("heading", name="Why this match?").wait_for(state="detached")
    assert "match=" not in page.url

    page.goto("about:blank")
    page.goto(link)
    page.get_by_role("heading", name="Why this match?").wait_for()
    stand_still(page)
    # another query has other neighbours: its panel is not open
    page.get_by_role("button", name="0009 · c001").first.click()
    page.wait_for_selector('.ranks .query img[alt*="vehicle 0009"]')
    page.get_by_text("Click an image, or reach it with Tab").wait_for()
    stand_still(page)
    assert "match=" not in page.url
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_match_cell_by_cell(page, address):
    """A link opens the panel in view below the rows; pointer and arrows choose a cell; Escape closes it."""
    open_retrieval(page, address, match=OTHER)
    stages = page.locator(".microscope .stage")
    stages.nth(2).wait_for()
    stand_still(page)
    page.wait_for_function("document.querySelector('.stMain').scrollTop > 0")
    # the page glides there
    page.wait_for_function(
        "(({ top }) => 0 < top && top < 430)(document.querySelector('.st-key-match_panel').getBoundingClientRect())"
    )
    said = page.locator(".microscope output")
    stages.first.hover()  # which waits until it has come there
    box = stages.first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + box["height"] * 0.01)
    expect(said).to_have_text(re.compile(r"Query, row 1, column (\d+) of \d+ × \1 cells"))
    corner = re.search(r"Query, row 1, column (\d+) of \d+ × \d+ cells", said.inner_text())
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    assert corner[0] in said.inner_text()  # a click holds the cell
    stages.first.focus()
    page.keyboard.press("ArrowDown")
    expect(said).to_contain_text(f"Query, row 2, column {corner[1]}")
    stages.nth(1).focus()
    page.keyboard.press("ArrowLeft")
    expect(said).to_have_text(re.compile("^This image, row .*Query answers most at row"))
    assert "First true match" not in said.inner_text()
    page.keyboard.press("Escape")
    page.get_by_role("heading", name="Why this match?").wait_for(state="detached")
    assert "match=" not in page.url and page.locator("[data-testid=stException]").count() == 0


def test_rows_and_gallery_by_keyboard(page, address):
    open_retrieval(page, address)
    first = page.locator('.ranks [data-at="0.0"]')
    first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    focused = page.locator('.ranks [data-at="1.2"]')
    name = focused.get_attribute("data-name")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Why this match?").wait_for()
    assert f"match={name}" in page.url
    stand_still(page)

    page.locator(".grid button[aria-pressed=true]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector('.ranks .query img[alt*="vehicle 0009"]')
    assert "query=0009_c001" in page.url


def test_a_switch_moves_the_focus_to_the_first_hit(page, address):
    open_retrieval(page, address)
    page.get_by_text("Jump to the first hit").click()
    page.locator(".ranks figure:focus").wait_for()
    stand_still(page)
    focused = page.locator(".ranks figure:focus")
    assert focused.locator("i").inner_text() == "first hit" and "hit" in focused.get_attribute("class")
    assert "first_hit=true" in page.url
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Why this match?").wait_for()


def test_fig_5_is_exported_at_print_size(page, address):
    open_retrieval(page, address)
    page.get_by_role("button", name="Fig. 5").click()
    page.wait_for_selector('[data-testid=stImage] img[alt*="As the paper"]')
    stand_still(page)
    assert "sheet=fig5" in page.url and page.get_by_role("button", name="Fig. 6").is_disabled()
    page.get_by_role("button", name="Export").last.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").click()
    image = Image.open(download.value.path())
    assert image.width / 300 * 25.4 == pytest.approx(180, abs=0.1)
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_the_figure_builder_draws_what_is_chosen_and_gives_latex(page, address):
    open_retrieval(page, address)
    page.get_by_role("button", name="Figure of this ranking").click()
    figure = page.locator('[data-testid=stImage] img[alt*="top-5 of 4 queries, cross-camera"]')
    figure.wait_for()
    stand_still(page)
    page.get_by_role("spinbutton", name="Images listed").fill("3")
    page.keyboard.press("Enter")
    figure = page.locator('[data-testid=stImage] img[alt*="top-3 of 4 queries"]')
    figure.wait_for()
    stand_still(page)
    page.get_by_test_id("stButtonGroup").get_by_text("85 mm", exact=True).click()
    page.get_by_text("Printed size 85 ×").wait_for()
    page.wait_for_function("document.querySelector('[data-testid=stImage] img[alt*=\"top-3\"]')?.naturalWidth < 700")
    stand_still(page)
    # twice 85 mm, in CSS pixels
    assert figure.bounding_box()["width"] == pytest.approx(2 * 85 / 25.4 * 96, abs=3)
    assert "sheet=page" in page.url and "sheet_k_page=3" in page.url and "sheet_width=85+mm" in page.url
    with page.expect_download() as download:
        page.get_by_role("button", name="LaTeX").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        (tex,) = (name for name in archive.namelist() if name.endswith(".tex") and name != "document.tex")
        assert "width=85mm" in archive.read(tex).decode()
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.locator('[data-testid=stImage] img[alt*="top-3 of 4 queries"]').wait_for()


def test_on_a_phone_nothing_is_clipped(page, address):
    page.set_viewport_size({"width": 390, "height": 844})
    open_retrieval(page, address, match=OTHER, top_k="10")
    page.get_by_text("Nodes of the two images").wait_for()
    stand_still(page)
    assert listed(page, WIDER) == []
    boxes = [picture.bounding_box() for picture in page.locator(".maps figure").all()]
    assert len(boxes) == 4 and all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)


@pytest.mark.parametrize("width", (1440, 1024, 390))
def test_all_twenty_ranks_are_on_the_page(page, server, city, checkpoints, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{server}/retrieval?{urlencode({'data': str(city), 'top_k': 20, **checkpoints})}")
    page.locator(".ranks figure").last.wait_for()
    stand_still(page)
    right = page.evaluate("document.querySelector('[data-testid=stMain]').getBoundingClientRect().right")
    for row in page.locator(".ranks .row").all():
        assert row.evaluate("row => row.scrollWidth <= row.clientWidth")
        boxes = [figure.bounding_box() for figure in row.locator("figure").all()]
        assert all(box["width"] > 48 and box["x"] + box["width"] <= right for box in boxes)
