import json
import os
from dataclasses import asdict, replace

import pytest

import ssrnet.commands.study as runner
from ssrnet import cli
from ssrnet.commands.study import run_study
from ssrnet.errors import DataError, DivergedError, ResourceError, SettingsError, TrainingError
from ssrnet.studies.cell_results import read_cell, write_json
from ssrnet.studies.settings import LatencySettings, ReportSettings, StudySettings
from ssrnet.train import train
from ssrnet.training.settings import OptimiserSettings, recipe
from tests import tiny
from tests.data import layouts
from tests.studies import small


@pytest.fixture
def quick_cells(monkeypatch):
    """Cells write numbers at once; the list collects their titles. The error in ``fail`` is raised for its titles."""

    class Cells(list):
        fail: dict = {}

    ran = Cells()

    def run_cell(cell):
        ran.append(cell.title)
        if cell.title in ran.fail:
            raise ran.fail[cell.title]
        write_json(cell.result, asdict(small.result(cell)))
        return True

    monkeypatch.setattr(runner, "run_cell", run_cell)
    return ran


def test_all_eight_studies_train_each_variant_once(city, tmp_path, quick_cells):
    run_study(small.study("all", city, tmp_path / "out", sizes=((0, 128),)))
    assert len(quick_cells) == len(set(quick_cells)) == 37
    plans = sorted(os.listdir(tmp_path / "out/studies"))
    names = "attention beta complexity components crop-ratio depth losses parts".split()
    assert plans == [f"{name}.json" for name in names]
    rows = json.loads((tmp_path / "out/studies/depth.json").read_text())["rows"]
    assert [row["label"] for row in rows] == ["l = 1", "l = 2", "l = 3"]
    assert all(read_cell(tmp_path / "out/cells" / row["cell"] / "cell.json") for row in rows)


def test_a_killed_study_goes_on_at_the_unfinished_cell(city, tmp_path, quick_cells):
    settings = small.study("depth", city, tmp_path / "out")
    quick_cells.fail = {"GB+AB+RB, l = 3; cross_entropy+triplet": MemoryError()}
    with pytest.raises(MemoryError):
        run_study(settings)
    assert len(quick_cells) == 3
    quick_cells.clear()
    quick_cells.fail = {}
    run_study(settings)
    assert quick_cells == ["GB+AB+RB, l = 3; cross_entropy+triplet"]
    quick_cells.clear()
    run_study(small.study("parts", city, tmp_path / "out"))
    assert quick_cells == ["GB+AB+PCB; cross_entropy+triplet"]  # full SSR-Net is there already


def test_each_cell_is_published_when_it_ends_and_then_counts_as_done(city, tmp_path, quick_cells, capsys):
    """Also where nothing is left but what was published; a table is replaced by one with as many numbers."""
    published = tmp_path / "tables"
    kept = {"study": "depth", "rows": [{"label": "l = 1", "cell": "a"}, {"label": "l = 2", "cell": "b"}]}
    write_json(published / "studies/depth.json", kept)
    for name in "ab":
        write_json(published / f"cells/{name}/cell.json", {})
    settings = small.study("depth", city, tmp_path / "out", publish=published)
    quick_cells.fail = {"SSR-Net (GB+AB+RB); cross_entropy+triplet": MemoryError()}
    with pytest.raises(MemoryError):
        run_study(settings)
    assert json.loads((published / "studies/depth.json").read_text()) == kept
    quick_cells.clear()
    quick_cells.fail = {}
    again = small.study("depth", city, tmp_path / "elsewhere", publish=published)
    run_study(replace(again, dry_run=True))
    assert not quick_cells and "3 networks, 2 to do, under cross_camera." in capsys.readouterr().out
    run_study(again)
    assert len(quick_cells) == 2
    rows = json.loads((published / "studies/depth.json").read_text())["rows"]
    assert [read_cell(published / "cells" / row["cell"] / "cell.json").variant for row in rows][1:] == quick_cells


def test_a_loss_that_diverges_does_not_stop_the_others(city, tmp_path, quick_cells):
    quick_cells.fail = {"GB+AB+RB, l = 1; cross_entropy+triplet": DivergedError("the loss became nan.")}
    with pytest.raises(TrainingError, match="1 of 3 cells could not be trained; the first, .*l = 1; .*became nan.$"):
        run_study(small.study("depth", city, tmp_path))
    assert len(quick_cells) == 3


def test_train_raises_what_the_studies_wait_for(city, tmp_path):
    rate = OptimiserSettings(learning_rate=1e30, warmup_epochs=0, decay_epoch=2)
    with pytest.raises(DivergedError):
        train(tiny.training(city, tmp_path / "run", optimiser=rate))


def test_ctrl_c_and_a_full_disk_stop_at_once(city, tmp_path, quick_cells):
    stopped = TrainingError("stopped after step 3; out holds it: go on with --resume.")
    for error, message in (
        (stopped, "stopped at GB.*l = 1; .*after step 3.* The same study command resumes there.$"),
        (ResourceError("the disk is full."), "^GB.*l = 1; .*: the disk is full.$"),
    ):
        quick_cells.clear()
        quick_cells.fail = {"GB+AB+RB, l = 1; cross_entropy+triplet": error}
        with pytest.raises(type(error), match=message):
            run_study(small.study("depth", city, tmp_path))
        assert len(quick_cells) == 1


def test_another_process_s_cell_is_left_to_it(city, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "run_cell", lambda cell: False)
    run_study(small.study("parts", city, tmp_path))
    assert "2 cells are in use by another process; run the same command again" in capsys.readouterr().out


def test_complexity_is_measured_once(tmp_path, monkeypatch, capsys):
    settings = small.study("complexity", tmp_path / "none", tmp_path)
    run_study(settings)
    before = (tmp_path / "studies/complexity.json").read_bytes()
    monkeypatch.setattr(runner, "measure_complexity", None)
    run_study(settings)
    assert (tmp_path / "studies/complexity.json").read_bytes() == before
    assert "done before" in capsys.readouterr().out
    with pytest.raises(TypeError):  # other settings are another measurement
        run_study(small.study("complexity", tmp_path, tmp_path, latency=LatencySettings(64, 1, 1)))


def test_nothing_is_written_where_the_data_are_no_good(tmp_path, quick_cells):
    with pytest.raises(DataError, match="does not exist"):
        run_study(small.study("depth", tmp_path / "none", tmp_path / "out"))
    market = layouts.market(tmp_path / "market")
    for image in (market / "bounding_box_train").iterdir():
        image.unlink()
    with pytest.raises(SettingsError, match="has no training images; choose a data set with a training split.$"):
        run_study(small.study("depth", market, tmp_path / "out"))
    assert not (tmp_path / "out").exists() and not quick_cells


# The command line


def parsed(monkeypatch, arguments: str):
    caught = []
    monkeypatch.setattr(cli, "HANDLERS", dict.fromkeys(cli.HANDLERS, caught.append))
    cli.run(arguments.split())
    return caught[0]


def test_trainings_options_pass_through_to_all_cells(monkeypatch):
    settings = parsed(
        monkeypatch,
        "study losses --data d --out o --recipe quick --epochs 3 --max-steps 2 --sizes 0 128 "
        "--model.backbone resnet18 --optimiser.learning-rate 0.5 --train-identities 9 --seed 4",
    )
    assert isinstance(settings, StudySettings)
    training = settings.training
    assert (settings.study, settings.train_identities) == ("losses", 9)
    assert (training.epochs, training.max_steps, training.sizes, training.seed) == (3, 2, ((0, 128),), 4)
    assert training.model.backbone == "resnet18" and training.optimiser.learning_rate == 0.5
    assert training.loss == recipe("quick").loss and training.frozen_stages == recipe("quick").frozen_stages


def test_a_recipe_chooses_a_studys_defaults(monkeypatch):
    assert parsed(monkeypatch, "study beta --data d --recipe paper").training.optimiser == recipe("paper").optimiser


def test_complexity_needs_no_data_and_report_no_settings(monkeypatch):
    assert parsed(monkeypatch, "study complexity").latency == LatencySettings(256)
    assert str(parsed(monkeypatch, "study report").out) == str(parsed(monkeypatch, "study depth --data d").out)
    assert isinstance(parsed(monkeypatch, "study report --out o"), ReportSettings)


@pytest.mark.parametrize(
    "arguments",
    [
        "study",
        "study wheels --data d",
        "study beta",
        "study report --data d",
        "study beta --data d --resume",
        "study beta --data d --network baseline",
    ],
)
def test_usage_errors(monkeypatch, arguments):
    with pytest.raises(SystemExit) as caught:
        parsed(monkeypatch, arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train_identities": 1}, "train_identities is 1; training needs at least 2 vehicles."),
        ({"galleries": 0}, "galleries is 0; at least one random gallery is needed."),
        ({"epochs": 0}, "epochs is 0; it must be at least 1."),
    ],
)
def test_bad_values_are_one_sentence(tmp_path, changes, sentence):
    with pytest.raises(SettingsError, match=f"^{sentence}$"):
        small.study("beta", tmp_path, tmp_path, **changes)


@pytest.mark.parametrize("name", ["image_size", "batch_size", "rounds"])
def test_latency_needs_something_to_time(name):
    with pytest.raises(SettingsError, match=f"^{name} is 0; it must be at least"):
        LatencySettings(**{name: 0})
