"""Every page: no text is cut at the end of a line or behind an edge, on a laptop's screen or on a telephone's, none is too pale to
read; every picture says in words what it shows."""

from urllib.parse import urlencode

import pytest

from app.widgets.page import HOME, VIEWS
from tests.browser.look import WATCH, settle
from tests.browser.serving import WIDER, listed, stand_still

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
    if (node.closest('.katex-display, [data-testid=stDataFrame], .row, .strip, .sheet, .study')) continue;
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

WITHOUT_WORDS = """() => {
  const found = [];
  const named = (node) => node.getAttribute('aria-hidden') === 'true' || node.alt || node.getAttribute('aria-label');
  const parent = (node) => node.parentElement ?? node.getRootNode().host;
  const visit = (root) => { for (const node of root.querySelectorAll('*')) {
    if (node.shadowRoot) visit(node.shadowRoot);
    if (!node.matches('img, svg, canvas') || node.id === 'js-plotly-tester' || node.closest('.katex, [data-testid=stDataFrame]')) continue;
    if (!node.checkVisibility({ visibilityProperty: true }) || (node.matches('svg') && !node.childElementCount)) continue;
    let at = node;
    // What stands around a picture may say it: a figure, a button, a link, a drawing's group.
    while (at && !(named(at) && (at === node || at.matches('a, button, [role], figure')))) at = parent(at);
    if (!at) found.push(node.outerHTML.slice(0, 90) + ' in ' + parent(node).outerHTML.slice(0, 120));
  } };
  visit(document);
  return found;
}"""
PALE = r"""() => {
  const found = [];
  const parent = (node) => node.parentElement ?? node.getRootNode().host;
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => {
    const v = c[i] / 255;
    return sum + share * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  }, 0);
  const visit = (root) => { for (const node of root.querySelectorAll('*')) {
    if (node.shadowRoot) visit(node.shadowRoot);
    // Words in a drawing lie on its shapes, a slider's number beside the thumb that it belongs to; icons are no words.
    if (node.closest('svg, style, script, .katex-mathml, :disabled, [aria-disabled=true], [data-testid=stSlider], '
      + '[data-testid=stIconMaterial]')) continue;
    const text = [...node.childNodes].filter((each) => each.nodeType === Node.TEXT_NODE).map((each) => each.data).join('').trim();
    if (!/[\p{L}\p{N}]/u.test(text) || !node.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    let opacity = 1;
    const grounds = [];
    for (let at = node; at; at = parent(at)) {
      const style = getComputedStyle(at);
      opacity *= style.opacity;
      grounds.unshift(rgba(style.backgroundColor));
    }
    const ground = grounds.reduce((below, top) => over(top, below), [255, 255, 255, 1]);
    const style = getComputedStyle(node), colour = rgba(style.color);
    colour[3] *= opacity;
    const [low, high] = [light(over(colour, ground)), light(ground)].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05), large = parseFloat(style.fontSize) >= 24;
    if (contrast < (large ? 3 : 4.48)) found.push(`${text}: ${contrast.toFixed(2)} ${style.color} on ${ground}`);
  } };
  visit(document.querySelector('.stApp'));
  return found;
}"""
PARTS = [(view, {}) for view in VIEWS]
PARTS += [("story", {"stage": str(stage)}) for stage in range(2, 11)]
PARTS += [("learning", {"learning_part": part}) for part in ("A recorded run", "AP, mAP, CMC")]


@pytest.mark.parametrize(("view", "url"), PARTS)
def test_a_page_cuts_no_text_and_describes_its_pictures(page, server, city, checkpoints, view, url):
    page.set_viewport_size({"width": 1024, "height": 900})
    page.goto(f"{server}/{'' if view == HOME else view}?{urlencode({'data': str(city), **checkpoints, **url})}")
    page.get_by_test_id("stHeading").get_by_role("heading", name=VIEWS[view].title, exact=True).wait_for()
    for width in (1024,) if url else (1024, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(WATCH)
        settle(page)
        assert listed(page, CUT) == [], width
        assert listed(page, WITHOUT_WORDS) == []
        assert listed(page, WIDER) == [], width
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function(
            "(theme) => getComputedStyle(document.querySelector('.stApp')).colorScheme === theme", arg=theme
        )
        assert listed(page, PALE) == [], f"{theme}: WCAG 2 asks for a contrast of 4.5"


def test_the_sidebars_picture_is_small_rank_labels_break_at_their_parts_and_the_focus_is_outlined(
    page, server, city, checkpoints
):
    page.set_viewport_size({"width": 1024, "height": 900})
    page.goto(f"{server}/failures?{urlencode({'data': str(city), **checkpoints})}")
    photo = page.locator(".query-photo img")
    photo.wait_for()
    assert photo.bounding_box()["height"] <= 120 and photo.get_attribute("alt").startswith("Query: ")
    page.locator(".image-rows.panel figcaption").first.wait_for()
    stand_still(page)
    lines = page.locator(".image-rows.panel figcaption").evaluate_all(
        """(all) => all.map((each) => [each.innerText.split('\\n').length,
          Math.round(each.getBoundingClientRect().height / parseFloat(getComputedStyle(each).lineHeight))])"""
    )
    assert lines and all(parts == drawn for parts, drawn in lines), lines
    page.keyboard.press("Tab")  # so that the focus is shown as a keyboard's
    link = page.get_by_test_id("stSidebarNavLink").first
    link.focus()
    assert link.evaluate("(link) => getComputedStyle(link).outlineStyle") == "solid"
