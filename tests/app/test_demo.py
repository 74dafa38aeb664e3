"""The bundled demo, and features that are found again, through Streamlit's own test runner."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.widgets import source
from app.widgets.page import VIEWS
from app.workbench import model, places
from app.workbench.opening import open_data
from ssrnet.errors import InstallationError
from ssrnet.retrieval import feature_files
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.feature_files import read_record
from ssrnet.training.checkpoint import load_checkpoint, save_checkpoint
from tests import tiny
from tests.app.conftest import REPOSITORY, html, models_listed, models_table, whole


@pytest.fixture
def demo(project, tiny_demo):
    """The project's folder with a demo in it, features included."""
    shutil.copytree(tiny_demo, project, dirs_exist_ok=True)
    return project


def start_anew() -> None:
    """Forgets what is in memory, as a new start of the app does."""
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def no_extraction(monkeypatch):
    def extract(*arguments, **settings):
        raise AssertionError("the features were there already")

    start_anew()
    monkeypatch.setattr(model, "extract", extract)


def sidebar(test: AppTest) -> dict[str, str | None]:
    widgets = (*test.sidebar.text_input, *test.sidebar.selectbox)
    return {widget.key: widget.value for widget in widgets if widget.key in places.DEMO}


def kept(root: Path) -> list[Path]:
    return sorted((root / feature_files.KEPT).glob("*"))


def ranks(test: AppTest) -> int:
    assert not test.exception and not test.error, [e.value for e in test.error]
    return html(test).count('class="title"')


def test_the_app_opens_on_the_demo_without_any_configuration(demo, no_extraction):
    test = AppTest.from_file(str(REPOSITORY / "app/pages.py"), default_timeout=120).run()
    assert not test.exception and not test.error and sidebar(test) == places.DEMO
    assert models_listed(test) == ["Baseline (GB)", "SSR-Net (GB+AB+RB)"]
    assert test.sidebar.radio[0].value == "cross_camera"
    assert "bundled demo" in test.sidebar.caption[0].value and "assets/README.md" in test.sidebar.caption[0].value
    assert kept(demo) == [] and len(list((demo / feature_files.SHIPPED).iterdir())) == 2


@pytest.mark.parametrize("elsewhere", [True, False])
def test_it_is_found_from_anywhere(demo, open_page, no_extraction, tmp_path, monkeypatch, elsewhere):
    if elsewhere:
        monkeypatch.chdir(tmp_path)
    test = open_page("retrieval")
    assert ranks(test) == 2 and sidebar(test) == places.DEMO
    assert test.sidebar.selectbox[0].options == [places.DEMO["baseline"], places.DEMO["ssrnet"]]
    assert list(tmp_path.iterdir()) == []


def test_pages_open_on_the_telling_query(demo, open_page, no_extraction, monkeypatch):
    monkeypatch.setattr(source, "telling_query", lambda bench: bench.dataset.test[3])
    test = whole(open_page("retrieval"))
    names = [image.name for image in open_data(places.DEMO["data"]).dataset.test]
    assert test.query_params["query"] == names[3]
    assert open_page("attention", query=names[5]).query_params["query"] == names[5], "a link's own"


@pytest.mark.parametrize("view", VIEWS)
def test_every_page_opens_on_the_demo(demo, open_page, view):
    test = whole(open_page(view))
    assert sidebar(test) == places.DEMO and "Explain" in [each.label for each in test.expander], (
        "the page is drawn to its end"
    )


def test_attention_draws_cams_of_both_models_on_the_demo(demo, open_page):
    test = open_page("attention")
    assert '<th scope="colgroup" colspan="2">Grad-CAM</th>' in html(test)


def test_the_scoreboard_is_not_troubled_by_the_demo(demo, open_page):
    test = whole(open_page("scoreboard", runs_open="true"))
    assert any("Choose one or several above" in text.value for text in test.markdown)


@pytest.mark.parametrize("part", places.DEMO.values())
def test_without_a_part_of_the_demo_the_page_says_what_to_do(demo, open_page, part):
    shutil.rmtree(demo / part) if (demo / part).is_dir() else (demo / part).unlink()
    test = open_page("retrieval")
    assert not test.exception and "a data folder" in test.info[0].value
    assert set(sidebar(test).values()) <= {"", None}


def test_what_the_url_says_wins(demo, open_page, city, checkpoints):
    for url in ({"data": str(city)}, {"ssrnet": checkpoints["ssrnet"]}, {"data": str(city), **checkpoints}):
        test = open_page("retrieval", **url)
        assert ranks(test) == 2 and sidebar(test) == places.DEMO | url
        assert any("bundled demo" in caption.value for caption in test.sidebar.caption) == ("data" not in url)
    test = open_page("retrieval", data="")
    assert "Still missing: a data folder." in test.info[0].value


@pytest.mark.parametrize("typed", ["~nobody/vehicles", "x" * 5000, "assets"])
def test_whatever_is_typed_is_answered_with_a_sentence(demo, open_page, typed):
    for test in (open_page("retrieval", data=typed), open_page("retrieval", ssrnet=typed)):
        assert not test.exception and len(test.error) == 1


def test_every_field_can_be_changed(demo, open_page, city):
    test = open_page("retrieval")
    test.sidebar.text_input(key="data").set_value("").run()
    assert "Still missing: a data folder." in test.info[0].value
    test.sidebar.text_input(key="data").set_value(str(city)).run()
    assert ranks(test) == 2 and not any("bundled" in caption.value for caption in test.sidebar.caption)
    test.sidebar.selectbox(key="ssrnet").set_value(places.DEMO["baseline"]).run()
    assert ranks(test) == 2 and "Second: Baseline (GB)" in html(test)
    assert sidebar(test) == places.DEMO | {"data": str(city), "ssrnet": places.DEMO["baseline"]}


def test_the_second_start_finds_what_the_first_extracted(open_city, project, monkeypatch, request):
    start_anew()
    first = open_city("retrieval")
    assert ranks(first) == 2
    files = {path: path.read_bytes() for path in kept(project)}
    assert len(files) == 2 and all(read_record(path)["split"] == "test" for path in files)
    request.getfixturevalue("no_extraction")
    second = open_city("retrieval")
    assert html(second) == html(first)
    assert models_table(second) == models_table(first)
    assert {path: path.read_bytes() for path in kept(project)} == files


def test_a_changed_checkpoint_or_data_set_is_extracted_anew(demo, open_page):
    start_anew()
    assert ranks(open_page("retrieval")) == 2 and kept(demo) == []
    path = demo / places.DEMO["ssrnet"]
    checkpoint = load_checkpoint(path)
    save_checkpoint(path, checkpoint.model, tiny.info(checkpoint.model, epoch=99))
    assert ranks(open_page("retrieval")) == 2
    (made,) = kept(demo)
    assert made.name.startswith("city-ssrnet-")
    victim = next((demo / places.DEMO["data"] / "image_test").glob("*.jpg"))
    victim.unlink()
    assert ranks(open_page("retrieval")) == 2
    assert len(kept(demo)) == 3


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_a_damaged_or_foreign_feature_file_is_made_again(demo, open_page, damage):
    start_anew()
    shipped = sorted((demo / feature_files.SHIPPED).iterdir())
    if damage == "cut":
        shipped[0].write_bytes(shipped[0].read_bytes()[:-1])
    else:
        features, record = FeatureSet.load(shipped[0])
        features.save(shipped[0], record | {"dataset_hash": "0" * 16})
    assert ranks(open_page("retrieval")) == 2
    assert [path.name for path in kept(demo)] == [shipped[0].name]


def test_where_features_cannot_be_kept_the_page_goes_on_without(open_city, project):
    start_anew()
    (project / "runs").write_text("a file in the folder's place")
    assert ranks(open_city("retrieval")) == 2


def test_feature_files_are_not_offered_as_checkpoints(demo, open_page):
    (demo / "runs").mkdir()
    for number, path in enumerate((demo / feature_files.SHIPPED).iterdir()):
        shutil.copy(path, demo / f"runs/features{number}.safetensors")
    test = open_page("retrieval")
    assert test.sidebar.selectbox[0].options == [places.DEMO["baseline"], places.DEMO["ssrnet"]]


def test_a_network_that_cannot_be_built_here_is_one_sentence(demo, open_page, monkeypatch):
    def mixed():
        raise InstallationError("torch and torchvision are not from the same build.")

    start_anew()
    monkeypatch.setattr(model, "check_installation", mixed)
    assert ranks(open_page("retrieval")) == 2
    test = open_page("attention")
    assert not test.exception and test.error[0].value == "torch and torchvision are not from the same build."


FIRST_PAGE = """
import sys
from pathlib import Path
from streamlit.testing.v1 import AppTest
from app.workbench import places
from app.widgets import source
from app.widgets.page import VIEWS
places.ROOT = Path.cwd()
page = f"from app.widgets.page import run_view; run_view({sys.argv[1]!r}, '')"
test = AppTest.from_string(page, default_timeout=120).run()
assert not test.exception and not test.error
assert any('class="metrics"' in each.proto.body for each in test.get("html"))
ranked = any("image_rows" == element.proto.component_name for element in test.get("bidi_component"))
assert ranked == (sys.argv[1] == "retrieval")
heavy = {"torchvision", "torch._dynamo", "cv2", "pytorch_grad_cam", "sklearn", "scipy", "matplotlib"}
print(sorted(heavy & set(sys.modules)))
"""


def test_the_demos_first_rank_list_imports_nothing_that_it_does_not_need(demo):
    """Start draws itself plain first, and then loads a network for the pictures in its diagram."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PAGE, "retrieval"],
        cwd=demo,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
