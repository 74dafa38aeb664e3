import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import ssrnet.studies.cells as cells
from ssrnet.commands.study import distinct, make_plan
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError, ResourceError, SettingsError
from ssrnet.losses import LossSettings
from ssrnet.model import ModelSettings
from ssrnet.retrieval.metric_intervals import QueryScores, VehicleSums, estimates, estimates_of_sums
from ssrnet.studies.cell_results import Score, by_vehicle, read_cell, write_json
from ssrnet.studies.cells import effective_loss, effective_model, make_cell, run_cell, sets_to_test
from ssrnet.studies.definitions import STUDIES, Row
from ssrnet.training.checkpoint import load_checkpoint
from ssrnet.training.settings import recipe
from tests.data import layouts
from tests.studies import small

CIRCLE = {"classification": "circle"}


def plan(data, out, studies=tuple(STUDIES), **changes):
    changes = {"sizes": ((0, 128),), **changes}  # at 32 px a crop of 1/8 has no cell
    return make_plan(small.study("all", data, out, **changes), [STUDIES[name] for name in studies])


@pytest.fixture(scope="module")
def planned(city, tmp_path_factory):
    return plan(city, tmp_path_factory.mktemp("planned"))


# One variant, one cell


def test_a_variant_that_stands_in_several_tables_has_one_cell(planned):
    whole = {
        planned["components"]["+AB+RB"].name,
        planned["attention"]["CBAM"].name,
        planned["parts"]["SSR-Net"].name,
        planned["depth"]["l = 2"].name,
        planned["crop-ratio"]["λ = 2/3"].name,
        planned["beta"]["β = 1"].name,
        planned["losses"]["Cross-Entropy + triplet"].name,
    }
    assert len(whole) == 1
    assert planned["beta"]["β = 0"].name == planned["losses"]["Cross-Entropy"].name
    assert sum(map(len, planned.values())) == 44 and len(distinct(planned)) == 37


def test_data_recipe_seed_and_steps_are_the_same_for_all(planned):
    varied = {"model", "loss", "out", "network"}
    shared = [{k: v for k, v in asdict(cell.training).items() if k not in varied} for cell in distinct(planned)]
    assert all(settings == shared[0] for settings in shared)
    assert shared[0]["epochs"] == 2 and shared[0]["max_steps"] == 4
    assert {cell.training.model.backbone for cell in distinct(planned)} == {"resnet18"}


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"max_steps": 3},
        {"epochs": 3},
        {"train_identities": 5},
        {"train_identities": None},
        {"galleries": 3},
        {"model": ModelSettings()},
        {"loss": LossSettings(margin=0.3)},
    ],
)
def test_what_shapes_a_number_makes_another_cell(planned, city, tmp_path, change):
    other = plan(city, tmp_path, ["parts"], **change)
    assert other["parts"]["SSR-Net"].name != planned["parts"]["SSR-Net"].name


@pytest.mark.parametrize(
    "change",
    [
        {"workers": 2},
        {"evaluate_every": 1},
        {"recipe": "paper"},
        {"network": "baseline"},
        {"protocol": ("single_gallery_shot",)},
    ],
)
def test_what_shapes_no_number_does_not(planned, city, tmp_path, change):
    assert plan(city, tmp_path, ["parts"], **change)["parts"]["SSR-Net"].name == planned["parts"]["SSR-Net"].name


@pytest.mark.parametrize(
    ("study", "row", "name"),
    [
        ("components", "+AB+RB", "SSR-Net-GB-AB-RB-cross-entropy-triplet-1c7aa968"),
        ("losses", "Circle", "SSR-Net-GB-AB-RB-circle-d17b62ba"),
        ("losses", "Circle + triplet", "SSR-Net-GB-AB-RB-circle-triplet-dc10066a"),
        ("beta", "β = 0.2", "SSR-Net-GB-AB-RB-cross-entropy-triplet-76ed3fad"),
    ],
)
def test_cells_of_version_0_1_keep_their_names(study, row, name):
    """Their loss was stored and hashed as one product, such as "circle+triplet"."""
    rows = {each.label: each for each in STUDIES[study].rows}
    shared = replace(recipe("quick"), data=Path("city"))
    assert make_cell(shared, rows[row], Path("cells"), Path("city"), ["city", "abc"], 10).name == name


@pytest.mark.parametrize(
    ("changed", "plain", "same"),
    [
        (Row("", {"global_node_from": "after"}), Row(""), False),
        (Row("", {"global_node_from": "after", "global_node": False}), Row("", {"global_node": False}), True),
        (Row("", loss={"circle_margin": 0.25}), Row(""), True),
        (Row("", loss={"classification": "circle", "circle_margin": 0.25}), Row("", loss=CIRCLE), False),
        (Row("", loss={"metric": "none", "reduction": "sum"}), Row("", loss={"metric": "none"}), True),
        (Row("", loss={"reduction": "sum"}), Row(""), False),
    ],
)
def test_a_later_setting_makes_another_cell_only_where_it_changes_the_variant(changed, plain, same):
    shared = replace(recipe("quick"), data=Path("city"))
    made = [make_cell(shared, row, Path("cells"), Path("city"), ["abc"], 10).name for row in (changed, plain)]
    assert (made[0] == made[1]) == same


def test_starting_weights_count_by_their_content(tmp_path):
    names = set()
    for folder, content in (("here", b"a"), ("there", b"a"), ("other", b"b")):
        path = tmp_path / folder / "weights.safetensors"
        path.parent.mkdir()
        path.write_bytes(content)
        shared = replace(recipe("quick"), data=Path("city"), backbone_weights=str(path))
        names.add(make_cell(shared, STUDIES["parts"].rows[0], Path("cells"), Path("city"), ["abc"], 10).name)
    assert len(names) == 2


def test_settings_without_effect_are_set_aside():
    odd = dict(attention="se", parts="pcb", global_node=False, token_node=False, gcn_depth=3, crop_ratio=0.5)
    baseline = ModelSettings(attention_branch=False, relation_branch=False, **odd)
    assert effective_model(baseline) == ModelSettings(attention_branch=False, relation_branch=False)
    assert effective_model(ModelSettings(**odd)) == ModelSettings(attention="se", parts="pcb")
    assert effective_loss(LossSettings(beta=0)) == effective_loss(LossSettings(metric="none", beta=0.3))
    assert effective_loss(LossSettings(beta=0.3)) == LossSettings(beta=0.3)


# Running one


@pytest.fixture(scope="module")
def finished(city, tmp_path_factory):
    """A cell that was trained and evaluated at once."""
    cell = plan(city, tmp_path_factory.mktemp("whole"), ["parts"], sizes=((0, 32),))["parts"]["PCB"]
    assert run_cell(cell)
    return cell


def test_a_cell_holds_its_numbers_and_their_protocol_record(finished, city):
    result = read_cell(finished.result)
    (score,) = result.scores
    dataset = open_dataset(city)
    checkpoint = load_checkpoint(finished.training.out / "last.safetensors")
    assert (score.record["dataset"], score.record["dataset_hash"]) == (dataset.name, dataset.content_hash())
    assert score.record["protocol"] == "cross_camera" and "camera" in score.record["junk_rule"]
    assert score.record["features"]["checkpoint_hash"] == checkpoint.hash
    assert score.record["features"]["training_set"] == result.training_set
    assert (result.training_set["vehicles"], result.training_set["images"]) == (4, 12)
    assert result.variant == "GB+AB+PCB; cross_entropy+triplet"
    assert (result.steps, result.epochs, result.image_size) == (4, 2, 32)
    assert result.training["model"]["parts"] == "pcb" and result.training["seed"] == 0
    assert score.mean.queries == 4 and 0 < score.mean.mAP <= 1 and score.deviation is None
    found = estimates_of_sums(score.sums)
    assert score.sums.queries.sum() == 4 and set(score.vehicles) == {image.vehicle_id for image in dataset.query}
    assert found["mAP"].value == pytest.approx(score.mean.mAP, abs=1e-6)
    assert found["rank-1"].value == pytest.approx(score.mean.rank(1), abs=1e-6)


def test_vehicles_keep_the_mean_over_random_galleries():
    def seed(ap):
        hits = np.array([1, 2, 1])
        return QueryScores.from_queries(["a", "b", "b"], np.array(ap), np.array(ap), hits)

    seeds = [seed([1.0, 0.5, 0.1]), seed([0.0, 0.3, 0.7])]
    score = Score("toys", {}, (0, 1), None, None, by_vehicle(VehicleSums.of(seeds)))
    assert score.vehicles == {"a": [1, 1, 1, 1, 0.5, 0.5], "b": [2, 1, 2, 2, 0.8, 0.8]}
    one, several = estimates_of_sums(score.sums)["mAP"], estimates(seeds)["mAP"]
    assert (one.value, one.low, one.high) == pytest.approx((several.value, several.low, several.high))


def test_a_finished_cell_keeps_weights_but_no_optimiser(finished):
    left = set(os.listdir(finished.training.out))
    assert "last.safetensors" in left and "resume.pt" not in left


def test_a_finished_cell_is_not_run_again(finished, monkeypatch):
    monkeypatch.setattr(cells, "train", None)
    before = finished.result.read_bytes()
    assert run_cell(finished) and finished.result.read_bytes() == before


def test_another_protocol_evaluates_again_and_trains_nothing(finished, city, monkeypatch):
    monkeypatch.setattr(cells, "train", None)
    before = read_cell(finished.result)
    both = replace(finished, protocols=("cross_camera", "single_gallery_shot"), galleries=2)
    assert run_cell(both)
    first, second = read_cell(both.result).scores
    assert first == before.scores[0]
    assert (second.record["protocol"], second.seeds) == ("single_gallery_shot", (0, 1)) and second.deviation is not None
    write_json(finished.result, asdict(before))


def test_a_killed_cell_goes_on_inside(finished, city, tmp_path, monkeypatch):
    cell = plan(city, tmp_path, ["parts"], sizes=((0, 32),))["parts"]["PCB"]
    assert cell.name == finished.name
    real, resumed = cells.train, []

    def killed(settings):
        real(replace(settings, max_steps=2))  # the first epoch
        raise MemoryError

    monkeypatch.setattr(cells, "train", killed)
    with pytest.raises(MemoryError):
        run_cell(cell)
    assert not cell.result.exists()
    monkeypatch.setattr(cells, "train", lambda settings: resumed.append(settings.resume) or real(settings))
    assert run_cell(cell) and resumed == [True]
    assert read_cell(cell.result).scores[0].mean == read_cell(finished.result).scores[0].mean


def test_a_cell_killed_before_its_first_checkpoint_starts_anew(city, tmp_path, monkeypatch):
    cell = plan(city, tmp_path, ["parts"])["parts"]["PCB"]
    cell.training.out.mkdir(parents=True)
    (cell.training.out / "log.jsonl").write_text("{")
    seen = []

    def stop(settings):
        seen.append((settings.resume, settings.out.exists()))
        raise MemoryError

    monkeypatch.setattr(cells, "train", stop)
    with pytest.raises(MemoryError):
        run_cell(cell)
    assert seen == [(False, False)]


def test_a_cell_killed_between_training_and_its_numbers(finished, city, tmp_path, monkeypatch):
    cell = plan(city, tmp_path, ["parts"], sizes=((0, 32),))["parts"]["PCB"]
    evaluate_cell = cells.evaluate_cell
    monkeypatch.setattr(cells, "evaluate_cell", lambda *_: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        run_cell(cell)
    monkeypatch.setattr(cells, "evaluate_cell", evaluate_cell)
    assert run_cell(cell)
    assert read_cell(cell.result).scores[0].mean == read_cell(finished.result).scores[0].mean


def test_two_processes_do_not_train_one_cell(city, tmp_path, monkeypatch):
    cell = plan(city, tmp_path, ["parts"])["parts"]["PCB"]
    monkeypatch.setattr(cells, "train", None)
    with cells._locked(cell.folder) as locked:
        assert locked and run_cell(cell) is False
    assert not cell.result.exists()


def test_vehicleid_is_tested_on_each_of_its_subsets(city, tmp_path, monkeypatch):
    root = layouts.vehicleid(tmp_path / "vehicleid")
    few = dict(train_identities=None, galleries=3, max_steps=1, protocol=())
    made = plan(root, tmp_path / "out", ["parts"], sizes=((0, 32),), **few)
    cell = made["parts"]["SSR-Net"]
    assert run_cell(cell)
    scores = read_cell(cell.result).scores
    assert len(scores) == 2 and len({score.test_set for score in scores}) == 2
    assert all(score.seeds == (0, 1, 2) and score.deviation is not None for score in scores)
    assert {score.record["protocol"] for score in scores} == {"single_gallery_shot"}


def test_another_data_set_can_be_tested_on(city, tmp_path):
    """Trained on one folder's training images, tested on another folder that has none."""
    other = tmp_path / "other"
    shutil.copytree(city, other)
    shutil.rmtree(other / "image_train")
    change = dict(train_identities=None, max_steps=1)
    cell = plan(city, tmp_path / "out", ["parts"], test_data=other, **change)["parts"]["SSR-Net"]
    assert cell.name != plan(city, tmp_path / "out", ["parts"], **change)["parts"]["SSR-Net"].name
    assert run_cell(cell)
    result = read_cell(cell.result)
    assert [score.test_set for score in result.scores] == ["other"]
    assert result.training_set["vehicles"] == 6 and result.training_set["name"] == city.name


def test_a_subset_of_two_data_sets(city, tmp_path):
    with pytest.raises(SettingsError, match="subset is 800, a part of --data's test images, but --test-data names"):
        plan(city, tmp_path, ["parts"], test_data=city, subset=800)


# Bad files


def test_a_damaged_cell_is_one_sentence(finished, tmp_path):
    path = tmp_path / "cell.json"
    for text in ("", "{}", "[]", json.dumps({**json.loads(finished.result.read_text()), "wheels": 4})):
        path.write_text(text)
        with pytest.raises(
            DataError, match="cell.json is not a cell of a study .*; remove it and run the study again.$"
        ):
            read_cell(path)


def test_a_cell_reads_back_as_it_was_written(planned, tmp_path):
    result = small.result(planned["parts"]["PCB"], seeds=(0, 1))
    write_json(tmp_path / "cell.json", asdict(result))
    assert read_cell(tmp_path / "cell.json") == result


def test_an_out_that_cannot_be_written(planned, tmp_path):
    (tmp_path / "file").write_text("")
    cell = planned["parts"]["PCB"]
    inside = replace(cell, training=replace(cell.training, out=tmp_path / "file/cell/run"))
    with pytest.raises(ResourceError, match="cannot be written .*; choose another --out.$"):
        run_cell(inside)


def test_a_crop_without_a_cell_is_told_before_training(city, tmp_path):
    message = "λ = 0.125; .* cannot train at 32 pixels: crop ratio 0.125 leaves no cell"
    with pytest.raises(SettingsError, match=message):
        plan(city, tmp_path, ["crop-ratio"], sizes=((0, 128), (1, 32)))


def test_a_named_layout_is_that_of_the_data_and_not_of_its_slice(tmp_path):
    images = [f"{split}/gate {gate}/{each}.jpg" for split in ("train", "test") for gate in range(4) for each in "ab"]
    root = layouts.unlabelled(tmp_path / "gates", images)
    layouts.write(root / "manifest.csv", ["image,vehicle_id,split", "train/gate 1/a.jpg,v1,train"])
    cell = distinct(plan(root, tmp_path / "out", ("depth",), layout="Folders", protocol=("single_gallery_shot",)))[0]
    assert (cell.layout, cell.training.layout) == ("Folders", None) and cell.training.data != root
    (tested,) = sets_to_test(cell.data, None, cell.layout)
    assert (tested.layout, len(tested.gallery)) == ("Folders", 8)
