"""Settings as version 0.1 stored them: in runs, resume files, checkpoints and study cells."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ssrnet.losses import LossSettings
from ssrnet.studies.cell_results import read_cell
from ssrnet.train import train
from ssrnet.training.checkpoint import read_checkpoint
from ssrnet.training.old_settings import split_loss_name
from ssrnet.training.runs import differing_settings, read_run
from tests import tiny

ROOT = Path(__file__).parents[2]
PAIR = {"classification": "cross_entropy", "metric": "triplet"}


@pytest.mark.parametrize(
    ("name", "classification", "metric"),
    [
        ("cross_entropy", "cross_entropy", "none"),
        ("circle", "circle", "none"),
        ("circle+triplet", "circle", "triplet"),
        ("cross_entropy+triplet", "cross_entropy", "triplet"),
        ("cross_entropy+contrastive", "cross_entropy", "contrastive"),
        ("cross_entropy+lifted", "cross_entropy", "lifted"),
        ("cross_entropy+instance", "cross_entropy", "instance"),
    ],
)
def test_every_name_of_version_0_1_becomes_a_pair(name, classification, metric):
    read = split_loss_name({"seed": 3, "loss": {"name": name, "beta": 0.5}})
    assert read == {"seed": 3, "loss": {"classification": classification, "metric": metric, "beta": 0.5}}
    assert LossSettings(**read["loss"]).title == name


@pytest.mark.parametrize(
    "training", [{}, {"loss": 3}, {"loss": {}}, {"loss": {"name": 3}}, {"loss": {"metric": "lifted"}}, {"name": "x"}]
)
def test_what_has_no_such_name_stays_as_it_is(training):
    assert split_loss_name(training) == training


def test_what_version_0_1_shipped_is_read_as_a_pair():
    """By the readers of checkpoints and runs."""
    loss = read_checkpoint(ROOT / "checkpoints/ssrnet.safetensors").info.training["loss"]
    assert loss.items() >= PAIR.items() and "name" not in loss
    settings = read_run(ROOT / "checkpoints/ssrnet").settings
    assert {name: settings[f"loss.{name}"] for name in PAIR} == PAIR and "loss.name" not in settings


@pytest.mark.parametrize(
    "path", sorted((ROOT / "assets/tables/cells").glob("*/cell.json")), ids=lambda path: path.parent.name
)
def test_a_study_cell_of_version_0_1_is_read_as_a_pair(path, tmp_path):
    """Such a cell has no sums by vehicle either."""
    values = json.loads(path.read_text(encoding="utf-8"))
    values["training"] = json.loads(as_product(json.dumps(values["training"])))
    for score in values["scores"]:
        del score["vehicles"]
    old = tmp_path / "cell.json"
    old.write_text(json.dumps(values), encoding="utf-8")
    read = read_cell(old)
    assert read.training["loss"] == read_cell(path).training["loss"]
    assert all(score.sums is None for score in read.scores)


def as_product(text: str) -> str:
    """JSON of settings with the loss as version 0.1 wrote it."""
    settings = json.loads(text)
    loss = settings["loss"]
    settings["loss"] = {"name": f"{loss.pop('classification')}+{loss.pop('metric')}", **loss}
    return json.dumps(settings)


def test_a_run_of_version_0_1_is_resumed(run, city, tmp_path):
    """Its settings.json and resume.pt name the loss as one product; the new run beside it differs in nothing."""
    settings = tiny.training(city, tmp_path / "old", max_steps=2, holdout=2)
    train(settings)
    path, resume = settings.out / "settings.json", settings.out / "resume.pt"
    state = torch.load(resume, weights_only=True)
    path.write_text(as_product(path.read_text()))
    torch.save({**state, "run": as_product(state["run"])}, resume)
    train(tiny.training(city, tmp_path / "old", resume=True, holdout=2))
    ours, theirs = (load_file(folder / "last.safetensors") for folder in (settings.out, run.out))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not [name for name in differing_settings([read_run(settings.out), read_run(run.out)]) if "loss" in name]
