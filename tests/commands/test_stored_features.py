"""Features that `ssrnet evaluate` and `ssrnet compare` share with the app, and those in files that they are given."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from app.workbench import places
from ssrnet.analysis.scorecard.scorecard import read_scorecard
from ssrnet.commands import stored_features
from ssrnet.commands.compare import CompareSettings, compare_checkpoints
from ssrnet.commands.evaluate import EvaluateSettings, evaluate_model
from ssrnet.commands.extract import FeatureFileSettings, write_feature_file
from ssrnet.commands.import_features import ImportSettings, import_features
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError, SettingsError
from ssrnet.model import EmbeddingSettings, ModelSettings
from ssrnet.retrieval.extraction import ExtractSettings, describe
from ssrnet.retrieval.feature_files import KEPT, SHIPPED, feature_record, find_features
from ssrnet.training.checkpoint import read_checkpoint
from tests import tiny

pytestmark = pytest.mark.usefixtures("working_folder")
TOKEN = ExtractSettings(embedding=EmbeddingSettings(branches=("token",)))


@pytest.fixture
def settings(city, checkpoints):
    return EvaluateSettings(city, Path(checkpoints["ssrnet"]), workers=0, device="cpu", out=Path("numbers.json"))


@pytest.fixture
def no_network(monkeypatch):
    """``no_network()``: from then on nothing is extracted."""
    return lambda: monkeypatch.setattr(stored_features, "extract", None)


def evaluated(settings: EvaluateSettings) -> tuple[dict, dict]:
    """The numbers that the command writes, and the records' part on the features."""
    evaluate_model(settings)
    written = json.loads(settings.out.read_text())
    (features,) = {json.dumps(result["record"].pop("features")) for result in written["results"]}
    return written, json.loads(features)


def extracted(settings: EvaluateSettings, out: Path, **changes) -> Path:
    write_feature_file(FeatureFileSettings(settings.data, settings.checkpoint, out, workers=0, device="cpu", **changes))
    return out


def test_a_second_call_reads_what_the_first_one_extracted(settings, no_network, capsys):
    numbers, features = evaluated(settings)
    (path,) = KEPT.iterdir()
    assert features["read_from"] == "extracted now" and features["rounded_to"] == "float16"
    printed = capsys.readouterr().out
    assert "SSR-Net (GB+AB+RB): extracting features of 12 test images\n" in printed
    assert f"{path}: features kept for the next time\n" in printed
    no_network()
    again, read = evaluated(settings)
    assert again == numbers and read == features | {"read_from": path.name}
    assert f"SSR-Net (GB+AB+RB): features of 12 test images from {path}\n" in capsys.readouterr().out


def test_the_app_finds_them(settings, monkeypatch):
    evaluate_model(settings)
    stored, dataset = read_checkpoint(settings.checkpoint), open_dataset(settings.data)
    record = feature_record(stored.record | describe(ExtractSettings(), 64), dataset, dataset.content_hash())
    monkeypatch.setattr(places, "ROOT", Path("elsewhere"))
    assert find_features(places.feature_folders(), record).names == tuple(image.name for image in dataset.test)


def test_options_that_rank_need_no_other_features(settings, no_network):
    evaluate_model(settings)
    no_network()
    evaluate_model(replace(settings, re_rank=True, protocol="single_gallery_shot", seeds=2))
    _, features = evaluated(replace(settings, extraction=TOKEN))
    assert features["branches"] == ["token"] and features["read_from"].endswith(".safetensors")
    with pytest.raises(SettingsError, match="the features have no branch wing; they have G, attn, token"):
        evaluate_model(replace(settings, extraction=ExtractSettings(embedding=EmbeddingSettings(branches=("wing",)))))


def test_an_unknown_branch_is_told_before_extraction(settings, no_network):
    no_network()
    with pytest.raises(SettingsError, match="the features have no branch wing; they have G, attn, token"):
        evaluate_model(replace(settings, extraction=ExtractSettings(embedding=EmbeddingSettings(branches=("wing",)))))


def test_some_test_images_take_the_whole_sets_features(settings, no_network):
    some = replace(settings, only="vehicle_type=car,truck")
    extracted(settings, SHIPPED)
    (path,) = SHIPPED.iterdir()
    no_network()
    numbers, features = evaluated(some)
    assert features["read_from"] == path.name and numbers["results"][0]["record"]["gallery"] == 9
    assert evaluated(replace(some, features=path)) == (numbers, features)
    path.rename("elsewhere.safetensors")
    with pytest.raises(TypeError):
        evaluate_model(some)


def test_some_test_images_alone_are_kept_too(settings, no_network, capsys):
    some = replace(settings, only="vehicle_type=car,truck")
    numbers, _ = evaluated(some)
    assert "extracting features of 9 test images" in capsys.readouterr().out
    no_network()
    assert evaluated(some)[0] == numbers


def test_vehicles_held_back_are_kept_apart(run, no_network):
    held = EvaluateSettings(
        run.data, run.out / "last.safetensors", held_back=True, workers=0, device="cpu", out=Path("numbers.json")
    )
    numbers, _ = evaluated(held)
    no_network()
    again, features = evaluated(held)
    assert again == numbers and features["read_from"] == next(KEPT.iterdir()).name


def test_a_disk_that_takes_nothing_costs_only_the_next_call(settings, capsys):
    expected, _ = evaluated(settings)
    next(KEPT.iterdir()).unlink()
    KEPT.rmdir()
    KEPT.touch()
    assert evaluated(settings)[0] == expected
    assert "the features will be extracted again the next time, since " in capsys.readouterr().out


def test_untrained_features_are_kept_where_their_record_identifies_them(city, no_network):
    weights = {name: value.contiguous() for name, value in tiny.network(**tiny.BASELINE).backbone.state_dict().items()}
    save_file(weights, "weights.safetensors")
    model = ModelSettings("resnet18", **tiny.BASELINE)
    untrained = EvaluateSettings(
        city,
        untrained="weights.safetensors",
        model=model,
        extraction=ExtractSettings(image_size=32),
        workers=0,
        device="cpu",
        out=Path("numbers.json"),
    )
    evaluate_model(replace(untrained, untrained="none"))
    assert not KEPT.exists(), "other random weights each time"
    numbers, features = evaluated(untrained)
    assert (features["checkpoint"], features["stride_position"]) == ("weights.safetensors", "conv2")
    no_network()
    assert evaluated(untrained)[0] == numbers
    with pytest.raises(TypeError):
        evaluate_model(replace(untrained, model=replace(model, padding="replicate")))


def test_features_of_a_file(settings, no_network):
    expected, _ = evaluated(settings)
    whole = extracted(settings, Path("whole.safetensors"))
    token = extracted(settings, Path("token.safetensors"), extraction=TOKEN)
    expected_token, _ = evaluated(replace(settings, extraction=TOKEN))
    no_network()
    numbers, features = evaluated(replace(settings, features=whole))
    assert numbers == expected and features["read_from"] == "whole.safetensors"
    alone, by_itself = evaluated(replace(settings, features=whole, checkpoint=None))
    assert alone == expected and by_itself == features
    for path in (whole, token):
        for checkpoint in (settings.checkpoint, None):
            one = replace(settings, features=path, checkpoint=checkpoint, extraction=TOKEN)
            numbers, features = evaluated(one)
            assert numbers == expected_token and features["branches"] == ["token"]


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("changes", [{"split": "gallery"}, {"data": "other"}])
def test_features_of_other_images_are_refused(settings, no_network, changes, alone):
    other = tiny.city(Path("other"))
    next((other / "image_train").iterdir()).unlink()
    split, data = changes.get("split", "test"), other if "data" in changes else settings.data
    path = extracted(replace(settings, data=data), Path("f.safetensors"), split=split)
    no_network()
    message = (
        "its split is gallery, not test; give" if "split" in changes else r"its dataset hash is \w+ \(other\), not"
    )
    with pytest.raises(DataError, match=f"f.safetensors has other features: {message}"):
        evaluate_model(replace(settings, features=path, checkpoint=None if alone else settings.checkpoint))


def test_features_of_another_checkpoint_or_setting_are_refused(settings, checkpoints, no_network):
    baseline = extracted(replace(settings, checkpoint=Path(checkpoints["baseline"])), Path("f.safetensors"))
    flipped = extracted(settings, Path("g.safetensors"), extraction=ExtractSettings(flip_test=True))
    token = extracted(settings, Path("token.safetensors"), extraction=TOKEN)
    no_network()
    with pytest.raises(DataError, match=r"its checkpoint hash is \w+ \(baseline.*\), not \w+ \(ssrnet.safetensors\)"):
        evaluate_model(replace(settings, features=baseline))
    with pytest.raises(DataError, match="its flip test is True, not False; give the file of this model"):
        evaluate_model(replace(settings, features=flipped))
    with pytest.raises(DataError, match=r"its branches is \['token'\], not \(\)"):
        evaluate_model(replace(settings, features=token))
    with pytest.raises(SettingsError, match="are extracted already; leave out all --extraction options but branches"):
        evaluate_model(replace(settings, features=flipped, checkpoint=None, extraction=ExtractSettings(flip_test=True)))
    with pytest.raises(SettingsError, match="--features has no features of untrained networks"):
        evaluate_model(replace(settings, features=baseline, checkpoint=None, untrained="none"))
    Path("h.safetensors").touch()
    with pytest.raises(DataError, match="h.safetensors is not a feature file of ssrnet"):
        evaluate_model(replace(settings, features=Path("h.safetensors")))


def test_another_models_features(settings, no_network, capsys):
    images = open_dataset(settings.data).test
    values = np.random.default_rng(0).normal(size=(len(images), 8)).astype(np.float32)
    np.savez("agw.npz", features=values, paths=np.array([image.name for image in images]))
    import_features(ImportSettings(Path("agw.npz"), settings.data, "AGW", Path("imported")))
    imported = capsys.readouterr().out
    (path,) = Path("imported").iterdir()
    no_network()
    numbers, features = evaluated(replace(settings, checkpoint=None, features=path))
    printed = capsys.readouterr().out
    assert f"AGW (imported): features of 12 test images from {path}" in printed
    assert f"mAP {100 * numbers['results'][0]['metrics']['mAP']:.2f}%" in imported
    assert features.pop("imported_hash") and features == {
        "model": "AGW (imported)",
        "imported_from": "agw.npz",
        "dimensions": 8,
        "rounded_to": "float16",
        "read_from": path.name,
    }
    with pytest.raises(
        DataError, match=r"has features of AGW \(imported\), not of a checkpoint; leave out --checkpoint"
    ):
        evaluate_model(replace(settings, features=path))


def test_models_that_are_compared_find_their_files(settings, checkpoints, no_network):
    baseline = Path(checkpoints["baseline"])
    files = [
        extracted(replace(settings, checkpoint=baseline), Path("b.safetensors")),
        extracted(settings, Path("s.safetensors")),
    ]
    compared = CompareSettings(
        settings.data, baseline, settings.checkpoint, Path("c.json"), protocols=("cross_camera",), workers=0
    )
    no_network()
    compare_checkpoints(replace(compared, features=tuple(reversed(files))))
    models = read_scorecard(compared.out).models
    assert [model.features["read_from"] for model in models] == ["b.safetensors", "s.safetensors"]
    with pytest.raises(
        DataError, match=r"b.safetensors has features of baseline.* which is none of the compared models"
    ):
        compare_checkpoints(replace(compared, baseline=settings.checkpoint, features=tuple(files)))
    with pytest.raises(DataError, match="c.json is not a feature file of ssrnet"):
        compare_checkpoints(replace(compared, features=(compared.out,)))


def test_a_model_compared_with_itself_is_extracted_once(settings, monkeypatch):
    calls, extract = [], stored_features.extract
    monkeypatch.setattr(stored_features, "extract", lambda *a, **named: calls.append(a) or extract(*a, **named))
    one = settings.checkpoint
    compare_checkpoints(
        CompareSettings(settings.data, one, one, Path("c.json"), protocols=("cross_camera",), workers=0, device="cpu")
    )
    assert len(calls) == 1
