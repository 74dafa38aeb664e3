"""The short form: fewer gestures of as many viewers; and that what is somebody else's, or wrong, is noticed."""

import random
import re

import pytest
from streamlit.proto.Element_pb2 import Element

from tests.browser.look import served
from tests.browser.test_app import CHROMIUM, playwright  # noqa: F401
from tests.soak.viewer import Shown, Viewer
from tests.soak.viewers import CHROMIUMS, SOCKETS, Load, Visitor, crowd

GESTURES = 4
OTHERS = re.compile(rb"viewer\d\dword")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: sh tests/browser/install_chromium.sh")
def test_twenty_viewers_see_no_error_and_nothing_of_each_other():
    with served() as (address, pid):
        load = crowd(address, pid, GESTURES, seed=0)
    assert not load.problems
    assert len(load.sockets) == SOCKETS * GESTURES and len(load.chromiums) == CHROMIUMS * GESTURES


@pytest.fixture
def visitor():
    return Visitor(3, Viewer("http://nowhere"), ["a.jpg"], random.Random(0), query="a.jpg")


def test_another_viewers_word_is_noticed(visitor):
    visitor.viewer.received.append(b"... viewer03word-a.png ...")
    visitor.look(OTHERS)
    assert not visitor.problems
    visitor.viewer.received.append(b"... viewer04word-a.png ...")
    visitor.look(OTHERS)
    assert visitor.problems == ["viewer 3 was sent viewer04word"]


def test_another_viewers_query_and_an_error_are_noticed(visitor):
    picture, alert = Element(), Element()
    picture.imgs.imgs.add().caption = "Query: b.jpg"
    alert.alert.body, alert.alert.format = "it is broken.", 1
    visitor.viewer.shown = {(0,): Shown(picture, ""), (1,): Shown(alert, "")}
    visitor.look(OTHERS)
    assert visitor.problems == ["viewer 3 saw: it is broken.", "viewer 3 asked for a.jpg and is shown b.jpg"]


def test_memory_that_grows_is_told_from_memory_that_has_grown():
    def load(memory):
        return Load([], [], [], [], list(enumerate(memory)))

    assert load([1, 5, 9, 9, 9, 9, 9]).growth == 0
    assert load([1, 2, 3, 4, 5, 6, 7]).growth > 0.5
