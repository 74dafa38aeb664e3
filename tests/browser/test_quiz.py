"""The quiz in a real Chromium, by keyboard alone."""

from urllib.parse import urlencode

from playwright.sync_api import expect

from tests.browser.serving import loaded, menu, stand_still


def score_line(page) -> str:
    return page.locator(".quiz-score").first.inner_text()


def go_on(page, button: str = "quiz_next") -> None:
    """Presses Enter once the button has the focus and its run has ended."""
    page.wait_for_function("(button) => document.activeElement.matches(`.st-key-${button} button`)", arg=button)
    stand_still(page)
    page.keyboard.press("Enter")


def tab_to(page, words: str) -> None:
    """Presses Tab until a button with these words has the focus."""
    while words not in page.evaluate(
        "document.activeElement.matches('button') && document.activeElement.innerText || ''"
    ):
        page.keyboard.press("Tab")


def test_ten_rounds_by_keyboard_alone(page, server, fleet, checkpoints):
    page.set_viewport_size({"width": 1024, "height": 768})
    page.goto(f"{server}/quiz?{urlencode({'data': str(fleet), 'quiz': 3, **checkpoints})}")
    page.locator(".quiz-picture").nth(5).wait_for()
    loaded(page.locator(".quiz-picture img"))
    stand_still(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth")
    boxes = [picture.bounding_box() for picture in page.locator(".quiz-picture img").all()]
    assert all(box["width"] >= 200 and box["y"] + box["height"] <= 768 for box in boxes), boxes

    page.keyboard.press("2")
    page.locator(".quiz-table").wait_for()
    assert "Round 1 of 10" in score_line(page)
    assert "2" in page.locator(".quiz-picture", has=page.locator(".by", has_text="You")).inner_text()
    page.keyboard.press("3")  # a second answer does not count
    go_on(page)
    page.get_by_text("Round 2 of 10").wait_for()
    stand_still(page)

    tab_to(page, "Image 4")  # or by Tab, and Enter on a button
    page.keyboard.press("Enter")
    page.locator(".quiz-table").wait_for()
    assert page.locator(".quiz-picture .by", has_text="You").count() == 1
    assert "4" in page.locator(".quiz-picture", has=page.locator(".by", has_text="You")).inner_text()
    go_on(page)

    for number in range(3, 11):
        page.get_by_text(f"Round {number} of 10").wait_for()
        stand_still(page)
        page.keyboard.press("1")
        page.locator(".quiz-table").wait_for()
        go_on(page)
    page.get_by_role("heading", name="Score").wait_for()
    expect(page.locator(".quiz-table tr")).to_have_count(11)
    go_on(page, "quiz_again")
    page.get_by_text("Round 1 of 10, seed 4").wait_for()
    assert "quiz=4" in page.url
    page.locator(".quiz-picture").nth(5).wait_for()
    assert page.get_by_test_id("stException").count() == 0


def test_a_link_to_retrieval_opens_the_match_and_the_quiz_stays_where_it_was(page, server, fleet, checkpoints):
    page.goto(f"{server}/quiz?{urlencode({'data': str(fleet), 'quiz': 3, **checkpoints})}")
    page.locator(".quiz-picture").nth(5).wait_for()
    stand_still(page)
    page.keyboard.press("1")
    page.locator(".quiz-table").wait_for()
    stand_still(page)
    link = page.get_by_role("link", name="Why this match?").first
    link.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Why this match?").wait_for()
    menu(page, "Quiz")
    page.locator(".quiz-table").wait_for()
    assert "Round 1 of 10, seed 3" in score_line(page)
