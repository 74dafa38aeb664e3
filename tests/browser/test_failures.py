"""Failures and Start in a real Chromium: a point opens its query, and a block of the network its page."""

import io
import math
import shutil
import zipfile
from contextlib import suppress
from urllib.parse import urlencode

import pytest

from tests.browser.serving import menu, stand_still

playwright = pytest.importorskip("playwright.sync_api")


POINT = """name => {
  const chart = document.querySelector('.js-plotly-plot'), layout = chart._fullLayout;
  const box = chart.getBoundingClientRect();
  for (const trace of chart._fullData) {
    const at = (trace.customdata || []).findIndex(point => point && point[0] === name);
    if (at >= 0) return [box.left + layout.xaxis._offset + layout.xaxis.d2p(trace.x[at]),
                         box.top + layout.yaxis._offset + layout.yaxis.d2p(trace.y[at])];
  }
}"""
OTHERS = "() => document.querySelector('.js-plotly-plot')._fullData.flatMap(t => (t.customdata || []).map(c => c[0]))"
CHOSEN = "name => document.querySelector('.query-head b')?.textContent === name"


@pytest.fixture
def exchanged(city, tmp_path):
    """Two vehicles whose pictures are exchanged in camera 2, which makes them hard to find; the other two are not."""
    data = shutil.copytree(city, tmp_path / "city")
    for number in (1, 2):
        one, other = (data / f"image_test/{vehicle:04d}_c002_{number:08d}_0.jpg" for vehicle in (6, 7))
        pixels = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(pixels)
    return data


def test_a_point_opens_its_query_here_and_in_retrieval(page, server, exchanged, checkpoints):
    first = "0006_c001_00000000_0.jpg"
    page.goto(
        f"{server}/failures?{urlencode({'data': str(exchanged), **checkpoints, 'query': first, 'failures_show': 'AP against AP'})}"
    )
    page.wait_for_selector(".js-plotly-plot .point")
    page.wait_for_function(CHOSEN, arg=first)
    stand_still(page)
    for _ in range(20):  # until the chart stands still: what is drawn below may still move it
        spots = {name: page.evaluate(POINT, name) for name in page.evaluate(OTHERS)}
        assert len(spots) == 4
        # one that neither a later point nor the first, which is drawn large, covers
        name = next(name for name in reversed(spots) if math.dist(spots[name], spots[first]) > 20)
        page.mouse.move(spots[name][0] - 5, spots[name][1])
        page.mouse.click(*spots[name])
        with suppress(playwright.TimeoutError):
            page.wait_for_function(f"first => !({CHOSEN})(first)", arg=first, timeout=6_000)
            break
    else:
        pytest.fail(f"no click on a point chose it: {spots}")
    name = page.locator(".query-head b").inner_text()
    page.wait_for_url(f"**query={name}*")
    stand_still(page)  # the link below still leads to the first query
    assert page.locator("[data-testid=stException]").count() == 0

    page.get_by_role("link", name="Open this query in Retrieval").click()
    page.wait_for_selector(f'.ranks .query img[alt*="{name}"]')
    assert f"query={name}" in page.url and "data=" in page.url


def test_the_menu_opens_the_largest_loss_with_causes_and_a_sheet_leads_to_its_query(
    page, server, exchanged, checkpoints
):
    current = "0009_c001_00000000_0.jpg"
    page.goto(f"{server}/retrieval?{urlencode({'data': str(exchanged), **checkpoints, 'query': current})}")
    page.wait_for_selector(".ranks .row")
    menu(page, "Failures")
    page.get_by_text("wrong first image").first.wait_for()
    page.locator(".query-head b").wait_for()
    page.wait_for_function(f"name => !({CHOSEN})(name)", arg=current)
    loss = page.locator(".query-head b").inner_text()
    page.wait_for_url(f"**query={loss}*")
    page.get_by_text("Unknown here: sibling").wait_for()
    stand_still(page)

    query = page.locator(".cards .query[data-name]").first
    name = query.get_attribute("data-name")
    query.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(f'.ranks .query img[alt*="{name}"]')
    assert f"query={name}" in page.url and "data=" in page.url


def test_a_deep_link_to_slices_and_the_archive(page, server, city, checkpoints):
    section = {"failures_show": "Slices", "failures_by": "vehicle type", "failures_metric": "Rank-1"}
    page.goto(f"{server}/failures?{urlencode({'data': str(city), **checkpoints, **section})}")
    page.locator(".js-plotly-plot").get_by_text("motorcycle (1)").wait_for()
    stand_still(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="All queries and confusions").click()
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    assert archive.testzip() is None and "queries.csv" in archive.namelist()


def test_a_block_of_the_network_leads_to_its_page(page, server, city, checkpoints):
    page.goto(f"{server}/start?{urlencode({'data': str(city), **checkpoints})}")
    block = page.locator("svg.wide a[data-view=retrieval]")
    block.wait_for()
    stand_still(page)
    assert page.locator("svg.tall").is_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()  # a phone's first visit: the sidebar is closed, which would cover the page
    page.locator("svg.tall").wait_for()
    stand_still(page)
    assert page.locator("svg.wide").is_hidden()
    page.locator("svg.tall a[data-view=retrieval]").click()
    page.wait_for_selector(".ranks .row")
    page.wait_for_url("**/retrieval?*data=*")
