"""What commands do with a folder of images that nobody has labelled."""

from dataclasses import replace
from pathlib import Path

import pytest

from ssrnet.commands.compare import CompareSettings, compare_checkpoints
from ssrnet.commands.evaluate import EvaluateSettings, evaluate_model
from ssrnet.commands.extract import FeatureFileSettings, write_feature_file
from ssrnet.commands.index_build import BuildSettings, build_index
from ssrnet.commands.index_search import SearchSettings, search_index
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError
from ssrnet.predictor import Predictor
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.train import train
from ssrnet.training.checkpoint import load_checkpoint
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


def test_an_index_takes_every_image_and_finds_them(photos, checkpoint, tmp_path, capsys):
    build_index(BuildSettings(photos, checkpoint, tmp_path / "index", pca=2, workers=0, device="cpu"))
    assert "not measured: photos does not say which images show the same vehicle" in capsys.readouterr().out
    search_index(SearchSettings(tmp_path / "index", checkpoint, photos / "day/b.jpg", device="cpu"))
    head, first, *_ = capsys.readouterr().out.splitlines()
    assert first.split() == ["1", "0.0000", "-", "-", "-", "day/b.jpg", "photos/test"]
