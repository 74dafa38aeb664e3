import json
import os

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ssrnet.errors import DataError, DivergedError, ResourceError
from ssrnet.training.log import EpochSums, RunLog, read_log
from ssrnet.training.runs import read_run


def line(epoch: int, **more) -> dict[str, object]:
    return {"epoch": epoch, "step": 10 * epoch, "loss": 5.0 / epoch, "triplet/G": 0.5, "image_size": 64, **more}


def write(folder, *lines, epoch=0, step=0) -> None:
    with RunLog(folder, epoch, step) as log:
        for each in lines:
            log.write(each)


def scalars(folder, name) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_every_number_of_a_line_is_a_scalar_over_steps(tmp_path):
    write(tmp_path, line(1), line(2, held_back={"mAP": 0.75, "cmc": [0.1]}))
    assert read_log(tmp_path / "log.jsonl") == [line(1), line(2, held_back={"mAP": 0.75, "cmc": [0.1]})]
    assert scalars(tmp_path, "loss") == [(10, 5.0), (20, 2.5)]
    assert scalars(tmp_path, "triplet/G") == [(10, 0.5), (20, 0.5)]
    assert scalars(tmp_path, "held_back/mAP") == [(20, 0.75)]


def test_a_run_that_goes_on_forgets_what_it_trains_again(tmp_path):
    write(tmp_path, line(1), line(2, loss=9.0))  # killed before epoch 2 was saved
    for file in (tmp_path / "tensorboard").iterdir():  # in an earlier second: TensorBoard reads files by their names
        file.rename(file.with_name("events.out.tfevents.1000000000"))
    write(tmp_path, line(2), line(3), epoch=1, step=10)
    assert read_log(tmp_path / "log.jsonl") == [line(1), line(2), line(3)]
    assert scalars(tmp_path, "loss") == [(10, 5.0), (20, 2.5), (30, pytest.approx(5 / 3))]


def test_a_run_that_goes_on_counts_as_training_again(tmp_path):
    write(tmp_path, line(1, seconds=10))
    os.utime(tmp_path / "log.jsonl", (1e9, 1e9))
    assert read_run(tmp_path).state == "stopped"
    with RunLog(tmp_path, 1, 10):
        assert read_run(tmp_path).state == "training"


def test_a_line_that_was_cut_short_is_left_out_and_then_forgotten(tmp_path):
    write(tmp_path, line(1))
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write(json.dumps(line(2))[:20])
    assert read_log(tmp_path / "log.jsonl") == [line(1)]
    write(tmp_path, line(2), epoch=1, step=10)
    assert read_log(tmp_path / "log.jsonl") == [line(1), line(2)]


def test_a_damaged_line_is_told_before_a_run_that_goes_on_forgets_what_follows(tmp_path):
    write(tmp_path, line(1), line(2))
    path = tmp_path / "log.jsonl"
    damaged = path.read_text().replace('"epoch": 1', '"epoch": ?')
    path.write_text(damaged)
    with pytest.raises(DataError, match="log.jsonl, line 1 is no epoch of a training run; remove that line"):
        write(tmp_path, line(3), epoch=2, step=20)
    assert path.read_text() == damaged


def test_nothing_is_written_before_the_first_line(tmp_path):
    write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk(tmp_path):
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    log = RunLog(tmp_path / "new", 0, 0)
    log.path = tmp_path / "log.jsonl"
    with log, pytest.raises(ResourceError, match=r"cannot write .*log.jsonl \(No space left on device\); free space"):
        log.write(line(1))


def step(loss: float) -> dict[str, torch.Tensor]:
    return {"loss": torch.tensor(loss), "accuracy": torch.tensor(0.5)}


def test_sums_do_not_depend_on_when_they_are_fetched():
    losses = torch.rand(7, generator=torch.Generator().manual_seed(0)).tolist()
    often, once, resumed = EpochSums({}, 0), EpochSums({}, 0), EpochSums({}, 0)
    for number, loss in enumerate(losses):
        often.add(step(loss))
        often.flush(number)
        once.add(step(loss))
        resumed.add(step(loss))
        if number == 3:
            resumed.flush(number)
            resumed = EpochSums(json.loads(json.dumps(resumed.sums)), resumed.steps)
    once.flush(6)
    resumed.flush(6)
    assert often.means == once.means == resumed.means and often.steps == once.steps == resumed.steps == 7
    assert once.means["loss"] == pytest.approx(sum(losses) / 7) and once.means["accuracy"] == 0.5
    assert str(once).endswith("acc 50.0%")


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_the_step_whose_loss_is_no_number_is_named(loss):
    sums = EpochSums({}, 0)
    for value in (1.0, 2.0, loss, 3.0):
        sums.add(step(value))
    with pytest.raises(DivergedError, match=f"the loss became {loss} at step 22; the checkpoints"):
        sums.flush(23)
