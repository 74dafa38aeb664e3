"""A few of each fault; `python -m tests.soak faults` tries all pages, all commands and many more points."""

import importlib.util

import pytest

from tests.soak import kills
from tests.soak.clocks import set_back_often
from tests.soak.disks import fill_often, more_jobs, overwrite_once
from tests.soak.replaced import WAYS, grow_and_search, replace_often
from tests.soak.vanishing import vanish_often


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="module")
def by_name(place):
    if importlib.util.find_spec("onnx") is None:
        pytest.skip("onnx is not installed")
    return {job.name: job for job in [*kills.jobs(place, real=False, graph=False), *more_jobs(place)]}


@pytest.mark.parametrize(("name", "shares"), [("extract", (0.5,)), ("synth", (0.0, 0.5)), ("index build", (0.6,))])
def test_a_disk_that_fills_up(by_name, tmp_path, name, shares):
    outcome = fill_often(by_name[name], tmp_path, shares)
    assert outcome.failures == []
    assert outcome.kills == len(shares) == outcome.finished


def test_a_disk_that_fills_up_leaves_the_old_file(by_name, tmp_path):
    outcome = fill_often(by_name["import"], tmp_path, (0.5,))
    assert outcome.failures == [] and outcome.kills == 1
    overwrite_once(by_name["import"], tmp_path / "disk", tmp_path / "import/reference")


def test_what_vanishes_while_the_app_shows_it(tmp_path):
    outcome = vanish_often(tmp_path, ("retrieval", "attention", "scoreboard"))
    assert outcome.failures == [] and outcome.kills == 12


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_written_over_while_it_is_loaded(tmp_path, way):
    for kind, times in (("checkpoint", 5), ("features", 30)):
        outcome, sentences = replace_often(kind, way, tmp_path / kind, times, seed=0)
        assert outcome.failures == []
        assert sentences == 0 or way != "replaced", "a file that is replaced is always whole"


def test_an_index_is_searched_while_its_writer_is_killed(tmp_path):
    outcome, searches = grow_and_search(tmp_path / "grown", 3, seed=0)
    assert outcome.failures == [] and outcome.kills == 3 and searches > 0


def test_a_clock_set_back(by_name, place, tmp_path):
    outcome = set_back_often(by_name["train"], tmp_path, place / "city", 1, seed=0)
    assert outcome.failures == [] and outcome.finished == outcome.kills == 1
