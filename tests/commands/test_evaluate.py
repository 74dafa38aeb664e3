import json
import shutil
from dataclasses import replace

import pytest
import torch

from ssrnet.commands.evaluate import EvaluateSettings, evaluate_model
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import CheckpointError, DataError, ProtocolError, ResourceError, SettingsError
from ssrnet.metrics import Metrics
from ssrnet.model import EmbeddingSettings, ModelSettings
from ssrnet.retrieval import reranking
from ssrnet.retrieval.alignment import AlignmentSettings
from ssrnet.retrieval.evaluation import over_seeds
from ssrnet.retrieval.expansion import ExpansionSettings
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet
from ssrnet.training.checkpoint import file_hash
from tests import tiny

pytestmark = pytest.mark.usefixtures("working_folder")


@pytest.fixture
def settings(run):
    return EvaluateSettings(run.data, run.out / "last.safetensors", workers=0, device="cpu")


def printed_record(capsys) -> tuple[str, dict]:
    """What the command printed before its protocol record, and the record."""
    printed, _, record = capsys.readouterr().out.partition("protocol record: ")
    return printed, json.loads(record)


def test_it_prints_the_numbers_and_their_record(settings, capsys):
    evaluate_model(settings)
    printed, record = printed_record(capsys)
    dataset = open_dataset(settings.data)
    assert dataset.summary() in printed
    assert f"SSR-Net (GB+AB+RB) on {dataset.name}, all test images, cross_camera" in printed
    assert "(4 queries)" in printed and "mAP" in printed
    assert (record["dataset_hash"], record["protocol"]) == (dataset.content_hash(), "cross_camera")
    assert record["features"] == {
        "model": "SSR-Net (GB+AB+RB)",
        "checkpoint": "last.safetensors",
        "checkpoint_hash": file_hash(settings.checkpoint),
        "image_size": 32,
        "flip_test": False,
        "neck": "after",
        "normalise_branches": False,
        "branches": [],
        "rounded_to": "float16",
        "read_from": "extracted now",
        "test_vehicles_in_training": 0,
    }
    assert "SSR-Net (GB+AB+RB): Trained on this data set's training split, which has none of the test" in printed


def test_training_vehicles_shown_as_test_vehicles_are_told(settings, tmp_path, capsys):
    for folder in ("image_test", "image_query"):
        shutil.copytree(settings.data / "image_train", tmp_path / "again" / folder)
    evaluate_model(replace(settings, data=tmp_path / "again"))
    printed, record = printed_record(capsys)
    assert "SSR-Net (GB+AB+RB): 4 of the 6 test vehicles were in the training data: numbers here say noth" in printed
    assert record["features"]["test_vehicles_in_training"] == 4


def test_even_random_weights_keep_colours_apart(city, tmp_path):
    torch.manual_seed(0)
    out = tmp_path / "numbers.json"
    small = ExtractSettings(image_size=32)
    model = ModelSettings("resnet18", **tiny.BASELINE)
    evaluate_model(
        EvaluateSettings(city, untrained="none", model=model, extraction=small, workers=0, device="cpu", out=out)
    )
    assert json.loads(out.read_text())["results"][0]["metrics"]["mAP"] > 0.6


def test_numbers_go_into_a_file(settings, tmp_path, capsys):
    evaluate_model(replace(settings, out=tmp_path / "new/numbers.json"))
    _, record = printed_record(capsys)
    written = json.loads((tmp_path / "new/numbers.json").read_text())
    (result,) = written["results"]
    assert result["record"] == record
    assert set(result["metrics"]) == {"mAP", "mINP", "cmc", "queries", "excluded"}
    assert len(result["metrics"]["cmc"]) == 50
    assert written["bootstrap"] == {"confidence": 0.95, "vehicles": 4, "replicates": 2000, "seed": 0}
    assert list(written["estimates"]) == ["rank-1", "rank-5", "rank-10", "mAP", "mINP"]
    mAP = written["estimates"]["mAP"]
    assert 0 <= mAP["low"] <= mAP["value"] <= mAP["high"] <= 1 and mAP["deviation"] is None
    assert mAP["value"] == pytest.approx(result["metrics"]["mAP"])


def test_it_prints_intervals_over_vehicles(settings, tmp_path, capsys):
    evaluate_model(replace(settings, protocol="single_gallery_shot", seeds=3, out=tmp_path / "n.json"))
    printed, _ = printed_record(capsys)
    written = json.loads((tmp_path / "n.json").read_text())["estimates"]
    line = next(line for line in printed.splitlines() if "intervals" in line)
    assert line.startswith("  95% intervals over the 4 query vehicles  rank-1 ")
    for name, estimate in written.items():
        assert f"{name} {100 * estimate['low']:.2f}-{100 * estimate['high']:.2f}%" in line
        assert estimate["deviation"] is not None


def test_only_some_queries(settings, tmp_path, capsys):
    dataset = open_dataset(settings.data)
    for protocol, queries in (("cross_camera", 3), ("single_gallery_shot", 6)):
        some_queries = replace(
            settings, protocol=protocol, seeds=2, queries="vehicle_type=car,truck", out=tmp_path / "n.json"
        )
        evaluate_model(some_queries)
        printed, record = printed_record(capsys)
        assert f"all test images, {protocol}, queries vehicle_type car, truck" in printed
        assert (record["images"], record["queries_kept"]) == ("all", "vehicle_type=car,truck")
        assert record["queries"] == queries and record["gallery"] == (12 if protocol == "cross_camera" else 4)
        assert record["dataset_hash"] == dataset.content_hash()
        results = json.loads((tmp_path / "n.json").read_text())["results"]
        assert all(result["metrics"]["queries"] == queries for result in results)


def test_re_ranking_sees_all_queries_though_some_count(settings, tmp_path, capsys):
    cars = []
    for queries in (None, "vehicle_type=car", "vehicle_type=truck", "vehicle_type=motorcycle"):
        evaluate_model(replace(settings, re_rank=True, queries=queries, out=tmp_path / "n.json"))
        cars.append(json.loads((tmp_path / "n.json").read_text())["results"][0]["metrics"])
    whole, *parts = cars
    assert whole["mAP"] == pytest.approx(sum(part["mAP"] * part["queries"] for part in parts) / whole["queries"])


@pytest.mark.parametrize(
    ("queries", "error", "message"),
    [
        ("vehicle_type=", SettingsError, "--queries is 'vehicle_type='; write an attribute"),
        ("wheels", DataError, "has the attribute wheels; they have vehicle_type"),
        ("vehicle_type=bus", DataError, "has vehicle_type bus; it has car, motorcycle, truck"),
        ("vehicle_type=none", DataError, "every test image of .* has the attribute vehicle_type"),
    ],
)
def test_queries_that_are_not_there_are_told_before_extraction(settings, monkeypatch, queries, error, message):
    monkeypatch.setattr("ssrnet.commands.stored_features.extract", None)
    with pytest.raises(error, match=message):
        evaluate_model(replace(settings, queries=queries))


def test_the_shot_protocols_give_mean_and_spread_over_seeds(settings, tmp_path, capsys):
    evaluate_model(replace(settings, protocol="single_gallery_shot", seeds=4, out=tmp_path / "n.json"))
    printed, record = printed_record(capsys)
    results = json.loads((tmp_path / "n.json").read_text())["results"]
    assert [result["record"]["seed"] for result in results] == [0, 1, 2, 3] and record["seed"] == 0
    spread = over_seeds([Metrics(**result["metrics"]) for result in results])
    assert f"mean of 4 random galleries  {spread.mean}" in printed
    assert f"standard deviation               {spread.deviation}" in printed


def test_multi_gallery_shot_with_n(settings, capsys):
    evaluate_model(replace(settings, protocol="multi_gallery_shot", seeds=1, shots=2))
    _, record = printed_record(capsys)
    assert (record["shots"], record["queries"], record["gallery"]) == (2, 4, 8)


def test_an_unusable_protocol_is_told_before_extraction(settings, monkeypatch):
    monkeypatch.setattr("ssrnet.commands.stored_features.extract", None)
    with pytest.raises(ProtocolError, match="multi_gallery_shot cannot be used here: with 6 in the gallery"):
        evaluate_model(replace(settings, protocol="multi_gallery_shot"))


def test_options_reach_features_and_record(settings, capsys):
    extraction = ExtractSettings(64, 5, True, EmbeddingSettings("before", True, ("token",)))
    evaluate_model(replace(settings, extraction=extraction, distance="euclidean"))
    _, record = printed_record(capsys)
    assert record["distance"] == "euclidean" and record["features"]["image_size"] == 64
    assert record["features"]["flip_test"] and record["features"]["branches"] == ["token"]
    assert record["features"]["neck"] == "before" and record["features"]["normalise_branches"]


def test_re_ranking(settings, capsys):
    evaluate_model(replace(settings, re_rank=True))
    _, record = printed_record(capsys)
    assert record["re_ranking"] == "k-reciprocal {'k1': 20, 'k2': 6, 'weight': 0.3}"


def test_query_expansion(settings, capsys):
    evaluate_model(replace(settings, expand=True, expansion=ExpansionSettings(3, alpha=3)))
    _, record = printed_record(capsys)
    assert record["query_expansion"] == "alpha = 3, 3 neighbours"
    with pytest.raises(SettingsError, match="starts from cosine"):
        evaluate_model(replace(settings, distance="euclidean", expand=True))


@pytest.mark.parametrize("changes", [{}, {"protocol": "single_gallery_shot", "seeds": 2}, {"expand": True}])
def test_camera_alignment_comes_first_and_is_in_the_title_and_the_record(settings, capsys, changes):
    alignment = AlignmentSettings(prior=2, min_images=1)
    evaluate_model(replace(settings, align_cameras=True, alignment=alignment, **changes))
    printed, record = printed_record(capsys)
    assert "aligned by camera\n" in printed
    assert "statistics in images: 2; fewest images of a camera: 1" in record["camera_alignment"]
    evaluate_model(replace(settings, alignment=alignment, **changes))
    raw, record = printed_record(capsys)
    assert record["camera_alignment"] == "none" and "aligned" not in raw.partition("protocol record")[0]


def test_re_ranking_that_does_not_fit(settings, monkeypatch):
    monkeypatch.setattr(reranking, "available_memory", lambda device: 100)
    with pytest.raises(ResourceError, match="re-ranking 4 queries with 12 gallery images needs"):
        evaluate_model(replace(settings, re_rank=True))


def test_only_some_vehicles(settings, capsys):
    dataset = open_dataset(settings.data)
    types = [image.attributes["vehicle_type"] for image in dataset.query]
    evaluate_model(replace(settings, only="vehicle_type=car,truck"))
    printed, record = printed_record(capsys)
    assert record["images"] == "vehicle_type=car,truck" and "vehicle_type=car,truck test images" in printed
    assert record["queries"] == len(types) - types.count("motorcycle") == 3 and record["gallery"] == 9
    assert record["dataset_hash"] != dataset.content_hash()


@pytest.mark.parametrize("only", ["car", "vehicle_type", "vehicle_type="])
def test_only_without_values(settings, only):
    with pytest.raises(SettingsError, match=f"--only is '{only}'; write an attribute and its values"):
        evaluate_model(replace(settings, only=only))


def test_only_with_an_unknown_value_or_attribute(settings):
    with pytest.raises(DataError, match="no test image of .* has vehicle_type bus, van; it has car, motorcycle, truck"):
        evaluate_model(replace(settings, only="vehicle_type=van,car,bus"))
    with pytest.raises(DataError, match="has the attribute wheels; they have vehicle_type"):
        evaluate_model(replace(settings, only="wheels=4"))


@pytest.mark.parametrize("both", [True, False])
def test_checkpoint_and_untrained_both_or_neither(settings, both):
    settings = replace(settings, untrained="none") if both else replace(settings, checkpoint=None)
    either = "give either --checkpoint FILE or --untrained WEIGHTS, not both"
    with pytest.raises(
        SettingsError, match=either if both else "give --checkpoint FILE, --untrained WEIGHTS or --feat"
    ):
        evaluate_model(settings)


def test_untrained_features_name_their_backbone(city, capsys):
    extraction = ExtractSettings(image_size=32)
    model = ModelSettings("resnet18", stride_position="conv1", **tiny.BASELINE)
    evaluate_model(
        EvaluateSettings(city, untrained="none", model=model, extraction=extraction, workers=0, device="cpu")
    )
    printed, record = printed_record(capsys)
    assert record["features"]["model"] == "untrained resnet18 (backbone: random weights; stride on conv1)"
    assert record["features"]["image_size"] == 32


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"seeds": 0}, SettingsError, "seeds is 0"),
        ({"data": "nowhere"}, DataError, "nowhere does not exist"),
        ({"checkpoint": "nowhere.safetensors"}, CheckpointError, "there is no checkpoint at nowhere.safetensors"),
    ],
)
def test_what_cannot_work(settings, tmp_path, monkeypatch, changes, error, message):
    monkeypatch.chdir(tmp_path)
    paths = {name: tmp_path.__class__(value) if isinstance(value, str) else value for name, value in changes.items()}
    with pytest.raises(error, match=message):
        evaluate_model(replace(settings, **paths))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_test_image_is_named(settings, tmp_path, workers):
    data = tiny.city(tmp_path / "data")
    bad = sorted((data / "image_test").iterdir())[4]
    bad.write_bytes(bad.read_bytes()[:300])
    with pytest.raises(DataError) as caught:
        evaluate_model(replace(settings, data=data, workers=workers))
    assert str(caught.value).startswith(f"{bad} is damaged or cut short") and "\n" not in str(caught.value)


def test_re_ranking_refuses_a_distance_that_it_would_not_use(settings):
    with pytest.raises(SettingsError, match="leave out --distance or --re-rank"):
        evaluate_model(replace(settings, distance="euclidean", re_rank=True))


def test_held_back_vehicles_are_those_that_the_run_scored(run, settings, capsys):
    held = replace(settings, held_back=True, protocol="cross_camera")
    evaluate_model(held)
    printed, record = printed_record(capsys)
    last = json.loads((run.out / "log.jsonl").read_text().splitlines()[-1])["held_back"]
    assert f"mAP {100 * last['mAP']:.2f}%" in printed and record["queries"] == last["queries"]
    rows = [line for line in printed.splitlines() if " alone" in line or "unit length" in line or "as concat" in line]
    assert [row.split("  ")[1] for row in rows] == [
        "as concatenated",
        "each at unit length",
        "G alone",
        "attn alone",
        "token alone",
    ]


def test_held_back_vehicles_of_other_folders_or_of_a_run_without(run, settings, tmp_path):
    with pytest.raises(SettingsError, match="was trained on .*, but --data and --more-data are"):
        evaluate_model(replace(settings, held_back=True, data=tiny.city(tmp_path / "c"), more_data=(run.data,)))
    with pytest.raises(SettingsError, match="--held-back needs --checkpoint"):
        evaluate_model(replace(settings, held_back=True, checkpoint=None, untrained="none"))


def test_branches_at_unit_length_are_what_extraction_makes(run):
    model = tiny.network()
    trace = model.trace(tiny.images(3))
    plain = FeatureSet(trace.embedding(), ("a", "b", "c"), model.branch_dims)
    assert torch.allclose(
        plain.at_unit_length().features, trace.embedding(EmbeddingSettings(normalise_branches=True)), atol=1e-6
    )
