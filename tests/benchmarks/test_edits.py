import pytest

from ssrnet.benchmarks.edits import EditsBenchmarkSettings, benchmark_edits
from ssrnet.errors import SettingsError
from tests import tiny


def test_switches_are_timed_beside_a_forward_pass(capsys):
    model = tiny.network().settings
    times = benchmark_edits(EditsBenchmarkSettings(images=40, image_size=64, rounds=2, model=model))
    assert min(times.query, times.both, times.forward) > 0
    said = capsys.readouterr().out
    assert "40 images" in said and f"{times.both / times.forward:6.2f} forward passes" in said


def test_a_network_without_a_graph_is_one_sentence():
    model = tiny.network(**tiny.BASELINE).settings
    with pytest.raises(SettingsError, match="no relation branch"):
        benchmark_edits(EditsBenchmarkSettings(images=40, image_size=64, model=model))


@pytest.mark.parametrize("name", ["images", "image_size", "rounds"])
def test_sizes_must_be_possible(name):
    with pytest.raises(SettingsError, match=f"{name} is 0"):
        EditsBenchmarkSettings(**{name: 0})
