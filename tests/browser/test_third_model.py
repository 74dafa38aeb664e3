"""A third model in a real Chromium: imported by the command, chosen in the sidebar, part of the link."""

from urllib.parse import urlencode

import numpy as np

from ssrnet import cli
from ssrnet.data.datasets import open_dataset
from tests.browser.serving import serving, stand_still


def test_an_import_becomes_a_third_row(page, city, checkpoints, tmp_path):
    images = open_dataset(city).test
    path, project = tmp_path / "agw.npz", tmp_path / "project"
    np.savez(
        path,
        features=np.random.default_rng(0).normal(size=(len(images), 8)),
        paths=np.array([f"datasets/veri/image_test/{image.name}" for image in images]),
    )
    of = ["--features", str(path), "--data", str(city), "--out", str(project / "runs/imported")]
    cli.run(["import", "--name", "fast-reid AGW", *of])
    with serving(project) as server:
        page.goto(f"{server}/retrieval?{urlencode({'data': str(city), **checkpoints})}")
        page.locator(".ranks .row").nth(1).wait_for()
        stand_still(page)
        field = page.get_by_role("combobox", name="Third model")
        field.scroll_into_view_if_needed()  # a list that is open closes when the sidebar scrolls
        page.wait_for_timeout(500)
        field.click()
        page.get_by_role("option", name="fast-reid AGW").click()
        page.locator(".ranks .row").nth(2).wait_for()
        assert page.locator(".ranks .title").nth(2).inner_text().startswith("fast-reid AGW (imported)")
        assert "third=fast-reid" in page.url

        link = page.url
        page.goto("about:blank")
        page.goto(link)
        page.locator(".ranks .row").nth(2).wait_for()
        assert page.locator(".ranks .row").count() == 3

        page.goto(link.replace("/retrieval?", "/failures?failures_show=AP+against+AP&"))
        page.get_by_role("combobox", name="Compare").wait_for()
        stand_still(page)
        page.get_by_role("combobox", name="Compare").click()
        page.get_by_role("option", name="SSR-Net against fast-reid AGW (imported)").click()
        page.get_by_text("fast-reid AGW (imported) better").wait_for()
        stand_still(page)
        assert "failures_compare=SSR-Net" in page.url
        page.get_by_role("link", name="Open this query in Retrieval").click()
        page.locator(".ranks .row").nth(2).wait_for()
        assert "third=fast-reid" in page.url
        assert page.locator("[data-testid=stException]").count() == 0
