"""The app in a real Chromium: open it, pick a query, see the ranked rows."""

import json
import os
import shutil
from dataclasses import replace
from urllib.parse import urlencode

from playwright.sync_api import expect

from ssrnet.commands.extract import FeatureFileSettings, write_feature_file
from tests import tiny
from tests.browser.serving import loaded, menu, serving, stand_still, type_into
from tests.training.test_runs import line, make, scored


def test_a_picked_query_is_ranked_in_two_rows_and_kept_in_the_url(page, server, city, checkpoints):
    page.goto(f"{server}/retrieval?{urlencode({'data': str(city), **checkpoints})}")
    page.wait_for_selector(".ranks .row")
    assert page.locator(".ranks .row").count() == 2
    stand_still(page)

    chosen = page.get_by_role("button", name="0008 · c001").first
    chosen.click()
    page.wait_for_selector('.ranks .query img[alt*="vehicle 0008"]')
    assert page.locator('.ranks .query img[alt*="vehicle 0008"]').count() == 2
    assert page.locator(".ranks .hit, .ranks .error").count() == 10
    assert page.locator(".ranks .junk").count() >= 1
    assert "query=0008_c001" in page.url
    loaded(page.locator(".ranks img"))

    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector('.ranks .query img[alt*="vehicle 0008"]')


def test_attention_draws_its_maps_in_colours_that_other_pages_keep(page, server, city, checkpoints):
    page.goto(f"{server}/attention?{urlencode({'data': str(city), **checkpoints})}")
    page.locator(".sheet").get_by_text("Ms", exact=True).wait_for()
    page.locator(".sheet").get_by_text("Grad-CAM", exact=True).wait_for()
    # of both models' CAMs, |F_G| and |F_attn|, and SSR-Net's M_s, over three images each, and of eight channels
    expect(page.locator(".sheet .picture img")).to_have_count(5 * 3 + 8)
    expect(page.locator(".sheet .bar[aria-label^='Colours from black']")).to_have_count(5 * 3 + 8)
    loaded(page.locator(".sheet .picture img"))
    page.get_by_text("Measured on all images").wait_for()
    stand_still(page)  # a list that is open closes when what stands around it is drawn again
    assert page.locator("[data-testid=stException]").count() == 0
    page.get_by_role("combobox", name="Colours of the maps").click()
    page.get_by_role("option", name="Cividis").click()
    page.locator(".sheet .bar[aria-label^='Colours from dark blue']").first.wait_for()
    assert "map_colours=Cividis" in page.url
    for title in ("Scoreboard", "Attention"):
        menu(page, title)
        page.wait_for_url(f"**/{title.lower()}?*map_colours=Cividis*")
    page.locator(".sheet .bar[aria-label^='Colours from dark blue']").first.wait_for()


def test_without_data_the_page_says_what_to_do(page, server):
    page.goto(server)
    page.get_by_text("Still missing").wait_for()
    page.get_by_text("ssrnet train --data DIR --out runs/ssrnet").wait_for()


def test_the_demo_opens_by_itself_and_extracts_nothing(page, tiny_demo, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(tiny_demo, project)
    for checkpoint in project.glob("checkpoints/*.safetensors"):  # as the shipped demo has it
        features = project / "assets/features"
        settings = FeatureFileSettings(project / "assets/city", checkpoint, features, workers=0, device="cpu")
        write_feature_file(replace(settings, explained=True))
    before = tiny.files(project)
    with serving(project) as server:
        page.goto(server)
        page.get_by_text("The loaded models").wait_for()
        page.get_by_text("The bundled demo").wait_for()
        menu(page, "Retrieval")
        page.wait_for_selector(".ranks figure")
        assert page.locator(".ranks .row").count() == 2
        link = page.url

        menu(page, "Attention")
        page.locator(".sheet").get_by_text("Ms", exact=True).wait_for()
        menu(page, "Scoreboard")
        page.get_by_text("Curves", exact=True).wait_for()
        menu(page, "Retrieval")
        page.wait_for_selector(".ranks .row")

        type_into(page, "Data folder", "")
        page.get_by_text("Still missing: a data folder.").wait_for()
        menu(page, "Attention")
        page.get_by_role("heading", name="Attention").wait_for()
        page.get_by_text("Still missing: a data folder.").wait_for()
        page.goto(link)
        page.wait_for_selector(".ranks .row")
        stand_still(page)
        assert page.locator("[data-testid=stException]").count() == 0
        after = tiny.files(project)
    assert {name: after.get(name) for name in before} == before
    assert not (project / "runs").exists(), "an extraction would have stored its features there"


def test_scoreboard_curves_grow_with_the_log(page, server, tmp_path):
    folder = make(tmp_path / "growing", [line(1), line(2, held_back=scored(0.5))], seed=0)
    os.utime(folder / "log.jsonl")  # now, so that the run counts as going on
    page.goto(f"{server}/scoreboard?{urlencode({'runs': str(folder)})}")
    page.get_by_text("training, epoch 2 of 4").wait_for()
    drawn = "[...document.querySelectorAll('.js-plotly-plot')].map(plot => plot.data[0].x.length)"
    page.wait_for_function(f"{drawn}.length === 8 && {drawn}[0] === 2")

    with open(folder / "log.jsonl", "a") as log:
        log.write(json.dumps(line(3)) + "\n" + '{"epoch": 4, "st')
    page.get_by_text("training, epoch 3 of 4").wait_for()
    page.wait_for_function(f"{drawn}.length === 8 && {drawn}[0] === 3")
    assert page.locator("[data-testid=stException]").count() == 0
    assert "growing" in page.url


def test_the_menu_keeps_data_and_models(page, server, city, checkpoints):
    """The server has no demo, so a page without them would say what is missing."""
    shots = {"protocol": "Single-gallery-shot", "seed": "3"}
    page.goto(f"{server}/retrieval?{urlencode({'data': str(city), **checkpoints, **shots})}")
    page.wait_for_selector(".ranks .row")
    for title, there in (
        ("Failures", "text=AP against AP"),
        ("Regions", ".grid rect.box"),
        ("Gallery map", ".panel canvas"),
    ):
        menu(page, title)
        page.wait_for_selector(there)
        page.wait_for_url("**data=*")
        assert "protocol=Single-gallery-shot" in page.url and "seed=3" in page.url
    type_into(page, "Data folder", "")
    page.get_by_text("Still missing: a data folder").wait_for()
    menu(page, "Failures")
    page.get_by_role("heading", name="Failures", exact=True).wait_for()
    page.get_by_text("Still missing: a data folder").wait_for()


def test_scoreboard_forgets_nothing_of_the_sidebar(page, server, city, checkpoints):
    page.goto(f"{server}/retrieval?{urlencode({'data': str(city), **checkpoints})}")
    page.wait_for_selector(".ranks .row")
    menu(page, "Scoreboard")
    page.get_by_text("Curves", exact=True).wait_for()
    menu(page, "Retrieval")
    page.wait_for_selector(".ranks .row")
