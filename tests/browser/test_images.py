"""Your images in Chromium: pictures are uploaded, compared and ranked, and are gone after a reload."""

import zipfile
from urllib.parse import urlencode

from playwright.sync_api import expect

from tests.browser.serving import stand_still


def upload(page, first, last):
    """One file after the other on a page that stands still, as a hand does it."""
    places = page.locator("input[type=file]")
    for chips, (place, file) in enumerate(((places.first, first), (places.last, last)), 1):
        page.wait_for_timeout(500)  # a run may be requested and not yet begun
        stand_still(page)
        place.set_input_files(file)
        expect(page.get_by_test_id("stFileChip")).to_have_count(chips)


def test_two_pictures_are_compared_and_a_zip_is_ranked(page, server, city, checkpoints, tmp_path):
    photographs = sorted((city / "image_test").glob("*.jpg"))
    page.goto(f"{server}/images?{urlencode({'data': str(city), 'images_mode': 'Compare two images', **checkpoints})}")
    page.get_by_text("Upload both to see").wait_for()
    upload(page, photographs[0], photographs[1])
    page.get_by_text(f"Is {photographs[1].name} the same vehicle?").wait_for()
    page.wait_for_function(
        "[...document.querySelectorAll('.maps img')].filter((each) => each.naturalWidth > 0).length === 4"
    )
    page.get_by_text("no verdict follows").nth(1).wait_for()

    archive = tmp_path / "gallery.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for photograph in photographs[:6]:
            packed.write(photograph, photograph.name)
        packed.writestr("notes.txt", "no picture")
    page.get_by_text("Rank a gallery", exact=True).click()
    page.get_by_text("Gallery: pictures, or a zip file of them").wait_for()
    upload(page, photographs[0], archive)
    page.wait_for_selector(".cards .row >> nth=1")
    assert page.locator(".cards .row").first.locator("figure").count() == 1 + 6
    # the query itself is in the gallery, and nothing is nearer
    assert page.locator(".cards .row").first.locator("figcaption").nth(1).inner_text().startswith("1 · 1.000")
    assert page.locator("[data-testid=stException]").count() == 0

    page.reload()
    page.get_by_text("Upload both to see").wait_for()
