"""The Graph page in Chromium: a click on a node or an edge in the drawing changes token and ranks."""

from urllib.parse import urlencode

from playwright.sync_api import expect

from tests.browser.serving import stand_still


def test_nodes_and_edges_are_switched_in_the_drawing(page, server, city, checkpoints):
    page.goto(f"{server}/graph?{urlencode({'data': str(city), **checkpoints})}")
    page.wait_for_selector("g.node")
    assert page.locator("g.node").count() == 7 and page.locator("g.edge").count() == 14
    expect(page.locator(".ranks .row")).to_have_count(1)
    stand_still(page)

    node = page.locator('g.node[data-name="ul"]')
    node.locator("circle").click()
    page.get_by_text("Edited: without ul").wait_for()
    expect(page.locator(".ranks .row")).to_have_count(2)
    stand_still(page)
    assert node.get_attribute("aria-checked") == "false"
    assert page.locator("g.edge.gone").count() == 4, "two corners, the middle and the token"
    edge = page.locator('g.edge[data-name="ul-mid"]')
    assert edge.get_attribute("aria-label") == "edge upper left - middle, off with upper left"
    assert edge.locator("line").first.evaluate("line => getComputedStyle(line).strokeDasharray") != "none"
    page.get_by_text("Asymmetric: the query's graph is edited").wait_for()

    page.locator('g.edge[data-name="global-token"]').focus()
    page.keyboard.press("Enter")
    page.get_by_text("Edited: without ul, without edge global-token").wait_for()
    assert "graph_off=ul" in page.url and "graph_cut=global-token" in page.url

    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.get_by_text("Edited: without ul, without edge global-token").wait_for()
    stand_still(page)
    page.get_by_role("button", name="All on").click()
    page.get_by_text("Unedited: cosines").wait_for()
    stand_still(page)
    assert page.locator("g.edge.gone, g.edge.pale").count() == 0

    canvas = page.locator(".panel canvas").first
    canvas.hover()  # which waits until the page no longer moves
    box = canvas.bounding_box()
    for y in range(4, int(box["height"]), 12):  # PCA's points span the width or the height, so some row meets one
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + y)
        page.mouse.move(box["x"] + 18, box["y"] + y)
        if page.locator(".tip canvas").count():
            break
    page.wait_for_selector(".tip canvas")
    assert page.locator("[data-testid=stException]").count() == 0
