import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ssrnet.errors import CheckpointError, DataError
from ssrnet.training.checkpoint import file_hash, save_checkpoint
from ssrnet.training.runs import differing_settings, find_runs, find_studies, read_run, stored_metrics
from tests import tiny


def line(epoch: int, **changes) -> dict:
    numbers = {"epoch": epoch, "step": 10 * epoch, "image_size": 64, "seconds": 30.0, "learning_rate": 1e-3}
    terms = {"cross_entropy/G": 1 / epoch, "triplet/G": 0.5 / epoch}
    return {**numbers, "images_per_second": 90.0, "loss": 1.5 / epoch, "accuracy": 0.5, **terms, **changes}


def scored(mAP: float) -> dict:
    return {"mAP": mAP, "mINP": 0.1, "cmc": [0.5, 0.6, 0.7, 0.8, 0.9], "queries": 6, "excluded": 0}


def make(folder: Path, lines: list, torn: str = "", age: float = 0.0, **settings) -> Path:
    """A run's folder whose log was last written ``age`` seconds before the time 1,000,000."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"recipe": "quick", "epochs": 4, "max_steps": None, "out": str(folder), "model": {}, **settings}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines) + torn)
    for path in folder.iterdir():
        os.utime(path, (NOW - age, NOW - age))
    return folder


NOW = 1_000_000.0


def test_a_real_run_is_read_as_train_wrote_it(run):
    read = read_run(run.out)
    assert read.state == "finished" and not read.going_on and read.title == "SSR-Net (GB+AB+RB)"
    assert [epoch["epoch"] for epoch in read.epochs] == [1, 2]
    log = [json.loads(text) for text in (run.out / "log.jsonl").read_text().splitlines()]
    assert read.series("loss") == ([1, 2], [each["loss"] for each in log])
    assert read.series("held_back/rank-1", "step") == ([log[1]["step"]], [log[1]["held_back"]["cmc"][0]])
    assert read.settings["model.backbone"] == "resnet18" and read.settings["optimiser.name"] == "sgd"


def test_series_over_epochs_steps_and_minutes(tmp_path):
    run = read_run(make(tmp_path / "a", [line(1), line(2, held_back=scored(0.25)), line(3)]), NOW)
    assert run.series("held_back/mAP") == ([2], [0.25])
    assert run.series("loss", "step")[0] == [10, 20, 30] and run.series("loss", "minutes")[0] == [0.5, 1.0, 1.5]
    assert run.series("no such thing") == ([], [])
    assert run.last["epoch"] == 3 and "held_back/rank-10" not in run.last and "held_back/cmc" not in run.last


@pytest.mark.parametrize("torn", ['{"epoch": 3, "lo', "\n", '{"epoch"', "\0\0\0", '{"epoch": "3"}\n', "[3]\n", "7"])
def test_a_torn_last_line_is_left_out(tmp_path, torn):
    assert len(read_run(make(tmp_path / "a", [line(1), line(2)], torn), NOW).epochs) == 2


@pytest.mark.parametrize("damaged", [7, {"step": 3}, "text", {"epoch": "two"}])
def test_a_damaged_line_before_the_last_is_one_sentence(tmp_path, damaged):
    folder = make(tmp_path / "a", [line(1), damaged, line(3)])
    with pytest.raises(DataError, match=r"log.jsonl, line 2 is no epoch of a training run; remove that line"):
        read_run(folder, NOW)


def test_where_the_image_size_changed(tmp_path):
    lines = [line(i, image_size=size) for i, size in enumerate((64, 64, 128, 128, 256), start=1)]
    run = read_run(make(tmp_path / "run", lines), NOW)
    assert run.resized() == [(3, 128), (5, 256)] and run.resized("step") == [(30, 128), (50, 256)]
    assert read_run(make(tmp_path / "same", [line(1), line(2)]), NOW).resized() == []


def test_a_resumed_run_counts_its_later_lines(tmp_path):
    run = read_run(make(tmp_path / "a", [line(1), line(2), line(3), line(2, loss=9.0)]), NOW)
    assert run.series("loss") == ([1, 2], [1.5, 9.0]) and run.last["minutes"] == 1.0


def test_what_is_no_finite_number_is_left_out(tmp_path):
    run = read_run(make(tmp_path / "a", [line(1, loss=float("nan"), note="x", flag=True), line(2)]), NOW)
    assert run.series("loss")[0] == [2] and "note" not in run.epochs[0] and "flag" not in run.epochs[0]


@pytest.mark.parametrize(
    ("epochs", "age", "settings", "state"),
    [
        (2, 10, {}, "training"),
        (2, 400, {}, "stopped"),
        (4, 400, {}, "finished"),
        (2, 0, {"max_steps": 20}, "finished"),
        (0, 400, {}, "starting"),
        (0, 4000, {}, "stopped"),
        # The clock was set back after the last line: a little, or by a year, of a run that was stopped or is finished.
        (2, -10, {}, "training"),
        (2, -365 * 86400, {}, "stopped"),
        (4, -365 * 86400, {}, "finished"),
        (0, -365 * 86400, {}, "stopped"),
    ],
)
def test_the_state_of_a_run(tmp_path, epochs, age, settings, state):
    folder = make(tmp_path / "a", [line(i + 1) for i in range(epochs)], age=age, **settings)
    assert read_run(folder, NOW).state == state


def test_long_epochs_are_waited_for(tmp_path):
    folder = make(tmp_path / "a", [line(1, seconds=600.0)], age=2000)
    assert read_run(folder, NOW).state == "training"


def test_a_run_before_its_first_line(tmp_path):
    folder = make(tmp_path / "a", [])
    (folder / "log.jsonl").unlink()
    run = read_run(folder, NOW)
    assert run.state == "starting" and run.last == {} and run.epochs == ()


def test_a_log_without_settings_has_curves(tmp_path):
    folder = make(tmp_path / "a", [line(1)])
    (folder / "settings.json").unlink()
    run = read_run(folder, NOW)
    assert run.title == "" and run.settings == {} and run.state == "training" and len(run.epochs) == 1


def test_a_vanished_and_an_empty_folder_are_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"gone is not there \(any more\); choose another run or correct its path"):
        read_run(tmp_path / "gone")
    with pytest.raises(DataError, match="holds no training run .* choose what `ssrnet train` had as --out"):
        read_run(tmp_path)


def test_runs_are_found_below_the_places(tmp_path):
    make(tmp_path / "runs/b", [line(1)])
    make(tmp_path / "runs/study/a", [])
    (tmp_path / "runs/study/a/log.jsonl").unlink()
    (tmp_path / "runs/other").mkdir()
    (tmp_path / "runs/other/settings.json").write_text('{"identities": 4}')
    assert find_runs([tmp_path / "runs", tmp_path / "absent"]) == [tmp_path / "runs/b", tmp_path / "runs/study/a"]


def test_settings_that_differ(tmp_path):
    first = make(tmp_path / "a", [line(1)], seed=0, model={"backbone": "resnet18"}, sizes=[[0, 64]])
    second = make(tmp_path / "b", [line(1)], seed=0, model={"backbone": "resnet50"}, sizes=[[0, 32]], fused=True)
    runs = [read_run(first, NOW), read_run(second, NOW)]
    assert differing_settings(runs) == {
        "model.backbone": ("resnet18", "resnet50"),
        "sizes": ("[[0, 64]]", "[[0, 32]]"),
        "fused": ("not set", "yes"),
    }
    assert differing_settings(runs[:1]) == {}


def test_the_metrics_in_a_checkpoint_carry_their_record(run):
    (stored,) = stored_metrics(run.out / "best.safetensors")
    log = read_run(run.out)
    assert stored.values["mAP"] == log.last["held_back/mAP"] and stored.values["rank-1"] == log.last["held_back/rank-1"]
    assert stored.on == "training identities held back" and stored.epoch == 2
    record = stored.record
    assert record["features"]["checkpoint_hash"] == file_hash(run.out / "best.safetensors")
    assert record["features"]["image_size"] == 32 and record["queries"] == 6 and record["distance"] == "cosine"
    assert record["images"].startswith("2 training identities that were not trained on, drawn by seed 0")


def test_a_record_that_a_checkpoint_brings_is_kept(tmp_path):
    model = tiny.network(**tiny.BASELINE)
    entry = {"metrics": scored(0.75), "record": {"protocol": "cross_camera", "seed": None}}
    save_checkpoint(tmp_path / "c.safetensors", model, replace(tiny.info(model), metrics={"demo test": entry}))
    (stored,) = stored_metrics(tmp_path / "c.safetensors")
    assert (stored.on, stored.values["mAP"], stored.model) == ("demo test", 0.75, "Baseline (GB)")
    assert stored.record == entry["record"]


def test_a_checkpoint_without_metrics_and_a_broken_one(tmp_path):
    model = tiny.network(**tiny.BASELINE)
    save_checkpoint(tmp_path / "c.safetensors", model, replace(tiny.info(model), metrics={}))
    assert stored_metrics(tmp_path / "c.safetensors") == []
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="broken.safetensors is no checkpoint of ssrnet or damaged"):
        stored_metrics(tmp_path / "broken.safetensors")


def test_folders_of_studies(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"runs/{name}/studies").mkdir(parents=True)
        (tmp_path / f"runs/{name}/studies/depth.json").write_text("{}")
    (tmp_path / "assets/studies").mkdir(parents=True)  # empty: no study
    places = [tmp_path / "assets", tmp_path / "absent", tmp_path / "runs"]
    assert find_studies(places) == [tmp_path / "runs/a", tmp_path / "runs/b"]
