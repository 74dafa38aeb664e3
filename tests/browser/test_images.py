"""Your images in Chromium: pictures are uploaded, compared, ranked and opened as a data set, and are gone after a reload."""

import zipfile
from urllib.parse import urlencode

from playwright.sync_api import expect

from tests.browser.serving import stand_still
from tests.browser.test_map import AROUND, lasso


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
        "[...document.querySelectorAll('.sheet img')].filter((each) => each.naturalWidth > 0).length === 10"
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
    page.wait_for_selector(".ranks .row >> nth=1")
    assert page.locator(".ranks .row").first.locator("figure").count() == 1 + 6
    # the query itself is in the gallery, and nothing is nearer
    assert page.locator(".ranks .row").first.locator("figcaption").nth(1).inner_text().startswith("1 · 0.000")
    assert page.locator("[data-testid=stException]").count() == 0

    stand_still(page)
    page.locator("[data-testid=stSidebarNav] a[href*='/map']").click()
    page.get_by_text("One of your images (6)").wait_for()
    stand_still(page)
    page.get_by_text("One of your images (6)").click()
    page.get_by_text("Lines lead from your image").wait_for()
    lasso(page, 0, AROUND)
    page.get_by_text("Selected: 18").wait_for()  # the test images, and the stars that stand for the uploads
    assert "query_mine=true" in page.url

    page.reload()
    page.get_by_text("Whole map").wait_for()
    assert page.get_by_text("One of your images").count() == 0


def test_a_zip_is_a_data_set_on_every_page_until_a_reload(page, server, city, checkpoints, tmp_path):
    photographs = sorted((city / "image_test").glob("*.jpg"))[:6]
    archive = tmp_path / "fleet.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for at, photograph in enumerate(photographs):
            packed.write(photograph, f"fleet/{'north' if at % 2 else 'south'}/{photograph.name}")
            packed.writestr(f"__MACOSX/fleet/._{photograph.name}", "a resource fork")
    page.goto(f"{server}/images?{urlencode({'data': str(city), **checkpoints})}")
    page.locator("input[type=file]").nth(1).wait_for(state="attached")
    page.locator("input[type=file]").last.set_input_files(archive)
    page.get_by_role("button", name="Open your 6 pictures as a data set").first.click()
    page.wait_for_url("**/retrieval?**")
    page.get_by_text("6 images, no labels").wait_for()
    page.locator(".ranks .row").nth(1).wait_for()
    assert "data=uploaded+pictures" in page.url and str(city) not in page.url
    page.get_by_role("link", name="Gallery map").click()
    page.locator(".panel canvas").nth(1).wait_for()
    page.get_by_text("north", exact=True).wait_for()  # the folders are the points' colours
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    page.reload()
    page.get_by_text("These pictures were uploaded in another session").wait_for()
