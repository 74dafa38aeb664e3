import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import ssrnet.train
import ssrnet.training.state
from ssrnet.data.datasets import open_dataset
from ssrnet.data.holdout import hold_back
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import CheckpointError, DataError, ResourceError, SettingsError, TrainingError
from ssrnet.losses import LossSettings, ReIDLoss
from ssrnet.metrics import Metrics
from ssrnet.train import train
from ssrnet.training.batches import build_sampler
from ssrnet.training.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint, write_checkpoint
from ssrnet.training.distributed import Processes
from ssrnet.training.network import accuracy, autocast
from ssrnet.training.resume import Progress
from ssrnet.training.settings import OptimiserSettings
from tests import tiny
from tests.data import layouts
from tests.processes import run_script

FILES = {"settings.json", "log.jsonl", "tensorboard", "last.safetensors", "best.safetensors", "resume.pt"}


def lines(settings) -> list[dict]:
    return [json.loads(line) for line in (settings.out / "log.jsonl").read_text().splitlines()]


def weights(settings, name="last.safetensors"):
    return load_file(settings.out / name)


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_leaves_these_files(run):
    assert set(os.listdir(run.out)) == FILES  # best.safetensors because identities are held back
    saved = json.loads((run.out / "settings.json").read_text())
    assert saved["data"] == str(run.data) and saved["seed"] == 0 and saved["holdout"] == 2
    assert saved["optimiser"]["name"] == "sgd" and saved["model"]["backbone"] == "resnet18"


def test_the_log_has_a_line_an_epoch(run):
    log = lines(run)
    assert [line["epoch"] for line in log] == [1, 2]
    assert [line["step"] for line in log] == [2, 4]  # four vehicles, two a batch
    for line in log:
        assert line["image_size"] == 32 and line["seconds"] >= 0 and line["images_per_second"] > 0
        assert 0 <= line["accuracy"] <= 1 and line["loss"] > 0
        terms = [line[f"{term}/{branch}"] for term in ("cross_entropy", "triplet") for branch in ("G", "attn", "token")]
        assert line["loss"] == pytest.approx(sum(terms), rel=1e-5)
    # The last step of an epoch: on the plateau, then halfway down the cosine from epoch 1 to 2.
    assert [line["learning_rate"] for line in log] == [1e-3, pytest.approx(0.5e-3)]
    assert [("held_back" in line) for line in log] == [False, True]
    assert log[1]["held_back"]["queries"] == 6 and 0 < log[1]["held_back"]["mAP"] <= 1


def test_last_and_best_load_and_say_what_they_are(run):
    dataset = open_dataset(run.data)
    for name in ("last.safetensors", "best.safetensors"):
        loaded = load_checkpoint(run.out / name)
        info = loaded.info
        assert loaded.notes == () and info.model == run.model and info.image_size == 32
        assert (info.epoch, info.step, info.num_classes) == (2, 4, 4)
        assert (info.dataset, info.dataset_hash) == (dataset.name, dataset.content_hash())
        assert info.training == json.loads((run.out / "settings.json").read_text())
        assert info.metrics["held_back"]["mAP"] == lines(run)[1]["held_back"]["mAP"]
    assert same(weights(run), weights(run, "best.safetensors"))


def test_frozen_stages_stay_as_they_started(run):
    torch.manual_seed(run.seed)
    start = tiny.SSRNet(run.model, 4).state_dict()
    end = weights(run)
    stem = [name for name in start if name.startswith(("backbone.conv1", "backbone.bn1"))]
    assert stem and all(torch.equal(start[name], end[name]) for name in stem)
    assert not torch.equal(start["backbone.layer4.1.conv2.weight"], end["backbone.layer4.1.conv2.weight"])
    assert not torch.equal(start["graph.token"], end["graph.token"])


def test_an_easy_data_set_is_learnt(city, tmp_path, monkeypatch):
    monkeypatch.setattr(ssrnet.training.state, "save_checkpoint", lambda *_: None)
    monkeypatch.setattr(ssrnet.training.state, "save_progress", lambda *_: None)
    settings = tiny.training(
        city,
        tmp_path / "run",
        epochs=8,
        identities_per_batch=6,
        images_per_identity=3,
        loss=LossSettings(),
        augment=tiny.AugmentSettings(pad=0),
        optimiser=OptimiserSettings("adamw", 1e-3, warmup_epochs=0, decay_epoch=8),
        model=tiny.ModelSettings(backbone="resnet18", **tiny.BASELINE),
        network="baseline",
    )
    train(settings)
    log = lines(settings)
    assert log[-1]["loss"] < 0.5 * log[0]["loss"] and log[-1]["accuracy"] > 0.8 > log[0]["accuracy"]


def test_nothing_is_written_outside_out(city, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    before = tiny.files(city)
    assert train(tiny.training(city, tmp_path / "a/run", max_steps=1)) == tmp_path / "a/run/last.safetensors"
    assert tiny.files(city) == before and not os.listdir(tmp_path / "elsewhere")
    assert os.listdir(tmp_path / "a") == ["run"] and set(os.listdir(tmp_path)) == {"a", "elsewhere"}


def test_checkpoints_name_what_was_trained_on(run):
    (stated,) = read_checkpoint(run.out / "last.safetensors").info.training_sets
    dataset = open_dataset(run.data)
    fit, _ = hold_back(dataset, run.holdout, run.seed)
    assert (stated.name, stated.content_hash) == (dataset.name, dataset.content_hash())
    assert (stated.images, len(stated.vehicles), len(stated.cameras)) == (len(fit), 4, 2)


def test_two_data_sets_give_the_classes_of_both(city, tmp_path):
    train(tiny.training(city, tmp_path / "run", more_data=(city,), max_steps=1, holdout=0))
    info = load_checkpoint(tmp_path / "run/last.safetensors").info
    assert info.num_classes == 12 and info.dataset == f"{city.name} + {city.name}"
    assert info.training["more_data"] == [str(city)]


@pytest.fixture(scope="module")
def interrupted(run, tmp_path_factory):
    """The settings of ``run``, stopped after its first epoch; copy its folder before going on."""
    settings = replace(run, out=tmp_path_factory.mktemp("runs") / "interrupted", max_steps=2)
    train(settings)
    return settings


@pytest.fixture
def stopped(interrupted, tmp_path):
    """A copy of ``interrupted`` to go on with."""
    settings = replace(interrupted, out=tmp_path / "run")
    shutil.copytree(interrupted.out, settings.out)
    return settings


def test_max_steps_stops_a_run(interrupted):
    assert [line["step"] for line in lines(interrupted)] == [2]
    assert load_checkpoint(interrupted.out / "last.safetensors").info.epoch == 1


def test_a_resumed_run_ends_as_an_uninterrupted_one(run, stopped):
    train(replace(stopped, max_steps=None, resume=True))
    assert same(weights(stopped), weights(run))
    volatile = {"seconds", "images_per_second", "held_back"}
    logs = [[{k: v for k, v in line.items() if k not in volatile} for line in lines(s)] for s in (stopped, run)]
    assert logs[0] == logs[1]
    assert lines(stopped)[-1]["held_back"] == lines(run)[-1]["held_back"]


def test_how_often_the_held_back_are_evaluated_does_not_change_the_weights(run, tmp_path):
    often = replace(run, out=tmp_path / "run", evaluate_every=1)
    train(often)
    assert same(weights(often), weights(run))
    assert all("held_back" in line for line in lines(often))
    best = max(lines(often), key=lambda line: line["held_back"]["mAP"])  # the first where several are
    assert load_checkpoint(often.out / "best.safetensors").info.epoch == best["epoch"]


def test_another_seed_gives_another_run(run, tmp_path):
    other = replace(run, out=tmp_path / "run", seed=1, max_steps=1, holdout=0)
    train(other)
    assert not torch.equal(weights(other)["backbone.conv1.weight"], weights(run)["backbone.conv1.weight"])


def test_a_finished_run_resumed_stays_as_it_is(run, stopped):
    settings = replace(stopped, resume=True)  # its two steps are done
    before = tiny.files(stopped.out)
    assert train(settings) == stopped.out / "last.safetensors"
    assert tiny.files(stopped.out) == before


def test_an_existing_run_is_not_overwritten(stopped):
    before = tiny.files(stopped.out)
    with pytest.raises(SettingsError, match="holds a run already; go on with --resume or choose another --out"):
        train(stopped)
    assert tiny.files(stopped.out) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"epochs": 9}, "epochs was 2 and is 9"),
        ({"images_per_identity": 3}, "images_per_identity was 2 and is 3"),
        ({"optimiser": OptimiserSettings(learning_rate=7.0)}, r"optimiser was .*0.001.* and is .*7\.0"),
    ],
)
def test_other_settings_are_not_resumed(stopped, changes, message):
    before = tiny.files(stopped.out)
    with pytest.raises(CheckpointError, match=f"belongs to a run with other settings .*{message}.* give the same"):
        train(replace(stopped, resume=True, **changes))
    assert tiny.files(stopped.out) == before


def test_more_epochs_are_not_resumed_but_started_from(stopped):
    with pytest.raises(CheckpointError) as caught:
        train(replace(stopped, resume=True, epochs=9))
    assert str(caught.value).endswith(
        f"give the same, or train further in another --out with --start-from {stopped.out / 'last.safetensors'}."
    )


def test_another_data_set_is_not_resumed(stopped, tmp_path):
    other = tiny.city(tmp_path / "other")
    next((other / "image_train").iterdir()).unlink()
    with pytest.raises(CheckpointError, match="dataset_hash was"):
        train(replace(stopped, data=other, resume=True))


def test_nothing_to_resume(city, tmp_path):
    with pytest.raises(CheckpointError, match="there is nothing to resume at .*resume.pt; start the run without"):
        train(tiny.training(city, tmp_path / "run", resume=True))


@pytest.mark.parametrize("damage", ["truncated", "garbage", "other content"])
def test_a_damaged_resume_file_is_named(stopped, damage):
    path = stopped.out / "resume.pt"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "garbage":
        path.write_bytes(b"garbage")
    else:
        torch.save({"model": {}}, path)
    with pytest.raises(CheckpointError, match="resume.pt") as caught:
        train(replace(stopped, resume=True))
    assert "\n" not in str(caught.value)


class Failing(ReIDLoss):
    """A loss whose fourth step fails."""

    failure: BaseException | None = None

    def forward(self, *arguments):
        self.steps = getattr(self, "steps", 0) + 1
        objective = super().forward(*arguments)
        if self.steps == 4:
            if self.failure:
                raise self.failure
            objective = objective._replace(total=objective.total * float("nan"))
        return objective


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_last_epoch(run, city, tmp_path, monkeypatch):
    monkeypatch.setattr(ssrnet.train, "ReIDLoss", Failing)
    settings = replace(run, out=tmp_path / "run")
    message = "the loss became nan at step 3; .* are those of the last whole epoch"
    with pytest.raises(TrainingError, match=message) as caught:
        train(settings)
    assert load_checkpoint(settings.out / "last.safetensors").info.epoch == 1 and len(lines(settings)) == 1
    assert "--resume" not in str(caught.value)  # which would take the same settings, and fail again
    monkeypatch.undo()
    train(replace(settings, resume=True))
    assert same(weights(settings), weights(run))


def test_an_interrupt_says_how_to_go_on(run, tmp_path, monkeypatch):
    monkeypatch.setattr(ssrnet.train, "ReIDLoss", Failing)
    monkeypatch.setattr(Failing, "failure", KeyboardInterrupt())  # as a second Ctrl-C within one step raises it
    settings = replace(run, out=tmp_path / "run")
    with pytest.raises(TrainingError, match="stopped by the keyboard; .* holds epoch 1: go on .* --resume"):
        train(settings)
    monkeypatch.undo()
    train(replace(settings, resume=True))
    assert same(weights(settings), weights(run))


@pytest.mark.parametrize(("damage", "workers"), [("truncated", 0), ("text", 1)])
def test_a_bad_training_image_is_named(tmp_path, damage, workers):
    data = tiny.city(tmp_path / "data")
    for path in (data / "image_train").iterdir():
        path.write_bytes(b"no picture" if damage == "text" else path.read_bytes()[:400])
    with pytest.raises(
        DataError, match=r"^18 images cannot be read, the first: \S+/image_train/\d{4}_c00\d_\d{8}_0\.jpg is [^\n]*$"
    ):
        train(tiny.training(data, tmp_path / "run", workers=workers))


def test_start_from_a_checkpoint_of_other_identities(run, city, tmp_path, capsys):
    settings = tiny.training(city, tmp_path / "run", start_from=run.out / "last.safetensors", max_steps=1)
    train(replace(settings, optimiser=OptimiserSettings(learning_rate=1e-12, warmup_epochs=0)))
    said = capsys.readouterr().out
    assert "all weights: last.safetensors; classifiers: each vehicle's mean feature; last.safetensors: dropped" in said
    start, end = weights(run), weights(settings)
    assert torch.allclose(start["graph.token"], end["graph.token"], atol=1e-6)
    assert end["classifiers.G.weight"].shape == (6, 512)


def test_classifiers_that_start_at_mean_features_name_the_vehicles_before_any_step(city, tmp_path):
    easy = dict(
        identities_per_batch=6,
        images_per_identity=3,
        loss=LossSettings(),
        augment=tiny.AugmentSettings(pad=0),
        model=tiny.ModelSettings(backbone="resnet18", **tiny.BASELINE),
        network="baseline",
    )
    learnt = OptimiserSettings("adamw", 1e-3, warmup_epochs=0, decay_epoch=4)
    first = tiny.training(city, tmp_path / "first", epochs=4, optimiser=learnt, **easy)
    train(first)
    tensors = load_file(first.out / "last.safetensors")
    last = load_checkpoint(first.out / "last.safetensors")
    bare = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifiers.")}
    write_checkpoint(tmp_path / "bare.safetensors", bare, last.info)
    still = OptimiserSettings(learning_rate=1e-12, warmup_epochs=0)
    second = tiny.training(
        city, tmp_path / "second", start_from=tmp_path / "bare.safetensors", optimiser=still, max_steps=1, **easy
    )
    train(second)
    assert lines(second)[0]["accuracy"] > 0.8  # of six vehicles; at random it would be a sixth
    again = replace(second, out=tmp_path / "whole", start_from=first.out / "last.safetensors")
    train(again)
    assert torch.allclose(weights(again)["classifiers.G.weight"], tensors["classifiers.G.weight"], atol=1e-6)


def test_parts_that_start_anew(run, city, tmp_path, capsys):
    start = dict(start_from=run.out / "last.safetensors", start_anew=("attention",), max_steps=1)
    settings = tiny.training(city, tmp_path / "run", **start, optimiser=OptimiserSettings(learning_rate=1e-12))
    train(replace(settings, seed=1))
    assert "at random: attention" in capsys.readouterr().out
    before, after = weights(run), weights(settings)
    mlp = "attention.mlp.0.weight"
    assert not torch.allclose(before[mlp], after[mlp], atol=1e-3)
    assert torch.allclose(before["graph.token"], after["graph.token"], atol=1e-6)
    with pytest.raises(SettingsError, match="start_anew names attentoin; the parts of this model are attention, "):
        train(replace(settings, out=tmp_path / "other", start_anew=("attentoin",)))


def test_each_epoch_logs_the_health_of_its_attention(run):
    for line in lines(run):
        health = line["attention_health"]
        assert health["images"] == 12  # all that are trained on
        assert health["M_c_saturated"] == 0 and 0 <= health["M_c_deviation"] < 0.5
        assert 0 <= health["M_s_position"] <= 1 and health["border"] > 0 and len(health["node_cosine"]) == 3


def test_bfloat16_on_a_cpu_is_asked_for(city, tmp_path):
    settings = tiny.training(city, tmp_path / "run")
    cpu = torch.device("cpu")
    for asked in (False, True):
        with autocast(replace(settings, cpu_bfloat16=asked), cpu):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if asked else torch.float32)
    train(replace(settings, cpu_bfloat16=True, max_steps=1))
    assert all(tensor.dtype != torch.bfloat16 for tensor in weights(settings).values())


def test_start_from_another_architecture(run, city, tmp_path):
    settings = tiny.training(
        city,
        tmp_path / "run",
        start_from=run.out / "last.safetensors",
        model=tiny.ModelSettings(backbone="resnet18", attention="se"),
    )
    with pytest.raises(CheckpointError, match="last.safetensors does not fit GB"):
        train(settings)
    assert not (tmp_path / "run").exists()


def test_sizes_change_with_the_epoch(city, tmp_path):
    settings = tiny.training(city, tmp_path / "run", sizes=((0, 32), (1, 48)))
    train(settings)
    assert "best.safetensors" not in os.listdir(settings.out)  # nothing is held back
    assert [line["image_size"] for line in lines(settings)] == [32, 48]
    assert load_checkpoint(settings.out / "last.safetensors").info.image_size == 48


def test_an_out_that_is_a_file(city, tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ResourceError, match="run cannot be made a folder .*; choose another --out"):
        train(tiny.training(city, tmp_path / "run"))


def test_more_vehicles_a_batch_than_there_are(city, tmp_path):
    with pytest.raises(SettingsError, match="P is 7 but the training split has 6 vehicles"):
        train(tiny.training(city, tmp_path / "run", identities_per_batch=7))
    assert not (tmp_path / "run").exists()


# Held-back identities


def test_held_back_vehicles_are_not_trained_on(city):
    dataset = open_dataset(city)
    fit, held = hold_back(dataset, 2, seed=0)
    out = {image.vehicle_id for image in held.gallery}
    assert len(out) == 2 and not out & {image.vehicle_id for image in fit}
    assert {image.name for image in fit} | {image.name for image in held.gallery} == {i.name for i in dataset.train}
    assert held.query == held.gallery and held.train == ()
    assert "2 training identities held back" in held.name


def test_the_seed_draws_them():
    dataset = layouts.dataset(train=layouts.records({f"v{i}": 2 for i in range(30)}))
    drawn = [frozenset(i.vehicle_id for i in hold_back(dataset, 5, seed)[1].gallery) for seed in range(5)]
    assert len(set(drawn)) == 5
    assert frozenset(i.vehicle_id for i in hold_back(dataset, 5, 3)[1].gallery) == drawn[3]


def test_holding_nothing_back(city):
    dataset = open_dataset(city)
    fit, held = hold_back(dataset, 0, seed=0)
    assert tuple(fit) == dataset.train and held is None


@pytest.mark.parametrize("identities", [5, 6, 100])
def test_two_vehicles_must_be_left(city, identities):
    with pytest.raises(SettingsError, match=f"holdout is {identities}, but .* has 6 training identities; leave"):
        hold_back(open_dataset(city), identities, seed=0)


def test_no_training_images():
    dataset = layouts.dataset(gallery=layouts.records({"a": 3}))
    with pytest.raises(DataError, match="has no training images"):
        hold_back(dataset, 0, seed=0)


def test_held_back_vehicles_without_cameras_are_scored_single_shot(city):
    dataset = open_dataset(city)
    blind = [replace(image, camera_id=None) for image in dataset.train]
    held = ReIDDataset("blind", city, "VeRi", "", (), blind, blind, "cross_camera")
    scored = ssrnet.training.state.score(tiny.network(), held, 32, Processes(torch.device("cpu")))
    assert isinstance(scored, Metrics) and scored.queries == 12  # 6 vehicles with 3 images, one in the gallery


def test_accuracy_is_the_mean_over_branches():
    logits = {"G": torch.eye(4), "attn": torch.eye(4).roll(1, 0)}
    assert accuracy(logits, torch.arange(4)) == 0.5
    assert accuracy({"G": torch.eye(4)}, torch.tensor([0, 1, 2, 0])) == 0.75


def test_a_crash_between_two_checkpoints_leaves_a_run_that_goes_on(run, stopped, monkeypatch):
    """The process dies after writing last.safetensors of epoch 2, before resume.pt."""

    def die(*arguments):
        raise SystemExit

    monkeypatch.setattr(ssrnet.training.state, "save_progress", die)
    with pytest.raises(SystemExit):
        train(replace(stopped, max_steps=None, resume=True))
    assert load_checkpoint(stopped.out / "last.safetensors").info.epoch == 2
    monkeypatch.undo()
    train(replace(stopped, max_steps=None, resume=True))
    assert same(weights(stopped), weights(run)) and [line["epoch"] for line in lines(stopped)] == [1, 2]


def test_progress_starts_before_everything():
    assert Progress() == (0, 0, 0, -1.0, {}, 0.0)


def test_a_full_disk_while_training_is_a_sentence(city, tmp_path):
    with tiny.small_disk():
        with pytest.raises(ResourceError, match="cannot write .*last.safetensors"):
            train(tiny.training(city, tmp_path / "run", max_steps=1))
    assert not [name for name in os.listdir(tmp_path / "run") if name.endswith(("safetensors", "part", "pt"))]


def test_training_from_backbone_weights(run, city, tmp_path, capsys):
    backbone = {k.removeprefix("backbone."): v for k, v in weights(run).items() if k.startswith("backbone.")}
    save_file(backbone, tmp_path / "r18.safetensors")
    settings = tiny.training(
        city, tmp_path / "run", backbone_weights=str(tmp_path / "r18.safetensors"), frozen_stages=5, max_steps=1
    )
    train(settings)
    assert "backbone: r18.safetensors" in capsys.readouterr().out
    assert all(torch.equal(weights(settings)[f"backbone.{name}"], value) for name, value in backbone.items())


def test_a_checkpoint_of_a_run_can_be_saved_again_and_is_the_same(run, tmp_path):
    loaded = load_checkpoint(run.out / "last.safetensors")
    save_checkpoint(tmp_path / "copy.safetensors", loaded.model, loaded.info)
    assert load_checkpoint(tmp_path / "copy.safetensors").info == loaded.info
    assert same(load_file(tmp_path / "copy.safetensors"), weights(run))


# Trust: what stops a run leaves it as it was saved last


class Signalling(ReIDLoss):
    """A loss in whose third step, the first of epoch 2, the user presses Ctrl-C."""

    def forward(self, *arguments):
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps == 3:
            os.kill(os.getpid(), self.signal)
        return super().forward(*arguments)


def steady(settings) -> list[dict]:
    """The log without what the clock decides."""
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines(settings)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_the_step_and_says_how_to_go_on(run, tmp_path, monkeypatch, number):
    monkeypatch.setattr(ssrnet.train, "ReIDLoss", Signalling)
    monkeypatch.setattr(Signalling, "signal", number, raising=False)
    settings, handler = replace(run, out=tmp_path / "run"), signal.getsignal(number)
    with pytest.raises(TrainingError) as caught:
        train(settings)
    assert str(caught.value) == (
        f"stopped after step 3; {settings.out} holds epoch 1 and 1 batches of the next: go on with the same command "
        "and --resume."
    )
    assert signal.getsignal(number) == handler
    info = load_checkpoint(settings.out / "last.safetensors").info
    assert (info.epoch, info.step) == (1, 3) and len(lines(settings)) == 1
    monkeypatch.undo()
    train(replace(settings, resume=True))
    assert same(weights(settings), weights(run)) and steady(settings) == steady(run)


def test_max_steps_inside_an_epoch_does_not_finish_it(run, tmp_path):
    settings = replace(run, out=tmp_path / "run", max_steps=1)
    train(settings)
    info = load_checkpoint(settings.out / "last.safetensors").info
    assert (info.epoch, info.step, info.image_size) == (0, 1, 32) and not (settings.out / "log.jsonl").exists()
    train(replace(settings, max_steps=3, resume=True))
    assert [line["step"] for line in lines(settings)] == [2]
    train(replace(settings, max_steps=None, resume=True))
    assert same(weights(settings), weights(run)) and steady(settings) == steady(run)


def test_resuming_leaves_the_settings_that_made_the_run(run, stopped):
    before = (stopped.out / "settings.json").read_bytes()
    train(replace(stopped, max_steps=3, evaluate_every=7, resume=True))
    assert (stopped.out / "settings.json").read_bytes() == before


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
import ssrnet.train, ssrnet.training.resume
from ssrnet.losses import ReIDLoss
from tests import tiny

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(ReIDLoss):
    steps = 0
    def forward(self, *arguments):
        Dying.steps += 1
        return die() if Dying.steps == 4 else super().forward(*arguments)

saves = []
def save_half(state, path):
    saves.append(path)
    whole_save(state, path)
    if len(saves) == 2:
        os.truncate(path, os.path.getsize(path) // 2)
        die()

data, out, moment = sys.argv[1:]
if moment == "mid-epoch":
    ssrnet.train.ReIDLoss = Dying
elif moment == "mid-write":
    whole_save, torch.save = torch.save, save_half
elif moment == "after the log":
    ssrnet.train.RunLog.write = lambda self, line, write=ssrnet.train.RunLog.write: (
        write(self, line), line["epoch"] == 2 and die())
ssrnet.train.train(tiny.training(Path(data), Path(out), holdout=2))
"""


@pytest.mark.parametrize("moment", ["mid-epoch", "mid-write", "after the log"])
def test_a_killed_run_resumed_ends_as_an_uninterrupted_one(run, tmp_path, moment):
    """SIGKILL in the fourth step; with half of the second resume.pt written; between the log and resume.pt."""
    settings = replace(run, out=tmp_path / "run")
    done = run_script(KILLED, run.data, settings.out, moment)
    assert done.returncode == -signal.SIGKILL, done.output
    leftovers = list(settings.out.glob(".*.part"))
    assert bool(leftovers) == (moment == "mid-write")
    train(replace(settings, resume=True))
    assert same(weights(settings), weights(run)) and steady(settings) == steady(run)
    assert set(os.listdir(settings.out)) == FILES  # and no half-written file is left


class FullLog(ssrnet.train.RunLog):
    """A log on a device whose every write says "No space left on device"; reading it would never end."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.path = Path("/dev/full")


def test_a_full_disk_at_the_log_is_a_sentence(run, stopped, monkeypatch):
    before = weights(stopped)
    monkeypatch.setattr(ssrnet.train, "RunLog", FullLog)
    with pytest.raises(ResourceError, match=r"cannot write .*full \(No space left on device\); free space and go on"):
        train(replace(stopped, max_steps=None, resume=True))
    monkeypatch.undo()
    train(replace(stopped, max_steps=None, resume=True))
    assert same(weights(stopped), weights(run)) and not same(before, weights(stopped))


def test_a_full_disk_at_the_checkpoint_leaves_the_one_before(run, stopped):
    before = tiny.files(stopped.out)
    with tiny.small_disk():
        with pytest.raises(ResourceError, match="cannot write .*last.safetensors .*untouched"):
            train(replace(stopped, max_steps=None, resume=True))
    after = tiny.files(stopped.out)
    assert {name for name in before if after[name] != before[name]} == set()
    train(replace(stopped, max_steps=None, resume=True))
    assert same(weights(stopped), weights(run))


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
        ),
    ],
)
def test_out_of_memory_is_a_sentence(run, tmp_path, monkeypatch, failure):
    monkeypatch.setattr(ssrnet.train, "ReIDLoss", Failing)
    monkeypatch.setattr(Failing, "failure", failure)
    settings = replace(run, out=tmp_path / "run")
    message = "cpu ran out of memory with 2 x 2 images of 32 pixels a batch; .* holds epoch 1: go on .* smaller"
    with pytest.raises(ResourceError, match=message):
        train(settings)
    assert load_checkpoint(settings.out / "last.safetensors").info.epoch == 1


def test_another_failure_stays_what_it_is(run, tmp_path, monkeypatch):
    monkeypatch.setattr(ssrnet.train, "ReIDLoss", Failing)
    monkeypatch.setattr(Failing, "failure", RuntimeError("a shape that does not fit"))
    with pytest.raises(RuntimeError, match="a shape that does not fit"):
        train(replace(run, out=tmp_path / "run"))


def test_nothing_saved_yet(run, tmp_path, monkeypatch):
    monkeypatch.setattr(ssrnet.train, "ReIDLoss", Failing)
    monkeypatch.setattr(Failing, "failure", KeyboardInterrupt())
    settings = replace(run, out=tmp_path / "run", holdout=0, identities_per_batch=2, images_per_identity=2)
    settings = replace(settings, epoch_over="images", optimiser=replace(settings.optimiser, decay_epoch=2))
    with pytest.raises(TrainingError, match="nothing had been saved yet, so start again with the same command"):
        train(settings)  # six steps an epoch
    monkeypatch.undo()
    train(replace(settings, max_steps=1))


@pytest.mark.parametrize("cache_images", [True, False])
def test_an_image_that_vanished_while_training(tmp_path, cache_images):
    data = tiny.city(tmp_path / "data")
    settings = tiny.training(data, tmp_path / "run", cache_images=cache_images, epochs=1)
    train(settings)
    before = tiny.files(settings.out)
    next((data / "image_train").iterdir()).unlink()
    with pytest.raises(CheckpointError, match="dataset_hash was"):  # said before anything is read or written
        train(replace(settings, resume=True))
    assert tiny.files(settings.out) == before


def test_an_image_that_vanishes_after_an_epoch_leaves_that_epoch(tmp_path, monkeypatch):
    data = tiny.city(tmp_path / "data")
    save = ssrnet.training.state.save_progress

    def save_and_lose(*arguments):
        save(*arguments)
        for path in (data / "image_train").iterdir():
            path.unlink()

    monkeypatch.setattr(ssrnet.training.state, "save_progress", save_and_lose)
    settings = tiny.training(data, tmp_path / "run", cache_images=False)
    with pytest.raises(DataError, match="image_train/.*jpg does not exist; check the path, or restore the image"):
        train(settings)
    assert load_checkpoint(settings.out / "last.safetensors").info.epoch == 1


def test_an_image_that_vanishes_between_listing_and_decoding(tmp_path, monkeypatch):
    data = tiny.city(tmp_path / "data")
    monkeypatch.setattr(
        ssrnet.training.state, "make_folder", lambda *_: next((data / "image_train").iterdir()).unlink()
    )
    with pytest.raises(DataError, match="image_train/.*jpg cannot be found .*; restore the image"):
        train(tiny.training(data, tmp_path / "run"))


# Decoded images


def test_without_the_cache_the_weights_are_the_same(run, tmp_path):
    settings = replace(run, out=tmp_path / "run", cache_images=False)
    train(settings)
    assert same(weights(settings), weights(run))


def test_a_cache_folder_is_shared_and_kept(run, tmp_path):
    made = set()
    for name in ("a", "b"):
        settings = replace(run, out=tmp_path / name, cache=tmp_path / "cache", seed=int(name == "b"), max_steps=1)
        train(settings)
        (file,) = (tmp_path / "cache").iterdir()
        made.add(file.stat().st_mtime_ns)
        assert len(made) == 1 and not (settings.out / "cache").exists()


def test_the_cache_in_out_stays_until_the_last_epoch(interrupted, run):
    assert len(list((interrupted.out / "cache").iterdir())) == 1 and not (run.out / "cache").exists()


def test_synchronised_batch_norm_needs_cuda(city, tmp_path):
    with pytest.raises(SettingsError, match="runs on CUDA alone and the device is cpu; leave out --sync-batch-norm"):
        train(tiny.training(city, tmp_path / "run", sync_batch_norm=True))
    assert not (tmp_path / "run").exists()


def test_frozen_batch_norms_keep_their_statistics(run, city, tmp_path):
    settings = tiny.training(city, tmp_path / "run", freeze_batch_norm=True, max_steps=2, epochs=1)
    train(settings)
    statistics = {k: v for k, v in weights(settings).items() if k.endswith(("running_mean", "running_var"))}
    assert all((value == float(name.endswith("var"))).all() for name, value in statistics.items())


def test_an_epoch_over_images_shows_as_many_as_there_are(city):
    images = open_dataset(city).train  # six vehicles with three images
    sampler = build_sampler(
        images, tiny.training(city, city, epoch_over="images", images_per_identity=1, loss=LossSettings(metric="none"))
    )
    assert len(sampler) == 9 and len([position for batch in sampler for position in batch]) == len(images)
