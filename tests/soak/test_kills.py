"""A few kills of each command; `python -m tests.soak kills` does twenty, with rendering and tracing."""

import importlib.util

import pytest

from tests.soak.kills import jobs, kill_often

KILLS = {"train": 2, "synth": 3, "index build": 2, "export": 2}  # of `extract` in tests/index/test_partial.py
NEEDS = {"export": ("onnx", "onnxscript", "onnxruntime")}


@pytest.fixture(scope="module")
def by_name(tmp_path_factory):
    return {job.name: job for job in jobs(tmp_path_factory.mktemp("inputs"), real=False)}


@pytest.mark.parametrize("name", KILLS)
def test_killed_and_started_again(by_name, tmp_path, name):
    missing = [package for package in NEEDS.get(name, ()) if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    outcome = kill_often(by_name[name], tmp_path, KILLS[name], seed=1)
    assert outcome.failures == []
    assert outcome.kills == KILLS[name] and outcome.finished >= 1
