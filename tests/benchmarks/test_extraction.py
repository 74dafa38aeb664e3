import json
from dataclasses import replace

import pytest
import torch
from torchvision.models import resnet18

from ssrnet import cli
from ssrnet.benchmarks import extraction
from ssrnet.benchmarks.extraction import (
    BASELINE,
    CHANNELS_FIRST,
    OURS,
    TORCHVISION,
    WAYS,
    ExtractionBenchmarkSettings,
    ExtractionSpeed,
    benchmark_extraction,
    table,
)
from ssrnet.errors import DataError, ResourceError, SettingsError
from ssrnet.model import ModelSettings
from tests.data import layouts


@pytest.fixture
def settings(city):
    return ExtractionBenchmarkSettings(
        city,
        model=ModelSettings(backbone="resnet18"),
        image_size=32,
        batches=(1, 3),
        images=4,
        decoded=14,
        rounds=2,
        workers=0,
        device="cpu",
    )


def test_every_way_is_timed_at_every_size_and_from_files(settings, tmp_path, capsys):
    speed = benchmark_extraction(replace(settings, out=tmp_path / "speed.json"))
    assert speed.alone.keys() == speed.whole.keys() == set(WAYS) and speed.best in (1, 3)
    for way in WAYS:
        assert speed.alone[way].keys() == {1, 3}
        assert all(len(times) == 2 and min(times) > 0 for times in (*speed.alone[way].values(), speed.whole[way]))
    said = capsys.readouterr().out
    assert "resnet18 at last stride 1, 32 pixels, float32, cpu, " in said and table(speed) in said
    assert f"best batch size for SSR-Net: {speed.best} (extraction takes " in said
    assert f"{speed.over(OURS, BASELINE, speed.best):.3f} of its baseline's (goal: at most 1.12)" in said
    written = json.loads((tmp_path / "speed.json").read_text())
    assert written["best"] == speed.best and written["whole"] == speed.whole
    assert [path.name for path in tmp_path.iterdir()] == ["speed.json"]


def test_all_ways_take_turns_on_the_same_network(settings, monkeypatch):
    calls, timed = [], extraction.timed
    monkeypatch.setattr(
        extraction, "timed", lambda way, times, device: (calls.append(times), timed(way, times, device))[1]
    )
    benchmark_extraction(settings)
    assert calls == 8 * [1] + 2 * (4 * [4] + 4 * [2]) + 8 * [1]  # warming up, rounds of four and six images, then files
    networks = extraction._networks(settings, torch.device("cpu"))
    first, plain, baseline, _ = networks.values()
    assert {name: w.shape for name, w in first.named_parameters()} == {
        name: w.shape for name, w in resnet18().named_parameters() if not name.startswith("fc.")
    }
    plain.load_state_dict(first.state_dict())
    baseline.backbone.load_state_dict(first.state_dict())
    batch = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        a, b, c = first(batch), plain(batch), baseline.trace(batch).f_G
    assert torch.allclose(a, b, atol=1e-4) and torch.allclose(a, c, atol=1e-4)
    assert first.conv1.weight.is_contiguous()
    assert plain.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_ratios_are_medians_of_the_rounds():
    def times(*whole):
        return {8: [1.0, 2.0, 9.0], 16: [1.0, 1.0, 1.0]}, list(whole)

    alone = {way: times()[0] for way in WAYS} | {OURS: {8: [1.1, 2.4, 9.0], 16: [2.0, 2.0, 2.0]}}
    whole = {CHANNELS_FIRST: [0.5], TORCHVISION: [0.25], BASELINE: [0.2], OURS: [0.3]}
    speed = ExtractionSpeed(alone, whole, 16)
    assert speed.over(OURS, BASELINE, 8) == pytest.approx(1.1) and speed.over(OURS, BASELINE, 16) == 2
    assert speed.over(OURS, BASELINE) == pytest.approx(1.5)
    header, first, plain, baseline, ours, _, *ratios = table(speed).splitlines()
    assert header.split() == ["images", "a", "second", "batch", "8", "batch", "16", "decoded"]
    assert plain.split() == ["torchvision", "0.5", "1.0", "4.0"] and ours.split() == ["SSR-Net", "0.4", "0.5", "3.3"]
    assert first.split()[-1] == "2.0" and baseline.split()[-1] == "5.0"
    assert ratios[-1].split() == ["SSR-Net", "over", "baseline", "1.100", "2.000", "1.500"]


def test_a_batch_that_the_memory_does_not_take(settings, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(extraction, "embeddings", full)
    with pytest.raises(
        ResourceError, match="the memory of cpu does not take one of the batches; give smaller --batches"
    ):
        benchmark_extraction(settings)


def test_data_without_test_images(settings, tmp_path):
    data = layouts.folders(tmp_path / "data", {"image_train": layouts.VERI_TEST})
    with pytest.raises(DataError, match="data has no test images; name another --data"):
        benchmark_extraction(replace(settings, data=data))


def test_the_command_line(city, monkeypatch):
    caught = []
    monkeypatch.setattr(cli, "HANDLERS", dict.fromkeys(cli.HANDLERS, caught.append))
    cli.run(["benchmark", "extraction", "--data", str(city), "--batches", "2", "4", "--model.backbone", "resnet18"])
    settings = caught[0].what
    assert isinstance(settings, ExtractionBenchmarkSettings) and settings.batches == (2, 4)
    assert settings.model.backbone == "resnet18" and settings.image_size == 256


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rounds": 0}, "rounds is 0; it must be at least 1"),
        ({"image_size": 16}, "image_size is 16; it must be at least 32"),
        ({"batches": (4, 2)}, r"--batches is \(4, 2\); give whole numbers from 1, in ascending order"),
        ({"batches": (0,)}, r"--batches is \(0,\)"),
    ],
)
def test_settings_that_cannot_work(changes, sentence):
    with pytest.raises(SettingsError, match=sentence):
        ExtractionBenchmarkSettings(**changes)


def test_bfloat16_is_for_cuda(settings):
    with pytest.raises(SettingsError, match="bfloat16 is for CUDA only"):
        benchmark_extraction(replace(settings, precision="bfloat16"))
