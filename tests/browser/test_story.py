"""The Story page in Chromium: stages by keys and buttons, and what uses the arrows itself keeps them."""

from urllib.parse import urlencode


def test_stages_are_stepped_through_by_keyboard(page, server, city, checkpoints):
    page.goto(f"{server}/story?{urlencode({'data': str(city), **checkpoints})}")
    page.get_by_role("heading", name="1. ").wait_for()
    page.get_by_role("button", name="Next stage").wait_for()  # the stages' component, which hears the keys
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")  # before the server has answered the first
    page.get_by_role("heading", name="3. Channel attention").wait_for()
    assert "stage=3" in page.url
    page.keyboard.press("ArrowLeft")
    page.get_by_role("heading", name="2. ").wait_for()
    page.get_by_role("button", name="Regions", exact=True).click()
    page.get_by_role("heading", name="5. ").wait_for()
    page.get_by_label("Crop ratio λ").press("ArrowRight")
    page.get_by_label("Crop ratio λ").press("End")
    page.get_by_text("The next stages go on at the trained").wait_for()
    assert "stage=5" in page.url
    page.get_by_role("button", name="Next stage").click()
    page.get_by_role("heading", name="6. ").wait_for()
    page.get_by_role("button", name="H(1) → H(2)").click()
    assert page.get_by_role("button", name="Play").count() == 1, "who chooses a layer stays there"
    page.get_by_text("exact share in").wait_for()
    assert page.locator("circle.message").count() == 6 and page.locator("line.unread").count() == 2 * 8
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    page.get_by_role("button", name="H(1) → H(2)").click()
    page.get_by_text("exact share in").wait_for()
    assert page.locator("circle.message").count() == 0
    assert page.locator("[data-testid=stException]").count() == 0
