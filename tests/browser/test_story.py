"""The Story page in Chromium: stages by keys and buttons, and what uses the arrows itself keeps them."""

from urllib.parse import urlencode

from playwright.sync_api import expect

from ssrnet.data.datasets import open_dataset
from tests.browser.serving import stand_still


def test_stages_are_stepped_through_by_keyboard(page, server, city, checkpoints):
    page.goto(f"{server}/story?{urlencode({'data': str(city), **checkpoints})}")
    page.get_by_role("heading", name="1. ").wait_for()
    page.get_by_role("button", name="Next stage").wait_for()  # the stages' component, which hears the keys
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")  # before the server has answered the first
    page.locator("[aria-current=step]:not([data-stage='1'])").wait_for()
    page.keyboard.press("ArrowRight")  # and before it has answered the second
    page.get_by_role("heading", name="4. ").wait_for()
    assert "stage=4" in page.url
    page.keyboard.press("ArrowLeft")
    page.get_by_role("heading", name="3. Channel attention").wait_for()
    page.get_by_role("button", name="Regions", exact=True).click()
    page.get_by_role("heading", name="5. ").wait_for()
    stand_still(page)
    page.get_by_label("Crop ratio λ").press("ArrowRight")
    page.get_by_label("Crop ratio λ").press("End")
    page.get_by_text("The next stages go on at the trained").wait_for()
    assert "stage=5" in page.url
    page.get_by_role("button", name="Next stage").click()
    page.get_by_role("heading", name="6. ").wait_for()
    page.get_by_role("button", name="H(1) → H(2)").wait_for()
    stand_still(page)  # drawn again, the graph would begin to play
    page.get_by_role("button", name="H(1) → H(2)").click()
    expect(page.get_by_role("button", name="Play"), "who chooses a layer stays there").to_have_count(1)
    page.locator("output").get_by_text("exact share in").wait_for()
    expect(page.locator("circle.message")).to_have_count(6)
    expect(page.locator("line.unread")).to_have_count(2 * 8)
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    page.get_by_role("button", name="Play").wait_for()  # which does not start by itself
    stand_still(page)
    assert page.locator(".handed img").evaluate("image => getComputedStyle(image).animationName") == "none"
    page.get_by_role("button", name="H(1) → H(2)").click()
    page.locator("output").get_by_text("exact share in").wait_for()
    expect(page.locator("circle.message")).to_have_count(0)
    assert page.locator("[data-testid=stException]").count() == 0


def test_an_upload_goes_through_all_ten_stages_and_leaves_again(page, server, city, checkpoints):
    query = "0007_c001_00000000_0.jpg"
    photograph = next(image for image in open_dataset(city).test if image.vehicle_id == "0008")
    page.goto(f"{server}/story?{urlencode({'data': str(city), **checkpoints, 'query': query})}")
    page.get_by_alt_text(f"Photograph {query}").wait_for()
    stand_still(page)
    page.get_by_text("Another image, another network, other colours").click()
    page.locator("input[type=file]").set_input_files(photograph.path)
    page.get_by_alt_text("Photograph the uploaded picture").wait_for()
    for stage in range(2, 11):
        stand_still(page)
        page.get_by_role("button", name="Next stage").click()
        page.get_by_role("heading", name=f"{stage}. ").wait_for()
    page.get_by_text("no image counts as a hit").wait_for()
    rows = page.locator(".image-rows.ranks .block")
    expect(rows.locator(".title")).to_have_text(["Baseline (GB)of 12", "SSR-Net (GB+AB+RB)of 12"])
    assert [rows.nth(at).get_by_alt_text("rank ").count() for at in range(2)] == [5, 5]
    stand_still(page)
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("first hit at rank").first.wait_for()
    stand_still(page)
    page.get_by_role("button", name="Photo", exact=True).click()
    page.get_by_alt_text(f"Photograph {query}").wait_for()
    assert page.get_by_test_id("stException").count() == 0
