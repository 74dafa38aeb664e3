"""What is loaded in the background, before a page needs it."""

import gc
import logging
import sys
import threading

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import garbage, warmup
from app.widgets import images_beside
from app.widgets.components.image_picker import PAGE
from app.workbench.cache import cached_value
from ssrnet.analysis.attributes import same_vehicle
from tests.app.conftest import REPOSITORY, whole, workbench


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch):
    """As when a server starts, with a short list of libraries, one of which is not installed."""
    st.cache_resource.clear()
    monkeypatch.setattr(warmup, "LIBRARIES", ("no_such_library", "colorsys"))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    monkeypatch.setattr(warmup, "_begun", set())
    garbage._set_aside.cache_clear()


@pytest.fixture
def bench(project, city, checkpoints):
    return workbench(city, checkpoints)


def test_the_viewers_networks_and_query_are_there_for_the_next_page(bench, caplog):
    image = bench.dataset.test[0]
    with caplog.at_level(logging.WARNING):
        warmup.warm_up(bench, image).join()
    assert "colorsys" in sys.modules
    assert all(cached_value("views", (model.hash, image)) for model in bench.networks.values())
    assert "warm-up" not in caplog.text, "the thread has no page to draw on"
    assert warmup.warm_up(bench, image) is None, "once is enough"


def test_what_was_loaded_is_kept_from_the_collection_after_every_run(bench, monkeypatch):
    seen = []
    monkeypatch.setattr(gc, "freeze", lambda: seen.append("colorsys" in sys.modules))
    garbage.set_aside_what_is_loaded()
    garbage.set_aside_what_is_loaded()
    warmup.warm_up(bench, bench.dataset.test[0]).join()
    assert seen == [False, True], "once for what is loaded, and again for more"


def test_a_network_that_cannot_be_loaded_is_left_to_its_page(bench, monkeypatch):
    monkeypatch.setattr(type(bench.baseline), "_load", lambda self: 1 / 0)
    warmup.warm_up(bench, bench.dataset.test[0]).join()
    assert not any(model.is_loaded for model in bench.networks.values())


def test_the_served_app_begins_once_its_page_stands(project, city, checkpoints, monkeypatch):
    seen = []
    monkeypatch.setattr(warmup, "warm_up", lambda bench, image: seen.append((bench.data.dataset.root, image.name)))
    query = workbench(city, checkpoints).dataset.test[3].name
    for url in ({}, {"data": str(city), "query": query, **checkpoints}):
        assert not seen, "without a source there is nothing to load"
        test = AppTest.from_file(str(REPOSITORY / "app/pages.py"), default_timeout=120)
        for key, value in url.items():
            test.query_params[key] = value
        assert not test.run().exception
    assert [(str(root), name) for root, name in seen] == [(str(city), query)]


def serve(view, **url):
    """The page as the served app draws it, and what it begins once it stands."""

    def page(view):
        from app.widgets.page import _serve

        _serve(view, view.title())

    test = AppTest.from_function(page, kwargs={"view": view}, default_timeout=120)
    for key, value in url.items():
        test.query_params[key] = value
    return whole(test.run())


def joined(name):
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join()


def test_umap_is_compiled_once_the_map_stands(project, city, checkpoints, monkeypatch):
    compiled = []
    monkeypatch.setattr(warmup, "warm_up", lambda *_: None)
    monkeypatch.setattr(warmup, "project", lambda vectors, method: compiled.append((vectors.shape, method)))
    for _ in range(2):
        serve("map", data=str(city), **checkpoints)
    joined("warm-up")
    assert compiled == [((64, 64), "UMAP")]


def test_attention_takes_the_pictures_in_view_and_what_stands_beside_them_ahead(
    project, city, checkpoints, monkeypatch
):
    monkeypatch.setattr(warmup, "warm_up", lambda *_: None)
    bench = workbench(city, checkpoints)
    images = bench.dataset.test
    serve("attention", data=str(city), query=images[4].name, attention_images="1", **checkpoints)
    joined("ahead")
    in_view = images[:PAGE]
    for model in bench.networks.values():
        assert all("trace" in vars(cached_value("views", (model.hash, image))) for image in in_view)
        assert not any(cached_value("views", (model.hash, image)) for image in images[PAGE:])

    st.cache_resource.clear()
    last = images[PAGE - 1]
    with monkeypatch.context() as patch:
        patch.setattr(images_beside, "AHEAD", 3)
        serve("attention", data=str(city), query=images[PAGE - 2].name, **checkpoints)
        joined("ahead")
    beside = [last, *same_vehicle(last, images)[:2]]
    for model in bench.networks.values():
        assert all(cached_value("views", (model.hash, image)) for image in beside)
