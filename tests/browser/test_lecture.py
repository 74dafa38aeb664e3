"""Guided tours and lecture mode in Chromium: arrow keys, Esc, and text that can be read from the last row."""

import re
from urllib.parse import urlencode

import pytest

from app.widgets.lecture import SMALLEST_TEXT
from app.widgets.page import HOME, VIEWS
from tests.browser.look import WATCH, settle
from tests.browser.serving import WIDER, listed, stand_still

SMALL_TEXT = """(least) => {
  const found = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE && node.textContent.trim()) {
      const parent = node.parentElement, box = parent.getBoundingClientRect();
      // Icons are a font, and indices in formulas are smaller.
      const apart = parent.closest("[data-testid=stIconMaterial], style, script, defs, title, sub, sup, .katex-mathml, .msupsub, .mtight");
      if (!apart && parent.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && box.width > 2 && box.height > 2) {
        const drawn = parent.getScreenCTM?.();  // of text in a drawing, which grows and shrinks with it
        const size = parseFloat(getComputedStyle(parent).fontSize) * (drawn ? Math.hypot(drawn.a, drawn.b) : 1);
        found.push([Math.round(10 * size) / 10, node.textContent.trim().slice(0, 40)]);
      }
    }
    for (const child of node.childNodes) walk(child);
    if (node.shadowRoot) walk(node.shadowRoot);
  };
  walk(document.querySelector(".stMain"));
  return found.length > 5 ? found.filter(([size]) => size < least) : [`${found.length} texts`];
}"""

ALL_DONE = "!window.lectureKeys.presses.length"
"""JavaScript: every key pressed so far has led to its slide."""


def can_be_read(page) -> None:
    """All text of the page has at least 18 pixels, and nothing reaches beyond its right edge."""
    page.evaluate(WATCH)
    settle(page)
    assert listed(page, SMALL_TEXT, SMALLEST_TEXT) == [], page.url
    assert listed(page, WIDER) == [], page.url


@pytest.fixture
def lecture(page, server, city, checkpoints):
    """``lecture(view, **url)`` opens a page in lecture mode on a small projector."""
    page.set_viewport_size({"width": 1024, "height": 768})

    def go(view: str, **url: str):
        page.goto(f"{server}/{view}?{urlencode({'data': str(city), **checkpoints, 'present': '1', **url})}")
        page.wait_for_function("window.lectureKeys")  # else nothing hears the first key
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
    stand_still(page)

    page.locator('g.node[data-name="ul"]').focus()
    page.keyboard.press("ArrowRight")  # of the drawing, not of the tour
    page.wait_for_timeout(500)
    assert page.get_by_text("2 of 4").is_visible()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowLeft")
    page.get_by_text("1 of 4").wait_for()
    page.wait_for_selector(".ranks .row")
    assert "/retrieval?" in page.url and "step=1" in page.url
    stand_still(page)

    page.keyboard.press("Escape")
    page.get_by_test_id("stSidebar").wait_for()
    page.get_by_text("1 of 4").wait_for()
    assert "present" not in page.url and "tour=token" in page.url
    page.keyboard.press("ArrowRight")  # which steps through a tour without a lecture too
    page.get_by_text("2 of 4").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


def test_steps_on_the_regions_page_move_its_slider(lecture):
    page = lecture("regions", tour="regions", step="2", regions_lambda="0.667")
    page.locator("output", has_text="λ = 0.667").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("3 of 4").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("Five regions · 4 of 4").wait_for()
    page.locator("output", has_text="λ = 1").wait_for()


@pytest.mark.parametrize("view", VIEWS)
def test_text_on_every_page_has_at_least_18_pixels(lecture, view):
    page = lecture("" if view == HOME else view)
    page.wait_for_selector(".lecture-line")
    can_be_read(page)


def test_text_on_every_slide_has_at_least_18_pixels(lecture):
    page = lecture("story", tour="story", step="1", stage="1")
    slides = 0
    while True:
        page.wait_for_selector(".lecture-line")
        can_be_read(page)
        at, slides = page.locator(".lecture-line").get_attribute("data-slide"), slides + 1
        assert page.get_by_test_id("stException").count() == 0, at
        page.keyboard.press("ArrowRight")
        page.wait_for_function(ALL_DONE)
        if page.locator(".lecture-line").get_attribute("data-slide") == at:
            break  # the last tour's end
    assert slides >= 20 and at.startswith(("token", "failure"))


def test_lecture_mode_goes_through_the_menu_and_stays_on_pages_that_are_opened_from_a_page(lecture):
    page = lecture("")
    page.get_by_role("heading", name="Start", exact=True).wait_for()
    page.get_by_role("link", name="Graph of 7 nodes").first.wait_for()
    stand_still(page)
    page.get_by_role("link", name="Graph of 7 nodes").first.click()
    page.wait_for_selector("g.node")
    page.wait_for_url("**present=1*")
    assert not page.get_by_test_id("stSidebar").is_visible()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/retrieval?*")
    page.get_by_role("heading", name="Retrieval", exact=True).wait_for()
    page.wait_for_selector(".ranks .row")
    stand_still(page)
    page.get_by_role("textbox").first.focus()
    page.keyboard.press("ArrowRight")  # in the field
    page.wait_for_timeout(500)
    assert "/retrieval?" in page.url


def test_without_a_tour_the_arrows_of_the_story_are_its_stages_and_then_the_menu(lecture):
    page = lecture("story", stage="9")
    page.wait_for_selector(".st-key-page_bar")
    page.locator("[data-stage]").nth(9).wait_for()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**stage=10*")
    page.wait_for_selector(".ranks .row")
    page.keyboard.press("ArrowRight")
    page.get_by_role("heading", name="How it learns", exact=True).wait_for()
    assert "/learning?" in page.url


def test_a_lecture_by_keys_alone_from_photograph_to_rank_row_and_on(lecture, fleet):
    page = lecture("", data=str(fleet))
    page.get_by_role("link", name="From photograph to rank row").first.wait_for()
    for step in range(1, 11):
        page.keyboard.press("ArrowRight")
        page.get_by_text(f"From photograph to rank row · {step} of 10").wait_for()
        page.wait_for_url(f"**/story?**step={step}*")
        assert not page.get_by_role("button", name="Next stage").count()
    page.wait_for_selector(".ranks .row")
    assert f"stage={step}" in page.url and page.locator(".ranks .row").count() == 2
    page.keyboard.press("ArrowRight")
    page.get_by_text("How it learns · 1 of 3").wait_for()
    page.get_by_text("hardest +").first.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    stand_still(page)  # a page that is still short has nowhere to scroll to
    page.keyboard.press("PageDown")
    page.wait_for_function("document.querySelector('.stMain').scrollTop > 100")
    page.keyboard.press("ArrowRight")
    page.get_by_text("How it learns · 2 of 3").wait_for()
    page.locator(".st-key-learning_scores .katex").first.wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("How it learns · 3 of 3").wait_for()
    page.locator(".quiz-picture").nth(5).wait_for()
    stand_still(page)
    page.keyboard.press("5")
    page.wait_for_function("document.activeElement.matches('.st-key-quiz_next button')")
    page.keyboard.press("Enter")
    page.get_by_text("Round 2 of").wait_for()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("How it learns · 2 of 3").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_press_waits_for_links_whose_script_the_browser_has_yet_to_load(lecture, page):
    held = []
    page.route(re.compile(r"/PageLink\.[^/]+\.js$"), lambda route: held.append(route))
    lecture("graph", tour="token", step="2")
    page.wait_for_selector("g.node")
    assert held and not page.locator(".st-key-lecture_next a").count()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("window.lectureKeys.tries > 1")
    for route in held:
        route.continue_()
    page.get_by_text("3 of 4").wait_for()


@pytest.mark.parametrize("present", ["1", "0"])
def test_every_press_is_one_step_also_before_the_page_is_drawn(lecture, present):
    page = lecture("story", tour="story", step="1", stage="1", present=present)
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.get_by_text("4 of 10").wait_for()
    page.wait_for_timeout(1500)
    assert page.get_by_text("4 of 10").is_visible()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
    page.wait_for_function(ALL_DONE)  # the second press leads there too
    page.get_by_text("6 of 10").wait_for()
    page.get_by_text("Mean cosine between", exact=False).or_(page.get_by_text("The mean cosine")).first.wait_for()
    page.wait_for_timeout(1000)
    assert page.get_by_text("6 of 10").is_visible() and "stage=6" in page.url
    page.keyboard.down("ArrowRight")
    for _ in range(5):
        page.keyboard.down("ArrowRight")  # held, which repeats
    page.keyboard.up("ArrowRight")
    page.get_by_text("7 of 10").wait_for()
    page.wait_for_timeout(1000)
    assert page.get_by_text("7 of 10").is_visible()
