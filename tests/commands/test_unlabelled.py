"""What commands do with a folder of images that nobody has labelled."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ssrnet.commands.compare import CompareSettings, compare_checkpoints
from ssrnet.commands.doctor import DoctorSettings, doctor
from ssrnet.commands.evaluate import EvaluateSettings, evaluate_model
from ssrnet.commands.extract import FeatureFileSettings, write_feature_file
from ssrnet.commands.index_build import BuildSettings, build_index
from ssrnet.commands.index_search import SearchSettings, search_index
from ssrnet.commands.split import SplitSettings, split_dataset
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError, SSRNetError
from ssrnet.predictor import Predictor
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.train import train
from ssrnet.training.checkpoint import load_checkpoint, read_checkpoint
from ssrnet.training.trained_on import state_training_sets
from tests import tiny
from tests.data import layouts
from tests.data.layouts import names

pytestmark = pytest.mark.usefixtures("working_folder")


@pytest.fixture
def photos(tmp_path):
    return layouts.unlabelled(tmp_path / "photos")


@pytest.fixture
def checkpoint(checkpoints):
    return Path(checkpoints["ssrnet"])


def test_what_needs_labels_names_the_ways_to_give_them(photos, checkpoint, tmp_path):
    where = {"workers": 0, "device": "cpu"}
    for purpose, work in {
        "a score": lambda: evaluate_model(EvaluateSettings(photos, checkpoint, **where)),
        "a score ": lambda: compare_checkpoints(
            CompareSettings(photos, checkpoint, checkpoint, tmp_path / "c.json", **where)
        ),
        "a score  ": lambda: Predictor(load_checkpoint(checkpoint).model, 64).evaluate(photos),
        "training": lambda: train(replace(tiny.training(photos, tmp_path / "run"), **where)),
    }.items():
        with pytest.raises(
            DataError, match=f"photos does not say .* same vehicle, and {purpose.strip()} needs that; mark it on"
        ):
            work()


def test_extract_takes_every_image(photos, checkpoint, tmp_path):
    out = tmp_path / "features.safetensors"
    write_feature_file(FeatureFileSettings(photos, checkpoint, out, workers=0, device="cpu"))
    assert list(FeatureSet.load(out)[0].names) == names(open_dataset(photos).test)


def test_a_named_layout_goes_before_the_recognised_one(checkpoint, tmp_path):
    root, out = layouts.veri(tmp_path / "VeRi"), tmp_path / "features.safetensors"
    write_feature_file(FeatureFileSettings(root, checkpoint, out, layout="unlabelled", workers=0, device="cpu"))
    assert len(FeatureSet.load(out)[0].names) == len([*root.rglob("*.jpg")])


@pytest.fixture
def gates(tmp_path):
    """Two vehicles in folders that are named like places, so that only ``--layout Folders`` takes them for vehicles."""
    return layouts.unlabelled(tmp_path / "gates", [f"gate {gate}/{each}.jpg" for gate in (1, 2) for each in "abc"])


def test_every_command_reads_the_layout_that_is_named(gates, checkpoint, tmp_path, capsys):
    read = {"layout": "folders", "workers": 0, "device": "cpu"}
    evaluate_model(EvaluateSettings(gates, checkpoint, seeds=1, out=tmp_path / "n.json", **read))
    record = json.loads((tmp_path / "n.json").read_text())["results"][0]["record"]
    assert (record["layout"], record["gallery"], record["queries"]) == ("Folders", 2, 4)
    compare_checkpoints(CompareSettings(gates, checkpoint, checkpoint, tmp_path / "c.json", seeds=1, **read))
    doctor(DoctorSettings((gates,), (checkpoint,), layout="Folders"))
    split_dataset(SplitSettings(gates, tmp_path / "split.csv", layout="Folders"))
    printed = capsys.readouterr().out
    assert "Read as" not in printed and printed.count("gates (Folders: as you named it)") == 3
    assert {image.vehicle_id for image in open_dataset(tmp_path / "split.csv").train} < {"gate 1", "gate 2"}


def test_training_reads_the_layout_that_is_named_and_its_run_keeps_it(tmp_path, capsys):
    root = layouts.unlabelled(
        tmp_path / "gates", [f"train/gate {gate}/{each}.jpg" for gate in (1, 2) for each in "abcd"]
    )
    layouts.write(root / "manifest.csv", ["image,vehicle_id,split", "train/gate 1/a.jpg,v1,train"])
    settings = replace(
        tiny.training(root, tmp_path / "run"), layout="Folders", workers=0, device="cpu", identities_per_batch=2
    )
    path = train(replace(settings, max_steps=1, sizes=((0, 32),)))
    assert "train          8 images       2 vehicles" in capsys.readouterr().out
    info = read_checkpoint(path).info
    assert info.training["layout"] == "Folders"
    assert state_training_sets(info, [root], path).training_sets == info.training_sets, "read as the run read it"


@pytest.mark.parametrize("command", ["evaluate", "compare", "train", "split", "doctor"])
def test_a_layout_that_is_none_is_one_sentence(photos, checkpoint, tmp_path, command):
    work = {
        "evaluate": lambda: evaluate_model(EvaluateSettings(photos, checkpoint, layout="Voc")),
        "compare": lambda: compare_checkpoints(
            CompareSettings(photos, checkpoint, checkpoint, tmp_path / "c.json", layout="Voc")
        ),
        "train": lambda: train(replace(tiny.training(photos, tmp_path / "run"), layout="Voc")),
        "split": lambda: split_dataset(SplitSettings(photos, tmp_path / "s.csv", layout="Voc")),
        "doctor": lambda: doctor(DoctorSettings((photos,), (checkpoint,), layout="Voc")),
    }[command]
    with pytest.raises(SSRNetError, match="'Voc' is no layout of a data set; name one of CityFlow, VeRi, .*unlabelled"):
        work()


def test_extract_says_how_the_folder_was_read(gates, checkpoint, tmp_path, capsys):
    write_feature_file(FeatureFileSettings(gates, checkpoint, tmp_path / "f.safetensors", workers=0, device="cpu"))
    assert "Read as images without labels, in 2 folders (gate 1, gate 2). If each" in capsys.readouterr().out


def test_an_index_takes_every_image_and_finds_them(photos, checkpoint, tmp_path, capsys):
    build_index(BuildSettings(photos, checkpoint, tmp_path / "index", pca=2, workers=0, device="cpu"))
    assert "not measured: photos does not say which images show the same vehicle" in capsys.readouterr().out
    search_index(SearchSettings(tmp_path / "index", checkpoint, photos / "day/b.jpg", device="cpu"))
    head, first, *_ = capsys.readouterr().out.splitlines()
    assert first.split() == ["1", "0.0000", "-", "-", "-", "day/b.jpg", "photos/test"]
