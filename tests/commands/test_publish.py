import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from ssrnet.commands.publish import PublishSettings, publish_checkpoint, without_folders
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import CheckpointError, ResourceError, SettingsError
from ssrnet.training.checkpoint import file_hash, load_checkpoint, read_checkpoint, save_checkpoint
from ssrnet.training.runs import read_run
from tests import tiny

HOME = "/home/somebody"
TRAINING = {
    "data": f"{HOME}/data/VeRi",
    "more_data": [f"{HOME}/data/city/", "C:\\Users\\Somebody\\twocam"],
    "out": "runs/ssrnet",
    "backbone_weights": "imagenet",
    "start_from": None,
    "epochs": 3,
    "model": {"backbone": "resnet18"},
}


@pytest.fixture
def settings(tmp_path):
    """An SSR-Net as training leaves it, to be published."""
    model = tiny.network(num_classes=5)
    save_checkpoint(tmp_path / "best.safetensors", model, tiny.info(model, training=TRAINING))
    return PublishSettings(tmp_path / "best.safetensors", tmp_path / "out/ssrnet.safetensors")


def test_matrices_and_kernels_become_float16_and_nothing_else(settings):
    publish_checkpoint(settings)
    before, after = load_file(settings.checkpoint), load_file(settings.out)
    assert after.keys() == {name for name in before if not name.startswith("classifiers.")}
    for name, tensor in after.items():
        half = before[name].ndim >= 2
        assert tensor.dtype == (torch.float16 if half else before[name].dtype), name
        assert torch.equal(tensor, before[name].half() if half else before[name]), name
    assert {after[name].dtype for name in after if name.endswith("num_batches_tracked")} == {torch.int64}
    assert settings.out.stat().st_size < 0.52 * settings.checkpoint.stat().st_size
    assert [path.name for path in settings.out.parent.iterdir()] == ["ssrnet.safetensors"]


def test_the_published_network_is_the_same_but_for_rounding(settings, capsys):
    publish_checkpoint(settings)
    before, after = load_checkpoint(settings.checkpoint), load_checkpoint(settings.out)
    assert not after.model.classifiers and after.notes == ()
    assert {parameter.dtype for parameter in after.model.parameters()} == {torch.float32}
    images = tiny.images(3)
    expected, actual = (each.model.trace(images).embedding() for each in (before, after))
    assert not torch.equal(actual, expected) and torch.allclose(
        actual, expected, atol=0.02 * expected.abs().max().item()
    )
    printed = capsys.readouterr().out
    assert f"ssrnet.safetensors: SSR-Net (GB+AB+RB), {settings.out.stat().st_size / 1e6:.1f} MB" in printed
    assert f"hash {file_hash(settings.out)}" in printed and "classifiers over 5 training identities" in printed
    difference = float(printed.split("differ by at most ")[1].split(",")[0])
    assert 0 < difference < 0.02 * expected.abs().max().item()


def test_the_runs_curves_go_along_without_its_folders(settings):
    run = settings.checkpoint.parent
    (run / "settings.json").write_text(json.dumps({**TRAINING, "recipe": "quick", "epochs": 1}))
    (run / "log.jsonl").write_text('{"epoch": 1, "step": 3, "seconds": 2.0, "loss": 1.5}\n')
    publish_checkpoint(settings)
    published = read_run(settings.out.with_suffix(""))
    assert published.state == "finished" and published.series("loss") == ([1], [1.5])
    assert published.settings["recipe"] == "quick"
    text = (published.folder / "settings.json").read_text()
    assert "VeRi" in text and HOME not in text and "Somebody" not in text


def test_the_curves_of_the_run_before_go_along_too(settings, tmp_path):
    for folder, loss in ((tmp_path, 1.5), (tmp_path / "first", 2.5)):
        folder.mkdir(exist_ok=True)
        (folder / "settings.json").write_text(json.dumps({**TRAINING, "recipe": "quick", "epochs": 1}))
        (folder / "log.jsonl").write_text(json.dumps({"epoch": 1, "step": 3, "seconds": 2.0, "loss": loss}) + "\n")
    model = tiny.network(num_classes=5)
    started = TRAINING | {"start_from": str(tmp_path / "first/last.safetensors")}
    save_checkpoint(settings.checkpoint, model, tiny.info(model, training=started))
    publish_checkpoint(settings)
    folder = settings.out.with_suffix("")
    assert read_run(folder).series("loss") == ([1], [1.5])
    assert read_run(folder.with_name("ssrnet-start")).series("loss") == ([1], [2.5])


def test_the_metadata_stays_but_for_the_folders_of_the_machine(settings, capsys):
    publish_checkpoint(settings)
    before, after = load_checkpoint(settings.checkpoint).info, load_checkpoint(settings.out).info
    assert after == replace(before, training=after.training) and after.num_classes == 5
    assert after.training == TRAINING | {"data": "VeRi", "more_data": ["city", "twocam"], "out": "ssrnet"}
    assert "directories stripped from: data, more_data, out\n" in capsys.readouterr().out
    with safe_open(settings.out, "pt") as file:
        assert "omebody" not in json.dumps(file.metadata())


def test_a_published_checkpoint_can_be_published_again(settings):
    publish_checkpoint(settings)
    again = replace(settings, checkpoint=settings.out, out=settings.out.with_name("again.safetensors"))
    publish_checkpoint(again)
    assert again.out.read_bytes() == settings.out.read_bytes()


def test_training_sets_are_stated_anew_and_kept(settings, city, tmp_path, capsys):
    dataset, model = open_dataset(city), tiny.network(num_classes=5)
    info = tiny.info(model, dataset="city", dataset_hash=dataset.content_hash())
    save_checkpoint(settings.checkpoint, model, info)
    publish_checkpoint(replace(settings, training_data=(city,)))
    (stated,) = read_checkpoint(settings.out).info.training_sets
    assert (stated.name, stated.content_hash, len(stated.vehicles)) == ("city", dataset.content_hash(), 6)
    assert f"trained on: city ({dataset.content_hash()}), 18 images of 6 vehicles by 2 cam" in capsys.readouterr().out
    again = replace(settings, checkpoint=settings.out, out=settings.out.with_name("again.safetensors"))
    publish_checkpoint(again)
    assert read_checkpoint(again.out).info.training_sets == (stated,)


def test_training_data_that_it_was_not_trained_on(settings, city):
    with pytest.raises(SettingsError, match="best.safetensors was trained on toys .hash 0123456789abcdef., but"):
        publish_checkpoint(replace(settings, training_data=(city,)))
    assert not settings.out.exists()


@pytest.mark.parametrize(
    ("layer", "number", "message"),
    [
        ("conv1.weight", 1e5, "cannot be published: backbone.conv1.weight has values up to"),
        ("conv1.weight", -np.inf, "holds NaN or infinity in backbone.conv1.weight"),
        ("bn1.bias", np.nan, "holds NaN or infinity in backbone.bn1.bias"),
    ],
)
def test_a_weight_that_does_not_survive_float16(settings, layer, number, message):
    model = load_checkpoint(settings.checkpoint).model
    weight = model.backbone.state_dict()[layer]
    weight[(0,) * weight.dim()] = number
    save_checkpoint(settings.checkpoint, model, tiny.info(model))
    with pytest.raises(CheckpointError, match=f"best.safetensors {message}"):
        publish_checkpoint(settings)
    assert not settings.out.exists()


def test_where_it_cannot_be_written(settings):
    publish_checkpoint(settings)
    before = settings.out.read_bytes()
    with tiny.small_disk(), pytest.raises(ResourceError, match="cannot write"):
        publish_checkpoint(settings)
    assert settings.out.read_bytes() == before and os.listdir(settings.out.parent) == [settings.out.name]


def test_names_that_cannot_be_meant(settings):
    with pytest.raises(SettingsError, match=r"a.pth does not end in .safetensors"):
        replace(settings, out=settings.out.with_name("a.pth"))
    with pytest.raises(SettingsError, match="the checkpoint itself"):
        replace(settings, out=settings.checkpoint.parent / "out/.." / settings.checkpoint.name)


@pytest.mark.parametrize(
    ("value", "stripped"),
    [
        ("/a/b.pth", "b.pth"),
        ("a/b/", "b"),
        ("C:\\a\\b", "b"),
        ("adamw", "adamw"),
        (0.5, 0.5),
        (None, None),
        ([["/a/b"], 3], [["b"], 3]),
        ({"x": {"y": "~/z"}}, {"x": {"y": "z"}}),
    ],
)
def test_paths_are_found_wherever_they_stand(value, stripped):
    assert without_folders(value) == stripped
