"""Images that cannot be read: all are named in one run, and left out where that is asked for."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader

from ssrnet import __main__ as main_module
from ssrnet.commands.compare import CompareSettings, compare_checkpoints
from ssrnet.commands.doctor import DoctorSettings, doctor
from ssrnet.commands.evaluate import EvaluateSettings, evaluate_model
from ssrnet.commands.extract import FeatureFileSettings, write_feature_file
from ssrnet.commands.index_build import BuildSettings, build_index
from ssrnet.data.damaged import find_damaged, without_damaged
from ssrnet.data.datasets import open_dataset
from ssrnet.data.transforms import ImageTensors, pixel_transform, read_batches
from ssrnet.errors import DamagedImagesError, SSRNetError
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, extract
from ssrnet.train import train
from ssrnet.training.distributed import Processes
from tests import tiny

BAD = ("image_test/0007_c002_00000001_0.jpg", "image_test/0009_c002_00000002_0.jpg")
BAD_TRAIN = ("image_train/0001_c002_00000001_0.jpg", "image_train/0003_c002_00000001_0.jpg")


@pytest.fixture(scope="module")
def broken(city, tmp_path_factory):
    """:func:`tests.tiny.city` with two damaged gallery images and two damaged training images; read-only."""
    root = shutil.copytree(city, tmp_path_factory.mktemp("broken") / "city")
    for name in (*BAD, *BAD_TRAIN):
        (root / name).write_bytes((root / name).read_bytes()[:200])
    (root / BAD[1]).write_text("no picture")
    return root


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def names_both(error: DamagedImagesError, names=BAD) -> bool:
    return len(error.problems) == 2 and all(any(name in text for text in error.problems) for name in names)


def test_every_damaged_file_is_found_once(broken):
    data = open_dataset(broken)
    found = find_damaged((*data.query, *data.gallery, *data.gallery))
    assert [str(path.relative_to(broken)) for path in found] == list(BAD)
    first, second = found.values()
    assert "is damaged or cut short" in first and "is not a JPEG" in second


@pytest.mark.parametrize("workers", [0, 1])
def test_reading_names_all_that_are_bad(broken, workers):
    loader = DataLoader(ImageTensors(open_dataset(broken).gallery, pixel_transform(16)), 4, num_workers=workers)
    with pytest.raises(DamagedImagesError, match="^2 images cannot be read, the first: .*0007_c002") as caught:
        list(read_batches(loader))
    assert names_both(caught.value)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_names_what_is_bad_in_every_share(broken, rank, monkeypatch):
    """Of two processes that share the images, each of which meets another damaged one."""
    monkeypatch.setattr(Processes, "gather", lambda self, rows: rows)
    images = sorted(open_dataset(broken).gallery, key=lambda image: f"image_test/{image.name}" not in BAD)
    with pytest.raises(DamagedImagesError) as caught:
        extract(
            tiny.network(),
            images,
            ExtractSettings(),
            32,
            torch.device("cpu"),
            group=Processes(torch.device("cpu"), rank, 2),
        )
    assert names_both(caught.value)


def test_leaving_out_counts_and_names(broken):
    data = without_damaged(open_dataset(broken))
    assert data.damaged == 2 and len(data.gallery) == 10 and len(data.query) == 4 and len(data.train) == 18
    assert data.notes[-1].startswith(f"2 damaged images are left out: {broken / BAD[0]} is damaged")


def test_nothing_damaged_changes_nothing(city):
    data = open_dataset(city)
    assert without_damaged(data) is data


def test_doctor_reads_every_image_and_lists_all_that_are_bad(broken, capsys):
    doctor(DoctorSettings((broken,), (broken / "no checkpoints",)))
    assert "nothing wrong" in capsys.readouterr().out, "the first image of each split is good"
    with pytest.raises(SSRNetError, match="found 4 problems"):
        doctor(DoctorSettings((broken,), (broken / "no checkpoints",), images=True))
    said = capsys.readouterr().out
    assert "  4 of 34 images cannot be read\n" in said
    assert all(f"  - {broken / name} is " in said for name in (*BAD, *BAD_TRAIN))


def test_evaluate_names_all_and_goes_on_without_them(broken, checkpoints, capsys):
    settings = EvaluateSettings(broken, checkpoints["ssrnet"], workers=0, device="cpu")
    with pytest.raises(DamagedImagesError) as caught:
        evaluate_model(settings)
    assert names_both(caught.value)
    evaluate_model(replace(settings, skip_damaged=True))
    printed, _, record = capsys.readouterr().out.partition("protocol record: ")
    assert json.loads(record)["damaged_images"] == 2 and json.loads(record)["gallery"] == 10
    assert printed.count("2 damaged images are left out") == 1


def test_compare_extract_and_index_go_on_without_them(broken, checkpoints, tmp_path, capsys):
    shared = dict(workers=0, device="cpu", skip_damaged=True)
    compare_checkpoints(
        CompareSettings(
            broken,
            checkpoints["baseline"],
            checkpoints["ssrnet"],
            tmp_path / "c.json",
            protocols=("cross_camera",),
            **shared,
        )
    )
    assert '"damaged_images": 2' in (tmp_path / "c.json").read_text()
    write_feature_file(FeatureFileSettings(broken, checkpoints["ssrnet"], tmp_path / "f.safetensors", **shared))
    assert len(FeatureSet.load(tmp_path / "f.safetensors")[0].names) == 10
    capsys.readouterr()
    build_index(BuildSettings(broken, checkpoints["ssrnet"], tmp_path / "index", split="all", **shared))
    said = capsys.readouterr().out
    assert "4 damaged images are left out" in said and "26 images of" in said


def test_an_index_names_all(broken, checkpoints, tmp_path):
    with pytest.raises(DamagedImagesError) as caught:
        build_index(BuildSettings(broken, checkpoints["ssrnet"], tmp_path / "index", workers=0, device="cpu"))
    assert names_both(caught.value)


def test_an_index_names_all_files_that_cannot_be_opened(city, checkpoints, tmp_path, monkeypatch):
    """They were there when the folder was listed."""
    root = shutil.copytree(city, tmp_path / "city")
    data = open_dataset(root)
    monkeypatch.setattr("ssrnet.commands.index_build.open_dataset", lambda *_: data)
    for name in BAD:
        (root / name).unlink()
    with pytest.raises(
        DamagedImagesError, match="2 images cannot be read, the first: .*0007_c002.* cannot be read"
    ) as caught:
        build_index(BuildSettings(root, checkpoints["ssrnet"], tmp_path / "index", workers=0, device="cpu"))
    assert names_both(caught.value)


def test_training_names_all_and_goes_on_without_them(broken, tmp_path):
    settings = tiny.training(broken, tmp_path / "run", max_steps=1)
    with pytest.raises(DamagedImagesError) as caught:
        train(settings)
    assert names_both(caught.value, BAD_TRAIN)
    train(replace(settings, out=tmp_path / "other", skip_damaged=True))
    assert torch.load(tmp_path / "other/resume.pt", weights_only=True)["progress"]["step"] == 1


def test_the_shell_lists_them_and_names_the_option(monkeypatch, capsys):
    def fail(arguments):
        raise DamagedImagesError(["a.jpg is damaged.", "b.jpg is damaged."])

    monkeypatch.setattr("ssrnet.cli.run", fail)
    with pytest.raises(SystemExit) as caught:
        main_module.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "images that cannot be read:\n  - a.jpg is damaged.\n  - b.jpg is damaged.\n"
        "ssrnet: 2 images cannot be read, the first: a.jpg is damaged. (train, evaluate, compare, extract and index "
        "build go on without such images with --skip-damaged)\n"
    )
