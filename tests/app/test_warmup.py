"""What is loaded in the background, before a page needs it."""

import logging
import sys

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import warmup
from app.workbench.cache import cached_value
from tests.app.conftest import REPOSITORY, workbench


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch):
    """As when a server starts, with a short list of libraries, one of which is not installed."""
    st.cache_resource.clear()
    monkeypatch.setattr(warmup, "LIBRARIES", ("no_such_library", "colorsys"))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    monkeypatch.setattr(warmup, "_begun", set())


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


def test_umap_is_compiled_once_while_the_map_shows_pca(open_city, monkeypatch):
    compiled = []
    monkeypatch.setattr(warmup, "project", lambda vectors, method: compiled.append((vectors.shape, method)))
    open_city("map")
    open_city("map")
    assert compiled == [((64, 64), "UMAP")]
