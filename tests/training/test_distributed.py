"""Two processes on the CPU (gloo), started by torchrun as a user would, against one process.

Not tested here, since it needs two GPUs: NCCL, synchronised batch-norm, the time saved.
"""

import os
import subprocess
import sys
from contextlib import closing

import pytest
import torch
from safetensors.torch import load_file

from ssrnet.commands.index_build import BuildSettings, build_index
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import ResourceError, SettingsError
from ssrnet.index.opening import open_index
from ssrnet.losses import LossSettings
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, extract, shard
from ssrnet.train import train
from ssrnet.training.checkpoint import load_checkpoint
from ssrnet.training.distributed import Processes, processes
from ssrnet.training.log import read_log
from ssrnet.training.settings import OptimiserSettings
from tests import tiny

TOGETHER = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
torch.set_num_threads(1)
from ssrnet.data.datasets import open_dataset
from ssrnet.training.distributed import processes
from ssrnet.commands.extract import FeatureFileSettings, write_feature_file
from ssrnet.commands.index_build import BuildSettings, build_index
from ssrnet.index.partial import PartialFeatures
from ssrnet.losses import LossSettings
from ssrnet.retrieval.extraction import ExtractSettings, extract
from ssrnet.train import train
from ssrnet.training.checkpoint import load_checkpoint
from ssrnet.training.log import read_log
from tests.index.galleries import MADE_BY
from tests.training.test_distributed import settings

data, out = map(Path, sys.argv[1:])
train(settings(data, out / "run"))
train(replace(settings(data, out / "circle"), loss=LossSettings("circle", "none"), max_steps=2))
write_feature_file(FeatureFileSettings(
    data, out / "run/last.safetensors", out / "features.safetensors", workers=0, device="cpu"))

build_index(BuildSettings(
    data, out / "run/last.safetensors", out / "index", split="all", features=(), workers=0, device="cpu"))

group = processes("cpu")
model, images = load_checkpoint(out / "run/last.safetensors").model, open_dataset(data).test
with PartialFeatures(out / f"part{group.rank}", MADE_BY) as part:
    if group.first:  # the others' parts are not asked
        part.restore(images, torch.zeros(len(images), 1536))
        part.keep([images[i] for i in (0, 4, 5)], torch.full((3, 1536), 7.0))
        part.close()
    resumed = extract(model, images, ExtractSettings(batch_size=2), 32, group.device, group=group, partial=part)
torch.save(resumed.features, out / f"resumed{group.rank}.pt")
"""


def settings(data, out):
    """Four vehicles to train on, two images each a batch; augmentation on, since its draws are the whole batch's.

    The margin is wide, so that every anchor has a loss and mining across the processes decides it.
    Batch norms are frozen: synchronised ones have no CPU kernel. SGD, since Adam would blow up the
    rounding of gradients near 0.
    """
    return tiny.training(
        data,
        out,
        holdout=2,
        epochs=2,
        freeze_batch_norm=True,
        max_steps=3,
        evaluate_every=1,
        loss=LossSettings(margin=100.0),
        optimiser=OptimiserSettings(learning_rate=1e-3, warmup_epochs=0, decay_epoch=2),
    )


@pytest.fixture(scope="module")
def together(city, tmp_path_factory):
    """The folder of two processes' run of :func:`settings`, and of the features that they extracted."""
    out = tmp_path_factory.mktemp("together")
    (out / "script.py").write_text(TOGETHER)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node=2",
            str(out / "script.py"),
            str(city),
            str(out),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training on 12 images of 4 vehicles") == 2  # once a run
    assert done.stdout.count("30 images of 1,536 numbers, exact; 0 images were there, 30 added") == 1
    return out


@pytest.fixture(scope="module")
def alone(city, tmp_path_factory):
    ours = settings(city, tmp_path_factory.mktemp("alone") / "run")
    train(ours)
    return ours.out


def test_two_processes_have_the_losses_of_one(together, alone):
    logs = [read_log(folder / "log.jsonl") for folder in (together / "run", alone)]
    assert [line["step"] for line in logs[0]] == [line["step"] for line in logs[1]] == [2]
    states = [torch.load(folder / "resume.pt", weights_only=True)["progress"] for folder in (together / "run", alone)]
    assert states[0]["step"] == states[1]["step"] == 3 and states[0]["best_mAP"] == states[1]["best_mAP"] > 0
    for name, value in states[1]["sums"].items():  # those of the third step, in the second epoch
        assert states[0]["sums"][name] == pytest.approx(value, rel=1e-5)
        assert logs[0][0][name] == pytest.approx(logs[1][0][name], rel=1e-5)
    assert {"loss", "accuracy", "triplet/token", "cross_entropy/G"} <= states[1]["sums"].keys()
    assert logs[0][0]["held_back"] == logs[1][0]["held_back"]
    terms = states[1]["sums"]
    assert min(terms["triplet/G"], terms["triplet/attn"], terms["triplet/token"]) > 0.1  # there was something to mine


def test_two_processes_have_the_weights_of_one_after_three_steps(together, alone, city):
    ours, theirs = (load_file(folder / "last.safetensors") for folder in (together / "run", alone))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.allclose(ours[name].float(), value.float(), rtol=0, atol=1e-5), name
    torch.manual_seed(0)
    start = tiny.SSRNet(tiny.ModelSettings(backbone="resnet18"), 4).state_dict()
    moved = max((theirs[name] - start[name]).abs().max().item() for name in start if name.endswith("weight"))
    assert moved > 1e-3  # or the comparison would say nothing


def test_a_loss_that_leaves_the_classifiers_out_trains_together_too(together, city):
    assert torch.load(together / "circle/resume.pt", weights_only=True)["progress"]["step"] == 2
    classifiers = [load_file(together / run / "last.safetensors")["classifiers.G.weight"] for run in ("run", "circle")]
    torch.manual_seed(0)
    start = tiny.SSRNet(tiny.ModelSettings(backbone="resnet18"), 4).state_dict()["classifiers.G.weight"]
    assert torch.equal(classifiers[1], start) and not torch.equal(classifiers[0], start)


def test_two_processes_extract_the_features_of_one(together, city):
    features, _ = FeatureSet.load(together / "features.safetensors")
    model, images = load_checkpoint(together / "run/last.safetensors").model, open_dataset(city).test
    expected = extract(model, images, ExtractSettings(), 32, torch.device("cpu"))
    assert features.names == expected.names
    step = 2**-10  # of float16, in which the file holds them
    assert torch.allclose(features.features, expected.features, rtol=step, atol=1e-5)


def test_what_the_first_process_has_of_an_earlier_run_reaches_all_of_them(together):
    whole, _ = FeatureSet.load(together / "features.safetensors")
    first, second = (torch.load(together / f"resumed{rank}.pt", weights_only=True) for rank in (0, 1))
    assert torch.equal(first, second)
    earlier = [0, 4, 5]
    assert (first[earlier] == 7).all()  # not computed again
    rest = [i for i in range(12) if i not in earlier]
    assert torch.allclose(first[rest], whole.features[rest], rtol=2**-10, atol=1e-5)
    assert len(open_index(together / "part0")[0]) == 12 and not (together / "part1").exists()


@pytest.mark.parametrize(("count", "world"), [(0, 2), (1, 4), (5, 2), (7, 3), (8, 4), (9, 1)])
def test_every_image_has_a_process_and_all_have_as_many(count, world):
    shards = [shard(count, rank, world) for rank in range(world)]
    assert {position for positions in shards for position in positions} == set(range(count))
    assert len({len(positions) for positions in shards}) == 1
    assert sum(map(len, shards)) - count < world


def test_a_batch_is_shared_by_whole_vehicles():
    cpu = torch.device("cpu")
    parts = [list(range(24))[Processes(cpu, rank, 3).share(6, 4)] for rank in range(3)]
    assert parts == [list(range(0, 8)), list(range(8, 16)), list(range(16, 24))]
    with pytest.raises(SettingsError, match="identities_per_batch is 6, which 4 processes cannot share evenly; choose"):
        Processes(cpu, 0, 4).share(6, 4)


def test_alone_there_is_nothing_to_exchange():
    rows = torch.ones(2, 3, requires_grad=True)
    group, model = processes("cpu"), torch.nn.Linear(3, 2)
    assert group.first and group.gather(rows) is rows and group.any(True) and not group.any(False)
    assert group.replicate(model) is model


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr("ssrnet.training.distributed.resolve_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(ResourceError, match="has 1 GPUs, and process 2 has none left; give torchrun no higher"):
        processes("cuda")


def test_two_processes_feed_one_index_with_the_rows_of_one(together, city, tmp_path):
    own = BuildSettings(
        city, together / "run/last.safetensors", tmp_path, split="all", features=(), workers=0, device="cpu"
    )
    build_index(own)
    rows = []
    for folder in (together / "index", tmp_path):
        with closing(open_index(folder)[0]) as index:
            rows.append({entry.key: row for part in index.blocks() for entry, row in zip(*part, strict=True)})
    assert rows[0].keys() == rows[1].keys() and len(rows[0]) == 30
    for key, row in rows[0].items():
        assert row == pytest.approx(rows[1][key], rel=2e-3, abs=2e-3)
