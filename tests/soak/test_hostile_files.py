"""The short form: every case but the large ones, once. Then that the harness itself notices each kind of failure."""

import os
import pickle
import sys
import time

import pytest

from ssrnet.errors import DataError
from tests.soak.hostile import Case, Payload
from tests.soak.hostile_files import cases
from tests.soak.trial import Process, run

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are those of Linux")
CASES = [case for group in cases().values() for case in group]
SHORT = [case for case in CASES if not case.long]


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    process = Process(SHORT, tmp_path_factory.mktemp("hostile") / "place")
    yield process
    process.close()


@pytest.mark.parametrize("number", range(len(SHORT)), ids=[ascii(case.name) for case in SHORT])
def test_opens_or_says_why_not(number, process):
    outcome = process.run(number)
    assert not outcome.failure, outcome.failure


def test_no_two_cases_have_one_name():
    assert len(SHORT) >= 200 and len({case.name for case in CASES}) == len(CASES)


def fails(tmp_path, read, expected="either", make=lambda folder, draw: folder) -> str:
    return run(Case("probe", make, read, expected), tmp_path / "place").failure


def test_code_in_a_pickle_would_have_been_seen(tmp_path):
    failure = fails(tmp_path, pickle.loads, make=lambda folder, draw: pickle.dumps(Payload(folder)))
    assert failure == "something outside the case's folder was written"


def test_other_errors_and_other_endings_are_failures(tmp_path):
    def sentence(text):
        def read(folder):
            raise DataError(text)

        return read

    assert "raised KeyError" in fails(tmp_path, lambda folder: {}["no such"])
    assert "SIGABRT" in fails(tmp_path, lambda folder: os.abort())
    assert "no sentence" in fails(tmp_path, sentence("it does not end"))
    assert "expected opens" in fails(tmp_path, sentence("It says so."), "opens")
    assert "expected sentence" in fails(tmp_path, lambda folder: 1, "sentence")
    assert not fails(tmp_path, sentence("It says so."), "sentence")


def test_much_memory_and_much_time_are_failures(tmp_path, monkeypatch):
    assert "MemoryError" in fails(tmp_path, lambda folder: bytearray(2**30 * 3 // 2))
    monkeypatch.setattr("tests.soak.trial.WALL_SECONDS", 1)
    assert "SIGALRM" in fails(tmp_path, lambda folder: time.sleep(60))


def test_a_loop_without_end_is_a_failure(tmp_path):
    def read(folder):
        while True:
            pass

    probe = Case("probe", lambda folder, draw: folder, read, "either", seconds=1)
    assert "SIGPROF" in run(probe, tmp_path / "place").failure


def test_what_is_written_elsewhere_is_a_failure(tmp_path):
    assert "outside" in fails(tmp_path, lambda folder: (folder.parent / "outside" / "kept.txt").write_text("changed"))
    assert "outside" in fails(tmp_path, lambda folder: open("left", "w").close())
