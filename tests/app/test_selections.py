"""Selections as text: what they come back as, how long they are, and what is refused."""

import base64
import zlib

import numpy as np
import pytest

from app.workbench.selections import LONGEST, as_rows, as_text

HASH = "0123456789abcdef"


@pytest.mark.parametrize("rows", [[], [0], [834], [3, 4, 5, 700], range(835)])
def test_a_selection_comes_back(rows):
    text = as_text(rows, 835, HASH)
    assert as_rows(text, 835, HASH) == list(rows) and text.startswith("012345.") and len(text) < 200


def test_half_of_any_8800_images_fit_and_of_many_more_do_not():
    half = np.flatnonzero(np.random.default_rng(0).random(8800) < 0.5)
    assert as_rows(as_text(half, 8800, HASH), 8800, HASH) == half.tolist()
    assert as_text(np.flatnonzero(np.random.default_rng(0).random(50_000) < 0.5), 50_000, HASH) is None
    assert as_text([7, 49_999], 50_000, HASH) is not None, "a few of many fit"


def test_what_is_not_of_this_data_set_or_damaged_selects_nothing():
    good = as_text([1, 2], 20, HASH)
    large = base64.urlsafe_b64encode(zlib.compress(bytes(10**6), 9)).decode()
    for text in (
        good.replace("0123", "3210"),
        good[:-3],
        "012345.",
        "012345.!!",
        "",
        f"012345.{large}",
        "0" * LONGEST * 2,
    ):
        assert as_rows(text, 20, HASH) is None
    assert as_rows(good, 400, HASH) is None and as_rows(as_text([19], 20, HASH), 19, HASH) is None
