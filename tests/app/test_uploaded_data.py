"""Uploads as the session's data set, on every page through Streamlit's own test runner."""

import gc
import io
import zipfile
from types import FunctionType, ModuleType

import numpy as np
import pytest
from PIL import Image

from app.workbench.cache import SESSION, _stores
from ssrnet.data.datasets import open_dataset
from ssrnet.data.uploaded_set import NAME
from ssrnet.data.uploads import PictureInMemory, read_uploads
from tests.app.conftest import html, rows_of_pictures, whole
from tests.app.test_images import upload

NAMES = ("a.png", "b.png", "c.png", "night/d.png", "night/gate/e.png", "night/gate/copy of a.png")
WORD = "Open your 6 pictures as a data set"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 255, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name)
    (root / NAMES[-1]).write_bytes((root / NAMES[0]).read_bytes())
    return root


@pytest.fixture(scope="module")
def packed(photos):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in NAMES:
            archive.write(photos / name, f"fleet/{name}")
        archive.writestr("__MACOSX/fleet/._a.png", b"x")
        archive.writestr("fleet/inner.zip", b"x")
    return "fleet.zip", buffer.getvalue(), "application/zip"


@pytest.fixture
def open_uploads(open_page, packed, checkpoints):
    """``open_uploads(view, **url)``: a page in a session that has uploaded the zip file and opened it as a data set."""

    def run(view: str, **url: str):
        test = open_page(view, data=NAME, **checkpoints, **url)
        assert "uploaded in another session" in test.error[0].value
        test.session_state[SESSION] = {("uploads", "images_gallery"): ((), read_uploads([packed[:2]]))}
        return whole(test.run())

    return run


def uploads_in_shared_caches() -> list[str]:
    """Kinds of values, shared by all sessions, that lead to an uploaded image."""
    kinds, seen = [], set()
    left = [(kind, entry.value) for kind, store in _stores().items() for entry in store.entries.values()]
    while left:
        kind, thing = left.pop()
        if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType):
            continue
        seen.add(id(thing))
        kinds += [kind] if isinstance(thing, PictureInMemory) else []
        left += [(kind, each) for each in gc.get_referents(thing)]
    return kinds


def button(test, label):
    return next(each for each in test.button if each.label == label)


def test_a_zip_is_uploaded_opened_and_left_again(open_city, city, packed, project):
    test = open_city("images")
    upload(test, gallery=[packed])
    assert WORD in [each.label for each in test.button] and not test.warning
    whole(test.run()).button(key="sidebar_open_uploads").click()  # the page's own leads to Retrieval
    whole(test.run())
    assert test.text_input(key="data").value == NAME == test.query_params["data"]
    assert any("6 images, no labels" in each.value for each in test.caption)
    assert any("in this session's memory alone" in each.value for each in test.caption)
    assert WORD not in [each.label for each in test.button], "it is open"
    button(test, f"Back to {city.name}").click()
    whole(test.run())
    assert test.text_input(key="data").value == str(city) and WORD in [each.label for each in test.button]


@pytest.mark.parametrize("view", ["retrieval", "regions", "graph", "failures"])
def test_its_numbers_are_those_of_the_folder(open_page, open_uploads, photos, checkpoints, project, view):
    url = {"failures": {}, "regions": {"query": NAMES[0], "regions_lambda": "0.75"}}.get(view, {"query": NAMES[0]})

    def rows(test):
        if view == "regions":
            button(test, "Rank the gallery at this λ").click()
            whole(test.run())
        return rows_of_pictures(test)

    ours = rows(open_uploads(view, **url))
    assert not list(project.rglob("*")), "nothing is written to the disk"
    assert not uploads_in_shared_caches(), "nothing outlives the session"
    of_folder = rows(whole(open_page(view, data=str(photos), layout="unlabelled", **checkpoints, **url)))
    assert ours == of_folder and len(ours) == {"failures": 1, "graph": 1}.get(view, 2)


@pytest.mark.parametrize("view", ["attention", "story", "map", "start"])
def test_every_page_shows_it(open_uploads, project, view):
    test = open_uploads(view, query=NAMES[3])
    assert NAMES[3] in html(test)
    assert not list(project.rglob("*")) and not uploads_in_shared_caches()
    assert not any("One of your images" in each.label for each in test.toggle), "they are the data set"


def test_pictures_uploaded_afterwards_are_offered_and_keep_what_is_known(open_uploads, packed):
    test = open_uploads("retrieval")
    values = test.session_state[SESSION]
    rows = {key: value for key, value in values.items() if key[0] == "feature row"}
    assert len(rows) == 2 * 5, "of two networks, the copy once"
    one = io.BytesIO()
    Image.new("RGB", (40, 30), (9, 99, 9)).save(one, "PNG")
    values["uploads", "story_upload"] = (), read_uploads([("z.png", one.getvalue())])
    whole(test.run())
    assert any("6 images, no labels" in each.value for each in test.caption), "the data set is as it was opened"
    button(test, "Open your 7 pictures as a data set").click()
    whole(test.run())
    assert any("7 images, no labels" in each.value for each in test.caption)
    again = {key: value for key, value in test.session_state[SESSION].items() if key[0] == "feature row"}
    assert len(again) == 2 * 6 and all(again[key] is rows[key] for key in rows)


def test_its_labels_are_a_download_for_the_folder_that_was_packed(open_uploads, photos, project, offered):
    test = open_uploads("label")
    assert any("Nothing of uploads is written on the server" in each.value for each in test.caption)
    assert not [each for each in test.text_input if each.label == "Save in"]
    labelling = test.session_state["labelling"]
    labelling.relate(NAMES[0], NAMES[5], True)
    whole(test.run())
    text = offered["label_download"]()
    assert not list(project.rglob("*")) and labelling.path is None
    (photos / "manifest.csv").write_text(text)
    try:
        labelled = open_dataset(photos)
    finally:
        (photos / "manifest.csv").unlink()
    assert sorted(image.name for image in labelled.gallery) == [NAMES[0], NAMES[5]]


def test_one_picture_is_no_data_set(open_city, packed):
    test = open_city("images")
    one = io.BytesIO()
    Image.new("RGB", (40, 30)).save(one, "PNG")
    upload(test, gallery=[("z.png", one.getvalue(), "image/png")])
    assert not [each for each in test.button if "as a data set" in each.label]
