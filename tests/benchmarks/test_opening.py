import pytest

from ssrnet.benchmarks.opening import OpeningBenchmarkSettings, benchmark_opening
from ssrnet.errors import SettingsError


def test_a_folder_opens_without_reading_its_images(capsys):
    """A tenth of the benchmark's images, which are empty files, in a tenth of the ten seconds that those may take."""
    seconds = benchmark_opening(OpeningBenchmarkSettings(images=2_000, folders=10))
    assert set(seconds) == {"flat", "in 10 folders"} and max(seconds.values()) < 1
    assert "2,000 images, flat" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["images", "folders"])
def test_sizes_must_be_possible(name):
    with pytest.raises(SettingsError, match=f"{name} is 0"):
        OpeningBenchmarkSettings(**{name: 0})
