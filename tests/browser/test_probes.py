"""The Probes page in a real Chromium: a click on a point of a series makes it the reference."""

from urllib.parse import urlencode

from tests.app.test_probes import probed  # noqa: F401
from tests.browser.look import WATCH, settle


def test_a_clicked_point_becomes_the_reference(page, server, probed, checkpoints):  # noqa: F811
    page.goto(f"{server}/probes?{urlencode({'data': str(probed), **checkpoints})}")
    page.locator(".js-plotly-plot .scatterlayer .points path").first.wait_for()
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot image').length === 3")
    page.evaluate(WATCH)
    settle(page)
    points = page.locator(".js-plotly-plot .scatterlayer .trace").first.locator(".points path")
    place = points.nth(2).bounding_box()
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.get_by_text("Reference: 30 deg").wait_for()
    page.wait_for_url("**probes_reference_turn=30*")
    assert page.locator("[data-testid=stException]").count() == 0
