"""All pages through Streamlit's own test runner: what they draw, and what they say where something is missing."""

import re
import shutil
from importlib import import_module

import pytest
from streamlit.testing.v1 import AppTest

from app.widgets import evaluations
from app.widgets.page import VIEWS
from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from tests.app.conftest import REPOSITORY, html, whole
from tests.data import layouts


def frames(test: AppTest) -> list[list[str]]:
    """The kinds of framed pictures (query, hit, error, junk) of each row."""
    return [re.findall(r'<figure class="(\w+)"', row) for row in html(test).split('class="title"')[1:]]


def test_the_app_opens_without_any_configuration_and_says_what_to_do(project):
    test = AppTest.from_file(str(REPOSITORY / "app/pages.py"), default_timeout=120).run()
    assert not test.exception and not test.error
    assert "ssrnet train --data DIR" in test.code[0].value
    assert "a data folder" in test.info[0].value and "SSR-Net checkpoint" in test.info[0].value


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_says_what_is_still_missing(open_page, city, view):
    test = open_page(view, data=str(city))
    assert not test.exception
    if view == "scoreboard":  # training runs need neither data nor models
        assert test.multiselect(key="runs").options == [] and "Choose one or several above" in test.markdown[1].value
        return
    assert "a baseline checkpoint" in test.info[0].value
    assert "a data folder" not in test.info[0].value


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_opens_with_what_it_is_and_an_equation(open_page, view):
    introduction = import_module(f"app.views.{view}").INTRO
    assert introduction.strip() == open_page(view).markdown[0].value.strip()
    sentences = re.sub(r"\$+[^$]+\$+", "", introduction)
    assert sentences != introduction and 10 < len(sentences.split()) < 80


def test_retrieval_ranks_the_same_query_with_both_models(open_city):
    test = open_city("retrieval")
    rows = frames(test)
    assert len(rows) == 2
    for row in rows:
        assert row[0] == "query"
        assert sum(kind in ("hit", "error") for kind in row) == 5
        assert row.count("junk") >= 1, "the query itself stands in VeRi's gallery, as junk"
    assert "Baseline (GB)" in html(test) and "SSR-Net (GB+AB+RB)" in html(test)


def test_the_metrics_say_what_they_are(open_city):
    test = open_city("retrieval")
    assert re.search(r'<abbr title="Mean inverse negative penalty[^"]+">mINP</abbr>', html(test))
    (counted,) = (each for each in test.caption if "Cross-camera: " in each.value)
    assert "of 4 vehicles in a gallery of 12 images" in counted.value and "95 % intervals" in counted.value


def test_retrieval_lists_as_many_images_as_asked_for_or_says_that_there_are_fewer(open_city):
    test = open_city("retrieval", top_k="10")
    # 12 gallery images, one of them junk for its query
    assert all(sum(kind in ("hit", "error") for kind in row) == 10 for row in frames(test))
    test = open_city("retrieval", top_k="20")
    assert all(sum(kind in ("hit", "error") for kind in row) == 11 for row in frames(test))
    assert any("only 12 images" in caption.value for caption in test.caption)


def test_the_frames_tell_the_truth(open_city):
    test = open_city("retrieval", top_k="10", query="0008_c001_00000000_0.jpg")
    for figure in re.findall(r'<figure class="(\w+)" title="(\d+)_c(\d+)', html(test)):
        kind, vehicle, camera = figure
        expected = "error" if vehicle != "0008" else "junk" if camera == "001" else "hit"
        assert kind in (expected, "query")


def test_a_protocol_that_the_data_cannot_serve_is_shown_disabled_with_its_reason(open_city, city):
    test = open_city("retrieval")
    usable, unusable = test.sidebar.radio
    assert list(usable.options) == ["Cross-camera", "Single-gallery-shot"] and not usable.disabled
    assert list(unusable.options) == ["Multi-gallery-shot"] and unusable.disabled
    reason = Protocol("multi_gallery_shot").unavailable(open_dataset(city))
    assert reason in unusable.proto.captions[0]


def test_single_gallery_shot_lists_one_image_a_vehicle_and_no_junk(open_city):
    test = open_city("retrieval", protocol="Single-gallery-shot")
    for row in frames(test):
        assert row.count("hit") == 1 and row.count("junk") == 0 and len(row) == 1 + 4


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"no weights at all")
    return str(path)


@pytest.mark.parametrize("view", VIEWS)
def test_what_a_page_cannot_use_is_one_sentence(open_page, city, checkpoints, tmp_path, broken, view):
    test = open_page(view, data=str(tmp_path / "nowhere"), **checkpoints)
    assert not test.exception and len(test.error) == 1
    assert "nowhere" in test.error[0].value and "does not exist" in test.error[0].value
    test = open_page(view, data=str(city), **{**checkpoints, "ssrnet": broken})
    assert not test.exception and len(test.error) == 1 and "broken.safetensors" in test.error[0].value
    layouts.folders(tmp_path / "trainonly", {"image_train": layouts.VERI_TRAIN})
    test = whole(open_page(view, data=str(tmp_path / "trainonly"), **checkpoints))
    assert "no test images" in test.info[0].value and test.sidebar.radio[0].disabled


@pytest.mark.parametrize(("view", "heading"), [("start", "The network"), ("scoreboard", "Training runs")])
def test_pages_that_need_no_source_stand_when_it_is_broken(
    open_page, city, checkpoints, tmp_path, broken, view, heading
):
    for url in (
        {"data": str(tmp_path / "nowhere"), **checkpoints},
        {"data": str(city), **checkpoints, "ssrnet": broken},
    ):
        test = open_page(view, **url)
        assert heading in [*(each.value for each in test.subheader), *(each.label for each in test.expander)]


def test_damaged_images_are_one_sentence_that_counts_them(open_page, city, checkpoints, tmp_path, monkeypatch):
    root = tmp_path / "damaged"
    shutil.copytree(city, root)
    victims = sorted((root / "image_test").glob("*.jpg"))[-2:]
    for victim in victims:
        victim.write_bytes(victim.read_bytes()[:300])
    labels, run = [], evaluations.run_with_progress
    monkeypatch.setattr(
        evaluations, "run_with_progress", lambda label, *arguments: labels.append(label) or run(label, *arguments)
    )
    test = open_page("retrieval", data=str(root), **checkpoints)
    assert not test.exception
    assert test.error[0].value.startswith(f"2 images cannot be read, the first: {victims[0]} is damaged")
    assert labels[-1] == "Looking for all images that cannot be read", "behind a bar of its own"


def test_a_name_with_markup_is_shown_as_text(open_page, checkpoints, tmp_path):
    root = tmp_path / "markup"
    for name in ("a.jpg", "b.jpg"):
        layouts.jpeg(root / name)
    layouts.write(
        root / "manifest.csv",
        ["image,vehicle_id,camera_id,split", "a.jpg,<script>x</script>,1,query", "b.jpg,<script>x</script>,2,gallery"],
    )
    test = whole(open_page("retrieval", data=str(root), **checkpoints))
    assert "<script>" not in html(test) and "&lt;script&gt;" in html(test)
