"""Guided tours and lecture mode in Chromium: arrow keys, Esc, and text that can be read from the last row."""

from urllib.parse import urlencode

import pytest

TEXT_SIZES = """() => {
  const sizes = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE && node.textContent.trim()) {
      const parent = node.parentElement, box = parent.getBoundingClientRect();
      // Indices in formulas are smaller.
      const apart = parent.closest("[data-testid=stIconMaterial], svg, style, .msupsub, .katex-mathml");
      if (!apart && parent.checkVisibility() && box.width > 2 && box.height > 2)
        sizes.push([parseFloat(getComputedStyle(parent).fontSize), node.textContent.trim().slice(0, 40)]);
    }
    for (const child of node.childNodes) walk(child);
    if (node.shadowRoot) walk(node.shadowRoot);
  };
  walk(document.querySelector(".stMain"));
  return sizes;
}"""


@pytest.fixture
def lecture(page, server, city, checkpoints):
    """``lecture(view, **url)`` opens a page in lecture mode on a small projector."""
    page.set_viewport_size({"width": 1024, "height": 768})

    def go(view: str, **url: str):
        page.goto(f"{server}/{view}?{urlencode({'data': str(city), **checkpoints, 'present': '1', **url})}")
        return page

    return go


def test_arrow_keys_lead_through_a_tour_and_escape_leaves(lecture):
    page = lecture("graph", tour="token", step="2")
    page.get_by_text("2 of 4").wait_for()
    page.wait_for_selector("g.node")
    assert not page.get_by_test_id("stSidebar").is_visible()
    assert not page.get_by_role("heading", name="Graph", exact=True).is_visible(), "the slide shows the drawing alone"

    page.keyboard.press("ArrowRight")
    page.get_by_text("3 of 4").wait_for()
    page.wait_for_url("**step=3*")
    page.wait_for_selector('g.node[data-name="ul"][aria-checked="false"]')
    page.keyboard.press("ArrowLeft")
    page.get_by_text("2 of 4").wait_for()
    page.wait_for_selector('g.node[data-name="ul"][aria-checked="true"]')

    page.locator('g.node[data-name="ul"]').focus()
    page.keyboard.press("ArrowRight")  # of the drawing, not of the tour
    page.wait_for_timeout(500)
    assert page.get_by_text("2 of 4").is_visible()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowLeft")
    page.get_by_text("1 of 4").wait_for()
    page.wait_for_selector(".ranks .row")
    assert "/retrieval?" in page.url and "step=1" in page.url

    page.keyboard.press("Escape")
    page.get_by_test_id("stSidebar").wait_for()
    page.get_by_text("1 of 4").wait_for()
    assert "present" not in page.url and "tour=token" in page.url
    page.keyboard.press("ArrowRight")  # only a lecture takes the arrows
    page.wait_for_timeout(500)
    assert "step=1" in page.url and page.locator("[data-testid=stException]").count() == 0


def test_steps_on_the_regions_page_move_its_slider(lecture):
    page = lecture("regions", tour="regions", step="2", regions_lambda="0.667")
    page.locator("output", has_text="λ = 0.667").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("3 of 4").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("Five regions · 4 of 4").wait_for()
    page.locator("output", has_text="λ = 1").wait_for()


@pytest.mark.parametrize(("view", "step", "there"), [("retrieval", "1", ".ranks .row"), ("graph", "2", "g.node")])
def test_text_on_a_slide_has_at_least_18_pixels(lecture, view, step, there):
    page = lecture(view, tour="token", step=step)
    page.get_by_text(f"{step} of 4").wait_for()
    page.wait_for_selector(there)
    page.wait_for_timeout(1000)
    sizes = page.evaluate(TEXT_SIZES)
    assert len(sizes) > 10
    assert [each for each in sizes if each[0] < 18] == []
    assert page.evaluate("document.querySelector('.stMain').scrollWidth <= window.innerWidth")


def test_lecture_mode_goes_through_the_menu_and_stays_on_pages_that_are_opened_from_a_page(lecture):
    page = lecture("")
    page.get_by_role("heading", name="Start", exact=True).wait_for()
    page.get_by_role("link", name="Graph of 7 nodes").first.click()
    page.wait_for_selector("g.node")
    page.wait_for_url("**present=1*")
    assert not page.get_by_test_id("stSidebar").is_visible()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".ranks .row")
    page.get_by_role("textbox").first.focus()
    page.keyboard.press("ArrowRight")  # in the field
    page.wait_for_timeout(500)
    assert "/retrieval?" in page.url


def test_the_arrows_of_the_story_are_its_stages(lecture):
    page = lecture("story", stage="1")
    page.wait_for_selector(".st-key-page_bar")
    page.locator("[data-stage]").nth(2).wait_for()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**stage=2*")
    assert "/story?" in page.url
