"""What is loaded in the background, before a page needs it."""

import logging
import sys
import threading

import pytest
import streamlit as st

from app import warmup
from app.workbench.cache import cached_value
from tests.app.conftest import workbench


@pytest.fixture
def bench(project, city, checkpoints):
    st.cache_resource.clear()  # networks that earlier tests have loaded
    return workbench(city, checkpoints)


@pytest.fixture
def server(monkeypatch):
    """As when a server starts, with a short list of libraries, one of which is not installed."""
    monkeypatch.setattr(warmup, "LIBRARIES", ("no_such_library", "colorsys"))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    monkeypatch.setattr(warmup, "_imports", threading.Thread(target=warmup._import_libraries))
    monkeypatch.setattr(warmup, "_opened", set())
    warmup.import_libraries()


def wait_for_others():
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        if thread.name.endswith("(work)"):
            thread.join(60)


def views(bench):
    image = bench.dataset.test[0]
    return [cached_value("views", (model.hash, image)) for model in bench.networks.values()]


def test_the_viewers_networks_and_query_are_there_for_the_next_page(server, bench, caplog):
    with caplog.at_level(logging.WARNING):
        warmup.open_networks(bench)
        wait_for_others()
    assert "colorsys" in sys.modules
    assert all(model.is_loaded for model in bench.networks.values()) and None not in views(bench)
    assert not [each for each in caplog.records if "(work)" in each.getMessage()], "the thread has no page to draw on"

    st.cache_resource.clear()
    warmup.open_networks(bench)
    wait_for_others()
    assert not any(model.is_loaded for model in bench.networks.values()), "once is enough"


def test_a_network_that_cannot_be_loaded_is_left_to_its_page(server, bench, monkeypatch):
    monkeypatch.setattr(type(bench.baseline), "_load", lambda self: 1 / 0)
    warmup.open_networks(bench)
    wait_for_others()
    assert views(bench) == [None, None]


def test_a_page_without_a_server_loads_nothing(bench):
    warmup.open_networks(bench)
    wait_for_others()
    assert not any(model.is_loaded for model in bench.networks.values())
