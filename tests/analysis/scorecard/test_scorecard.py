import json

import pytest

from ssrnet.analysis.scorecard.scorecard import read_scorecard
from ssrnet.errors import DataError, ResourceError
from tests.analysis.scorecard import toys


def test_it_comes_back_from_its_file_as_it_was(tmp_path):
    scorecard = toys.scorecard()
    scorecard.write(tmp_path / "new/ü.json")
    assert read_scorecard(tmp_path / "new/ü.json") == scorecard
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["ü.json"]
    values = json.loads((tmp_path / "new/ü.json").read_text(encoding="utf-8"))
    assert (values["confidence"], values["replicates"], values["bootstrap_seed"]) == (0.95, 2000, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("models"),
        lambda v: v["protocols"][0]["slices"][0].pop("rows"),
        lambda v: v.update(more=1),
        lambda v: v.update(protocols=None),
    ],
)
def test_a_damaged_file(tmp_path, change):
    path = tmp_path / "c.json"
    toys.scorecard().write(path)
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="c.json is not a comparison of models .*; write one with `ssrnet compare`"):
        read_scorecard(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 3}', "null", "{"])
def test_another_file(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(DataError, match="c.json is (not a comparison of models|of the format 3)"):
        read_scorecard(path)
    with pytest.raises(DataError, match="there.json is not a comparison"):
        read_scorecard(tmp_path / "there.json")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot write"):
        toys.scorecard().write(tmp_path / "file" / "c.json")
