import os

import pytest

from ssrnet import cli
from ssrnet.benchmarks.training import TrainingBenchmarkSettings, TrainingSpeed, benchmark_training
from ssrnet.errors import SettingsError
from tests import tiny


def test_the_benchmark_times_every_way_in_one_run(city, tmp_path, capsys):
    training = tiny.training(city, tmp_path / "out", sizes=((0, 32),))
    speed = benchmark_training(TrainingBenchmarkSettings(city, training, rounds=2, steps=1, warmup=1))
    assert min(speed.step, speed.cached, speed.decoded, speed.resnet50) > 0
    assert 0 <= speed.loader_share < 1 and 0 <= speed.decoding_share < 1
    assert 50e6 < speed.memory < 50e9
    said = capsys.readouterr().out
    assert "SSR-Net (GB+AB+RB), 2 x 2 images of 32 pixels a batch, float32, CPU" in said
    for words in ("step alone", "with images from the cache", "of the step", "torchvision ResNet-50", "peak memory"):
        assert words in said
    assert f"{speed.resnet50 / speed.step:8.2f}\n" in said
    assert not os.listdir(tmp_path)  # the cache was temporary, and nothing was trained for good


def test_shares_are_of_the_steps_time():
    speed = TrainingSpeed(step=200, cached=180, decoded=50, resnet50=400, memory=1)
    assert speed.loader_share == pytest.approx(0.1) and speed.decoding_share == pytest.approx(0.75)
    assert TrainingSpeed(100, 101, 100, 100, 1).loader_share == 0  # noise


def test_the_command_line(city, monkeypatch):
    caught = []
    monkeypatch.setattr(cli, "HANDLERS", dict.fromkeys(cli.HANDLERS, caught.append))
    cli.run(["benchmark", "training", "--data", str(city), "--steps", "3", "--training.identities-per-batch", "4"])
    settings = caught[0].what
    assert isinstance(settings, TrainingBenchmarkSettings) and settings.steps == 3
    assert settings.training.identities_per_batch == 4 and settings.training.recipe == "strong"


@pytest.mark.parametrize("name", ["rounds", "steps"])
def test_settings_that_cannot_work(city, name):
    with pytest.raises(SettingsError, match=f"{name} is 0; it must be at least 1"):
        TrainingBenchmarkSettings(city, **{name: 0})
