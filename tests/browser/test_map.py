"""The Gallery map in Chromium: a lasso selects, the selection gets a tag, and the file is saved and loaded again."""

import json
from urllib.parse import urlencode


def test_a_lasso_selects_and_the_selection_is_tagged_saved_and_loaded(page, server, city, checkpoints, tmp_path):
    link = f"{server}/map?{urlencode({'data': str(city), **checkpoints})}"
    page.goto(link)
    page.wait_for_selector(".panel canvas")
    assert page.locator(".panel canvas").count() == 2
    canvas = page.locator(".panel canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    corners = [(3, 3), (box["width"] - 3, 3), (box["width"] - 3, box["height"] - 3), (3, box["height"] - 3)]
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=4)
    page.mouse.up()
    page.get_by_text("Selected: 12").wait_for()
    page.wait_for_selector(".grid img")
    assert page.locator(".grid img").count() == 12

    page.get_by_label("Tag for the selection").fill("all of them")
    page.get_by_role("button", name="Tag", exact=False).first.click()
    page.get_by_text("all of them (12)").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save tags and views").click()
    path = tmp_path / "notes.json"
    download.value.save_as(path)
    assert len(json.loads(path.read_text())["tags"]["all of them"]) == 12

    page.goto("about:blank")
    page.goto(link)  # a new session
    page.get_by_text("No tags yet").wait_for()
    page.locator("input[type=file]").set_input_files(path)
    page.get_by_text("all of them (12)").wait_for()
    foreign = tmp_path / "foreign.json"
    foreign.write_text(path.read_text().replace('"dataset_hash": "', '"dataset_hash": "other'))
    page.locator("input[type=file]").set_input_files(foreign)
    page.get_by_text("belongs to the data set").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0
