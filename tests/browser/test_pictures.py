"""No page cuts a photograph: portraits, panoramas and squares, in Chromium."""

import io
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from tests.browser.look import WATCH, settle
from tests.tiny import edges_shown, shapes

QUERY = "v0c1.png"
SHOWN = {
    "retrieval": (".ranks img", ".grid img"),
    "failures": (".query-head img", ".panel img"),
    "attention": (".sheet th .picture",),
    "story": (".tiles img",),
}
"""By page, what shows photographs and no maps."""
STRETCHED = """() => {
  const roots = [document], bad = [];
  for (const root of roots) for (const each of root.querySelectorAll('*')) if (each.shadowRoot) roots.push(each.shadowRoot);
  for (const image of roots.flatMap((root) => [...root.querySelectorAll('img')])) {
    const style = getComputedStyle(image), width = image.clientWidth, height = image.clientHeight;
    const fits = style.objectFit === 'contain' || Math.abs(width / height / (image.naturalWidth / image.naturalHeight) - 1) < 0.06;
    if (width && image.alt && !fits) bad.push(`${image.alt}: ${style.objectFit} ${width} x ${height}`);
  }
  return bad;
}"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return shapes(tmp_path_factory.mktemp("shapes"))


@pytest.mark.parametrize("view", SHOWN)
def test_photographs_are_whole(page, server, data, checkpoints, view):
    page.goto(f"{server}/{view}?{urlencode({'data': str(data), 'query': QUERY, **checkpoints})}")
    for selector in SHOWN[view]:
        page.locator(selector).last.wait_for()
    page.evaluate(WATCH)
    settle(page)  # whatever is drawn above a picture moves it while its screenshot is taken
    for selector in SHOWN[view]:
        for picture in page.locator(selector).all():
            picture.scroll_into_view_if_needed()
            pixels = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB"))
            name = picture.get_attribute("aria-label") or picture.get_attribute("alt")
            assert edges_shown(pixels) == 4, f"{selector}: {name}"
    assert page.evaluate(STRETCHED) == []
