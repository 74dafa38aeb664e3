"""The Gallery map in Chromium: selections, tags and their file; points that move from raw to aligned."""

import json
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.serving import NOTHING_RUNS, PATIENCE, stand_still


def test_a_lasso_selects_and_the_selection_is_tagged_saved_and_loaded(page, server, city, checkpoints, tmp_path):
    link = f"{server}/map?{urlencode({'data': str(city), **checkpoints})}"
    page.goto(link)
    page.wait_for_selector(".panel canvas")
    assert page.locator(".panel canvas").count() == 2
    lasso(page, 0, AROUND)
    page.get_by_text("Selected: 12").wait_for()
    expect(page.locator(".st-key-map_pictures .grid img")).to_have_count(12)

    stand_still(page)
    page.get_by_label("Tag for the selection").fill("all of them")
    page.get_by_role("button", name="Tag", exact=False).first.click()
    page.get_by_text("all of them (12)").wait_for()
    stand_still(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save tags and views").click()
    path = tmp_path / "notes.json"
    download.value.save_as(path)
    assert len(json.loads(path.read_text())["tags"]["all of them"]) == 12

    page.goto("about:blank")
    page.goto(link)  # a new session
    page.get_by_text("No tags yet").wait_for()
    stand_still(page)
    page.locator("input[type=file]").set_input_files(path)
    page.get_by_text("all of them (12)").wait_for()
    stand_still(page)
    foreign = tmp_path / "foreign.json"
    foreign.write_text(path.read_text().replace('"dataset_hash": "', '"dataset_hash": "other'))
    page.locator("input[type=file]").set_input_files(foreign)
    page.get_by_text("belongs to the data set").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


def lasso(page, panel: int, corners, halfway=lambda: None) -> None:
    """Drags along these corners of a panel, given as shares of its width and height."""
    stand_still(page)
    canvas = page.locator(".panel canvas").nth(panel)
    canvas.hover()  # which waits until the page no longer moves
    box = canvas.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for at, place in enumerate(places[1:], 1):
        page.mouse.move(*place, steps=5)
        if 2 * at == len(places):
            halfway()
    page.mouse.up()


AROUND = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)]


def test_a_lasso_closes_on_itself_and_a_click_is_a_short_path(page, server, city, checkpoints):
    page.goto(f"{server}/map?{urlencode({'data': str(city), **checkpoints})}")
    page.wait_for_selector(".panel canvas")
    lasso(page, 0, [*AROUND, AROUND[0]])  # ends where it began
    page.get_by_text("Selected: 12").wait_for()
    lasso(page, 1, [AROUND[0]])
    page.get_by_text("Selected: 0").wait_for()
    lasso(page, 1, AROUND)  # left open
    page.get_by_text("Selected: 12").wait_for()


def test_zoomed_in_pictures_stand_for_points_and_a_click_lists_neighbours(page, server, city, checkpoints):
    page.goto(f"{server}/map?{urlencode({'data': str(city), **checkpoints})}")
    page.wait_for_selector(".panel canvas")
    for _ in range(3):
        page.get_by_role("button", name="Zoom to the query").press("Enter")
    for _ in range(PATIENCE // 200):  # the canvas is another one once the pictures have come
        page.wait_for_timeout(200)
        if colours(page, 0) > 1000:
            break
    else:
        pytest.fail("no picture came")
    lasso(page, 0, [(0.5, 0.5)])
    page.get_by_text("Selected: 1").wait_for()
    page.get_by_text("Nearest to").wait_for()
    expect(page.locator(".ranks .query img"), "a row a model").to_have_count(2)
    page.wait_for_url("**selected=*")
    link = page.url
    page.goto("about:blank")
    page.goto(link)  # in a new session
    page.get_by_text("Selected: 1").wait_for()


def test_a_lasso_goes_on_while_the_page_runs_again(page, server, city, checkpoints):
    page.goto(f"{server}/map?{urlencode({'data': str(city), **checkpoints})}")
    page.wait_for_selector(".panel canvas")
    features = page.get_by_test_id("stButtonGroup").get_by_text("G", exact=True)

    def run_again():
        features.evaluate("button => button.click()")
        page.wait_for_function(f"!({NOTHING_RUNS})")
        stand_still(page)

    lasso(page, 0, AROUND, halfway=run_again)
    page.get_by_text("Selected: 12").wait_for()


def colours(page, panel: int) -> int:
    """How many colours a panel shows: few of points and their edges, thousands of photographs."""
    count = """(canvas) => {
      if (!canvas.width) return 0;  // a new one, not yet painted
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    }"""
    return page.locator(".panel canvas").nth(panel).evaluate(count)


def as_painted(page, panel: int) -> str:
    """The pixels of a panel."""
    return page.locator(".panel canvas").nth(panel).evaluate("(canvas) => canvas.toDataURL()")


def test_points_move_from_raw_to_aligned(page, server, city, checkpoints):
    page.goto(f"{server}/map?{urlencode({'data': str(city), **checkpoints, 'align': 'true'})}")
    slider, play = page.get_by_label("From raw to aligned"), page.locator(".motion button")
    slider.wait_for()
    stand_still(page)
    raw, aligned = as_painted(page, 0), as_painted(page, 1)
    assert raw != aligned and slider.input_value() == "1"
    slider.press("Home")
    assert as_painted(page, 1) == raw, "both panels have one frame, and the points stand where they come from"
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "1% of the way from raw to aligned"
    assert as_painted(page, 1) not in (raw, aligned)

    slider.press("End")
    moved = page.locator(".panel canvas").nth(1)
    for _ in range(2):  # it can be repeated
        play.press("Enter")
        moves = "([button, canvas, aligned]) => button.textContent === 'Pause' && canvas.toDataURL() !== aligned"
        page.wait_for_function(moves, arg=[play.element_handle(), moved.element_handle(), aligned])
        page.wait_for_function("(button) => button.textContent === 'Play'", arg=play.element_handle())
        assert slider.input_value() == "1" and as_painted(page, 1) == aligned
    assert as_painted(page, 0) == raw, "the raw panel stands still"


def test_the_motion_pauses_and_goes_on(page, server, city, checkpoints):
    page.goto(f"{server}/map?{urlencode({'data': str(city), **checkpoints, 'align': 'true'})}")
    slider, play = page.get_by_label("From raw to aligned"), page.locator(".motion button")
    slider.wait_for()
    stand_still(page)
    play.click()
    page.wait_for_function("(slider) => slider.value > 0.1 && slider.value < 1", arg=slider.element_handle())
    play.press("Enter")  # at once: a click would wait until the button stands still
    paused = float(slider.input_value())
    page.wait_for_timeout(300)
    assert 0.1 < float(slider.input_value()) == paused < 1
    play.click()
    page.wait_for_timeout(100)
    assert float(slider.input_value()) >= paused, "not from the start"


def test_reduced_motion_jumps(page, server, city, checkpoints):
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{server}/map?{urlencode({'data': str(city), **checkpoints, 'align': 'true'})}")
    play = page.locator(".motion button")
    play.wait_for()
    stand_still(page)
    raw, aligned = as_painted(page, 0), as_painted(page, 1)
    for label, painted in (("Show raw", raw), ("Show aligned", aligned), ("Show raw", raw)):
        assert play.text_content() == label
        play.click()
        assert as_painted(page, 1) == painted


def test_the_exports_stand_beside_the_csv_and_are_drawn_once_opened(page, server, city, checkpoints):
    page.goto(f"{server}/map?{urlencode({'data': str(city), **checkpoints})}")
    page.wait_for_selector(".panel canvas")
    stand_still(page)
    export = page.get_by_role("button", name="Export")
    left, right = export.bounding_box(), page.get_by_role("button", name="CSV").bounding_box()
    assert 0 < right["x"] - left["x"] < 200 and abs(right["y"] - left["y"]) < 20
    expect(page.get_by_role("button", name="SVG")).to_have_count(0)
    export.click()
    expect(page.get_by_role("button", name="SVG")).to_be_visible()
