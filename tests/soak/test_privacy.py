"""The short form: one key of a link, all requests and uploads; and that a word or picture which is shown is noticed."""

import asyncio

from tests.browser.serving import started
from tests.soak.privacy import Told, follow, make, soak, thumbnail
from tests.soak.report import NOTHING


def test_nothing_outside_is_read_and_nothing_is_written(tmp_path):
    rows = soak(tmp_path, 0, keys=1)
    assert [row.lost for row in rows] == [NOTHING] * len(rows), rows
    assert rows[0].times > 100


def test_what_is_shown_would_be_noticed(tmp_path):
    served, outside = make(tmp_path)
    told = {True: Told(set()), False: Told({thumbnail(path) for path in (outside / "city").glob("*.jpg")})}
    with started(served, roots=True) as (address, _):
        for words, heard in told.items():
            asyncio.run(follow(address, [("retrieval", "data", str(outside / "city"))], heard, words))
            assert "shows what lies outside" in heard.found[0]
