"""An extraction that is stopped anywhere goes on: nothing is lost, nothing doubled, nothing outdated taken over."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ssrnet.commands.extract import FeatureFileSettings, write_feature_file
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError
from ssrnet.index import partial
from ssrnet.index.opening import open_index
from ssrnet.index.partial import PartialFeatures
from ssrnet.retrieval import extraction
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet
from ssrnet.training.checkpoint import save_checkpoint
from tests import tiny
from tests.index.galleries import MADE_BY
from tests.processes import run_script

KILLED = """
import os, signal, sys
from ssrnet.__main__ import main
from ssrnet.index import partial

partial.SECONDS = 0  # written with every batch
method, calls = sys.argv.pop(1), int(sys.argv.pop(1))
original = getattr(partial.PartialFeatures, method)

def counted(self, *arguments):
    global calls
    if not calls:
        os.kill(os.getpid(), signal.SIGKILL)
    calls -= 1
    return original(self, *arguments)

setattr(partial.PartialFeatures, method, counted)
main()
"""


@pytest.fixture
def settings(tmp_path):
    """Twelve images of a data set that may be written to, one a batch."""
    checkpoint = tmp_path / "ssrnet.safetensors"
    model = tiny.network()
    save_checkpoint(checkpoint, model, tiny.info(model, image_size=32))
    data, out = tiny.city(tmp_path / "data"), tmp_path / "out/features.safetensors"
    return FeatureFileSettings(data, checkpoint, out, extraction=ExtractSettings(batch_size=1), workers=0, device="cpu")


@pytest.fixture
def computed(monkeypatch):
    """Grows by the number of images in every forward pass."""
    sizes, original = [], extraction.embeddings
    monkeypatch.setattr(extraction, "embeddings", lambda *a: (sizes.append(len(a[1])), original(*a))[1])
    return sizes


def interrupted(settings, batches):
    """Ctrl-C after so many batches."""
    calls, original = iter(range(batches)), PartialFeatures.keep

    def keep(self, *arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PartialFeatures, "keep", keep)
        write_feature_file(settings)
    assert not settings.out.is_file()


def unbroken(settings) -> FeatureSet:
    whole = replace(settings, out=settings.out.with_name("whole.safetensors"))
    write_feature_file(whole)
    return FeatureSet.load(whole.out)[0]


def beside(settings) -> Path:
    return settings.out.with_name(f"{settings.out.name}.part")


def check(settings):
    """The file is that of a run which nothing stopped, and all that is left."""
    features, _ = FeatureSet.load(settings.out)
    expected = unbroken(settings)
    assert features.names == expected.names and torch.equal(features.features, expected.features)
    assert {path.name for path in settings.out.parent.iterdir()} == {settings.out.name, "whole.safetensors"}


@pytest.mark.parametrize(
    ("method", "calls", "kept"),
    [("restore", 0, 0), ("keep", 0, 0), ("keep", 5, 5), ("keep", 11, 11), ("remove", 0, 12)],
)
def test_killed_it_goes_on(settings, computed, capsys, method, calls, kept):
    options = ["--extraction.batch-size", 1, "--workers", 0, "--device", "cpu"]
    of = ["--data", settings.data, "--checkpoint", settings.checkpoint, "--out", settings.out]
    victim = run_script(KILLED, method, calls, "extract", *of, *options)
    assert victim.returncode == -signal.SIGKILL, victim.output
    assert settings.out.exists() == (method == "remove")
    if method != "restore":
        index, _ = open_index(beside(settings))
        index.verify()
        assert [entry.name for entry in index.entries()] == [i.name for i in open_dataset(settings.data).test[:kept]]
        index.close()

    write_feature_file(settings)
    assert sum(computed) == 12 - kept
    said = capsys.readouterr().out
    assert f"12 embeddings of 1,536 numbers{f', {kept} of them from an earlier run' if kept else ''}\n" in said
    check(settings)


def test_a_changed_image_is_computed_anew(settings, computed):
    interrupted(settings, 6)
    done = open_dataset(settings.data).test[3]
    another = open_dataset(settings.data).train[0]
    done.path.write_bytes(another.path.read_bytes())
    before = len(computed)
    write_feature_file(settings)
    assert len(computed) - before == 6 + 1
    check(settings)


def test_in_a_folder_the_rows_are_found_though_the_file_will_have_another_name(settings, computed, tmp_path):
    into_folder = replace(settings, out=tmp_path / "features")
    into_folder.out.mkdir()
    interrupted(into_folder, 6)
    (part,) = into_folder.out.iterdir()
    assert part.suffix == ".part"
    image = open_dataset(settings.data).test[3]
    image.path.write_bytes(open_dataset(settings.data).train[0].path.read_bytes() + b" ")  # another size, another hash
    before = len(computed)
    write_feature_file(into_folder)
    assert len(computed) - before == 6 + 1
    (made,) = into_folder.out.iterdir()
    assert torch.equal(FeatureSet.load(made)[0].features, unbroken(settings).features)


@pytest.mark.parametrize("change", ["checkpoint", "settings", "damage", "no record"])
def test_what_does_not_fit_is_not_taken_over(settings, computed, change):
    interrupted(settings, 6)
    if change == "checkpoint":
        model = tiny.network(seed=1)
        save_checkpoint(settings.checkpoint, model, tiny.info(model, image_size=32))
    elif change == "settings":
        settings = replace(settings, extraction=ExtractSettings(batch_size=1, flip_test=True))
    elif change == "damage":
        path = beside(settings) / "features.f16"
        path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    else:
        (beside(settings) / "index.json").write_text("{")
    before = len(computed)
    write_feature_file(settings)
    assert len(computed) - before == 12
    check(settings)


def test_another_split_and_images_that_are_gone_leave_no_trace(settings, computed):
    interrupted(settings, 6)
    gone = open_dataset(settings.data).gallery[2]
    gone.path.unlink()
    before = len(computed)
    write_feature_file(settings)
    assert len(computed) - before <= 6 and gone.name not in FeatureSet.load(settings.out)[0].names
    check(settings)

    settings.out.unlink()
    interrupted(settings, 6)
    settings = replace(settings, split="train")
    write_feature_file(settings)
    check(settings)


def test_an_image_that_cannot_be_read_says_so_and_the_rest_is_kept(settings, computed):
    bad = open_dataset(settings.data).test[4].path
    whole = bad.read_bytes()
    bad.write_bytes(b"no picture")
    with pytest.raises(DataError, match=f"{bad.name} is not a JPEG"):
        write_feature_file(settings)
    bad.write_bytes(whole)
    write_feature_file(settings)
    assert sum(computed) == 12
    check(settings)


def test_numbers_beyond_float16_are_computed_again(settings):
    images = open_dataset(settings.data).test[:2]
    rows = torch.ones(2, 1536)
    rows[1, 7] = 1e5
    with PartialFeatures(beside(settings), MADE_BY) as part:
        assert not part.restore(images, torch.zeros(2, 1536)).any()
        part.keep(images, rows)
    with PartialFeatures(beside(settings), MADE_BY) as part:
        features = torch.zeros(2, 1536)
        assert part.restore(images, features).tolist() == [True, False] and part.restored == 1
        assert torch.equal(features[0], rows[0]) and not features[1].any()


def test_rows_wait_for_one_another(settings, monkeypatch):
    """Synchronising the disk with every batch would slow a GPU down."""
    images = open_dataset(settings.data).test
    with PartialFeatures(beside(settings), MADE_BY) as part:
        part.restore(images, torch.zeros(12, 4))
        monkeypatch.setattr(partial, "SECONDS", 1000)
        part.keep(images[:3], torch.ones(3, 4))
        assert len(open_index(beside(settings))[0]) == 0
        monkeypatch.setattr(partial, "SECONDS", 0)
        part.keep(images[3:5], torch.ones(2, 4))
        assert len(open_index(beside(settings))[0]) == 5
        monkeypatch.setattr(partial, "SECONDS", 1000)
        part.keep(images[5:6], torch.ones(1, 4))
    assert len(open_index(beside(settings))[0]) == 6


def test_a_folder_that_cannot_be_used_costs_only_the_resumption(settings, capsys):
    settings.out.parent.mkdir()
    beside(settings).write_text("mine")
    write_feature_file(settings)
    assert "an interruption will cost what was computed, since" in capsys.readouterr().out
    assert len(FeatureSet.load(settings.out)[0].names) == 12 and beside(settings).read_text() == "mine"


def test_a_disk_that_fills_up_costs_only_the_resumption(settings, monkeypatch):
    monkeypatch.setattr(partial, "SECONDS", 0)
    images, said = open_dataset(settings.data).test, []
    with PartialFeatures(beside(settings), MADE_BY, said.append) as part:
        part.restore(images, torch.zeros(12, 100_000))
        with tiny.small_disk(500_000):
            for image in images:
                part.keep([image], torch.ones(1, 100_000))
    (sentence,) = said
    assert "cannot be used" in sentence and "free space" in sentence
    with PartialFeatures(beside(settings), MADE_BY) as part:
        assert part.restore(images, torch.zeros(12, 100_000)).tolist() == [True] * 2 + [False] * 10
