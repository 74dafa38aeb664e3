"""No link, data set or index leads the app to a folder that nobody chose."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from app.workbench import roots
from tests.app.conftest import html, models_listed, rows_of_pictures
from tests.app.test_index_search import QUERY, index  # noqa: F401

OUTSIDE = "is outside the folders that this page may read"


@pytest.fixture
def elsewhere(city, tmp_path) -> Path:
    return Path(shutil.copytree(city, tmp_path / "elsewhere"))


@pytest.fixture
def closed(project, monkeypatch):
    """Nothing is open but the project; whoever asks sits at the computer that serves the page."""
    monkeypatch.delenv(roots.NAMED)
    monkeypatch.setattr(roots, "listens_on", lambda: "localhost")
    roots._opened().clear()
    yield
    roots._opened().clear()


@pytest.fixture
def models(project, checkpoints) -> dict[str, str]:
    """The checkpoints, by paths in the project."""
    shutil.copytree(Path(checkpoints["ssrnet"]).parent, project / "checkpoints")
    return {role: f"checkpoints/{role}.safetensors" for role in checkpoints}


def errors(test) -> list[str]:
    assert not test.exception, test.exception
    return [each.value for each in test.error]


def ranked(test) -> bool:
    """Whether the page shows metrics and a rank list."""
    return not errors(test) and bool(models_listed(test)) and QUERY in html(test)


def test_a_link_opens_nothing_outside_until_the_viewer_says_so(open_page, closed, elsewhere, models):
    test = open_page("retrieval", data=str(elsewhere), query=QUERY, **models)
    (sentence,) = errors(test)
    assert sentence.startswith(str(elsewhere)) and OUTSIDE in sentence and not models_listed(test)
    test.button[0].click().run()
    assert ranked(test)
    assert roots.further_roots() == [elsewhere.resolve()]


def test_a_typed_path_is_chosen(open_page, closed, elsewhere, models):
    test = open_page("retrieval", query=QUERY, **models)
    test.sidebar.text_input(key="data").set_value(str(elsewhere)).run()
    assert ranked(test)


def test_on_a_server_for_others_typing_and_clicking_open_nothing(open_page, closed, elsewhere, models, monkeypatch):
    monkeypatch.setattr(roots, "listens_on", lambda: "0.0.0.0")
    test = open_page("retrieval", query=QUERY, **models)
    test.sidebar.text_input(key="data").set_value(str(elsewhere)).run()
    (sentence,) = errors(test)
    assert OUTSIDE in sentence and roots.NAMED in sentence
    assert not [button for button in test.button if button.label == "Open this folder"]
    roots.open_root(elsewhere)
    assert not roots.further_roots()
    monkeypatch.setenv(roots.NAMED, os.pathsep.join(["/nowhere", str(elsewhere)]))
    assert ranked(test.run())


def test_roots_that_were_named_are_all(open_page, closed, elsewhere, models, monkeypatch, tmp_path):
    monkeypatch.setenv(roots.NAMED, str(tmp_path / "other"))
    test = open_page("retrieval", query=QUERY, **models)
    test.sidebar.text_input(key="data").set_value(str(elsewhere)).run()
    assert OUTSIDE in errors(test)[0] and not roots.may_open()


@pytest.mark.parametrize("key", ["baseline", "ssrnet"])
def test_a_checkpoint_outside(open_page, closed, city, models, checkpoints, project, key):
    shutil.copytree(city, project / "city")
    (sentence,) = errors(open_page("retrieval", data="city", **{**models, key: checkpoints[key]}))
    assert sentence.startswith(checkpoints[key]) and OUTSIDE in sentence


def test_a_run_outside(open_page, closed, run, elsewhere):
    (sentence,) = errors(open_page("scoreboard", runs=str(run.out)))
    assert sentence.startswith(str(run.out)) and OUTSIDE in sentence


def test_two_parts_of_a_page_that_name_one_folder_offer_it_once(open_page, closed, elsewhere):
    test = open_page("scoreboard", data=str(elsewhere), runs=str(elsewhere), baseline="a", ssrnet="b")
    assert [OUTSIDE in sentence for sentence in errors(test)] == [True, True]
    assert [button.label for button in test.button].count("Open this folder") == 1


@pytest.mark.parametrize(
    "spelled", ["../elsewhere", "inside/../../elsewhere", "link", "link/.", "./link/image_test/.."], ids=str
)
def test_ways_around(project, closed, city, spelled):
    shutil.copytree(city, project / "inside")
    outside = project.parent / "elsewhere"
    if not outside.exists():
        shutil.copytree(city, outside)
    (project / "link").symlink_to(outside)
    with pytest.raises(roots.OutsideError):
        roots.check(Path(spelled), (project,))
    assert roots.check(Path("inside/../inside"), (project,)) == Path("inside/../inside")


@pytest.mark.parametrize("whole_folder", [False, True], ids=["image", "folder"])
def test_a_data_set_whose_images_are_links_out(open_page, closed, city, elsewhere, models, project, whole_folder):
    own = project / "city"
    shutil.copytree(city, own)
    linked = own / "image_test" if whole_folder else own / "image_test" / QUERY
    if whole_folder:
        shutil.rmtree(linked)
    else:
        linked.unlink()
    linked.symlink_to(elsewhere / linked.relative_to(own))
    test = open_page("retrieval", data="city", query=QUERY, **models)
    (sentence,) = errors(test)
    assert sentence.startswith(str(Path("city") / linked.relative_to(own))) and OUTSIDE in sentence
    test.button[0].click().run()
    assert ranked(test)


def test_pictures_that_an_index_names_outside_are_grey(open_page, closed, city, models, index, project):  # noqa: F811
    shutil.copytree(city, project / "city")
    shutil.copytree(index, project / "index")
    test = open_page("retrieval", data="city", query=QUERY, index="index", index_other_cameras="false", **models)
    (sentence,) = errors(test)
    assert OUTSIDE in sentence and sentence.startswith(str(city.resolve()))
    *_, row = rows_of_pictures(test)
    assert len({picture["uri"] for picture in row["pictures"]}) == 1, "all the same grey field"
    next(button for button in test.button if button.label == "Open this folder").click().run()
    *_, row = rows_of_pictures(test)
    assert not errors(test) and len({picture["uri"] for picture in row["pictures"]}) > 5


def test_what_the_sidebar_says(open_page, closed, city, models, project, monkeypatch):
    shutil.copytree(city, project / "city")

    def said(test) -> str:
        return next(each.value for each in test.sidebar.caption if "reach" in each.value)

    assert "Only this computer" in said(open_page("retrieval", data="city", query=QUERY, **models))
    monkeypatch.setattr(roots, "listens_on", lambda: "10.0.0.7")
    assert "the server listens on 10.0.0.7" in said(open_page("retrieval", data="city", query=QUERY, **models))


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("example.org", False),
        ("unix:///tmp/socket", False),
    ],
)
def test_addresses(monkeypatch, address, local):
    monkeypatch.setattr(roots, "listens_on", lambda: address)
    assert roots.is_local() is local


def test_every_picture_is_checked_even_where_its_folder_is_open(tmp_path):
    from ssrnet.data.records import VehicleImage

    inside, outside = tmp_path / "in", tmp_path / "out.png"
    inside.mkdir()
    Image.new("RGB", (8, 8)).save(outside)
    (inside / "a.png").symlink_to(outside)
    with pytest.raises(roots.OutsideError):
        roots.check_images([VehicleImage(inside / "a.png", "a.png", "1", "c1", {})], (inside,))
