"""The Regions page in a real Chromium: boxes follow the hand, the rest is painted once it lets go."""

import re
from urllib.parse import urlencode

from playwright.sync_api import expect

from tests.browser.serving import stand_still


def boxes(page) -> list[str]:
    """Left edge and width of each box on the feature map, as drawn."""
    return page.eval_on_selector_all(
        ".grid rect.box", "all => all.map(box => box.getAttribute('x') + ' ' + box.getAttribute('width'))"
    )


def test_boxes_follow_the_hand_and_ranks_and_url_when_it_lets_go(page, server, city, checkpoints):
    page.goto(f"{server}/regions?{urlencode({'data': str(city), **checkpoints})}")
    page.get_by_text("Rank the gallery at this λ").click()
    page.get_by_text("λ = 0.667, as trained").wait_for()
    expect(page.locator(".ranks .row")).to_have_count(1)
    stand_still(page)
    trained = boxes(page)
    slider = page.get_by_label("Crop ratio λ")
    slider.hover()  # which waits until the page no longer moves
    place = slider.bounding_box()
    y = place["y"] + place["height"] / 2
    page.mouse.move(place["x"] + 0.55 * place["width"], y)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] - 1, y, steps=5)
    expect(page.locator("output"), "while the button is still down").to_have_text(re.compile("^λ = 1"))
    assert boxes(page) != trained and len(boxes(page)) == 5
    assert "regions_lambda=0.667" in page.url
    page.mouse.up()
    page.get_by_text("λ = 1 at test time, query and gallery").wait_for()
    page.wait_for_url("**regions_lambda=1.000*")
    stand_still(page)

    slider.press("Home")
    page.get_by_text("Top-5 at λ = 0.25").wait_for()
    stand_still(page)
    page.get_by_role("button", name="2/3").click()
    page.get_by_text("These are the boxes that").wait_for()
    stand_still(page)
    assert boxes(page) == trained
    assert page.locator("[data-testid=stException]").count() == 0
