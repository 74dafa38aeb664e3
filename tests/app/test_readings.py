"""The folded box at the foot of a page: the readings that concern it, and what the opened networks have otherwise."""

import re

import pytest

from ssrnet.studies.readings import readings_of
from tests.app.conftest import whole

SYMBOLS = {"story": r"$f_{\mathrm{attn}}$", "graph": "$a_{ij}$", "regions": "$F_L$", "scoreboard": r"$\mathcal{L}"}


@pytest.mark.parametrize("page", SYMBOLS)
def test_a_page_shows_the_readings_that_concern_it_once_opened(open_city, page):
    test = open_city(page)
    assert readings_of(page)[0].words not in " ".join(each.value for each in test.markdown), "folded"
    test.session_state["readings"] = True
    said = " ".join(each.value for each in whole(test.run()).markdown)
    for reading in readings_of(page):
        assert f"{reading.where}: “{reading.words}”" in said and reading.setting in said
    assert SYMBOLS[page] in said and not re.search(r"\{\w+(:.*?)?\} (%|M|G)", said), "numbers are filled in"
    if page == "scoreboard":
        assert "SSR-Net (GB+AB+RB) has `--epochs 3`." in said, "as the opened file says"
