"""The last report of the long form: nothing was lost, and tests/README.md shows it."""

import json
from pathlib import Path

import pytest

from tests.soak.report import FOLDER, NOTHING, PARTS, Row, lost, save, table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("part", PARTS)
def test_nothing_was_lost(part):
    rows = json.loads((ROOT / FOLDER / f"{part}.json").read_text())["rows"]
    assert rows and all(row["lost"] == NOTHING and row["times"] > 0 for row in rows), rows


def test_the_readme_of_tests_shows_it():
    assert table(ROOT / FOLDER) in (ROOT / "tests/README.md").read_text()


def test_a_loss_is_reported(tmp_path):
    save(tmp_path, "kills", [Row("a", 1200), Row("b", 3, lost(["it broke", "again"]), "1 s")], seed=5, seconds=90)
    lines = table(tmp_path).splitlines()
    assert lines[2:4] == ["| a | 1,200 | nothing |  |", "| b | 3 | 2 times, first: it broke | 1 s |"]
    assert "`kills`" in lines[5] and "seed 5, 1.5 minutes" in lines[5]
