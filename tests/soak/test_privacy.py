"""The short form: a sample of all links, every request and upload; and that a leaked word or picture is noticed."""

import asyncio

import pytest

from tests.browser.serving import started
from tests.soak.privacy import Leaks, attempts, follow, make, thumbnail
from tests.soak.report import NOTHING


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return make(tmp_path_factory.mktemp("places"))


def test_nothing_outside_is_read_and_nothing_is_written(places):
    rows = attempts(*places, step=29)
    assert [row.lost for row in rows] == [NOTHING] * len(rows), rows
    assert rows[0].times > 50


def test_a_leak_would_be_noticed(places):
    served, outside = places
    looks = {True: Leaks(set()), False: Leaks({thumbnail(path) for path in (outside / "city").glob("*.jpg")})}
    with started(served, roots=True) as (address, _):
        for words, seen in looks.items():
            asyncio.run(follow(address, [("retrieval", "data", str(outside / "city"))], seen, words))
            assert "shows what lies outside" in seen.leaks[0]
