"""No page cuts its text at the end of a line or behind an edge, on a laptop's screen or on a telephone's."""

from urllib.parse import urlencode

import pytest

from app.widgets.page import HOME, VIEWS
from tests.browser.look import WATCH, settle

CUT = """() => {
  const found = [];
  const left = (boxes) => Math.min(...boxes.map((box) => box.left));
  const right = (boxes) => Math.max(...boxes.map((box) => box.right));
  const clips = (node) => node.tagName === 'svg' || getComputedStyle(node).overflowX !== 'visible';
  const parent = (node) => node.parentElement ?? node.getRootNode().host;
  const visit = (root) => { for (const node of root.querySelectorAll('*')) {
    if (node.shadowRoot) visit(node.shadowRoot);
    // Formulas say their text twice, once for screen readers; what is wide by nature scrolls.
    if (node.closest('.katex-mathml, style, script, title')) continue;
    if (node.closest('.katex-display, [data-testid=stDataFrame], .row, .strip, .sheet')) continue;
    const texts = [...node.childNodes].filter((each) => each.nodeType === Node.TEXT_NODE && each.data.trim());
    const boxes = texts.flatMap((text) => {
      const range = document.createRange();
      range.selectNodeContents(text);
      return [...range.getClientRects()].filter((box) => box.width > 2 && box.right > 0);
    });
    if (!boxes.length || !node.checkVisibility({ visibilityProperty: true })) continue;
    for (let at = node; at; at = parent(at)) {
      const box = at.getBoundingClientRect();
      if (box.width > 2 && clips(at) && (left(boxes) < box.left - 1.5 || right(boxes) > box.right + 1.5)) {
        found.push(texts.map((text) => text.data.trim()).join(' '));
        break;
      }
    }
  } };
  visit(document.querySelector('.stMain'));
  return found;
}"""


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_cuts_no_text(page, server, city, checkpoints, view):
    page.set_viewport_size({"width": 1024, "height": 900})
    page.goto(f"{server}/{'' if view == HOME else view}?{urlencode({'data': str(city), **checkpoints})}")
    page.get_by_test_id("stHeading").get_by_role("heading", name=VIEWS[view].title, exact=True).wait_for()
    for width in (1024, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(WATCH)
        settle(page)
        assert page.evaluate(CUT) == [], width
        assert page.evaluate("document.querySelector('.stMain').scrollWidth <= window.innerWidth"), width
