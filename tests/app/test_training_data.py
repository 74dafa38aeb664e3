"""What the app says of test vehicles and cameras that the checkpoints saw in training."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.data.training_sets import describe_training
from ssrnet.training.checkpoint import load_checkpoint, save_checkpoint
from tests.app.conftest import workbench

TITLES = "**Baseline (GB) and SSR-Net (GB+AB+RB)**: "
CAMERAS = "2 of 2, so numbers here say nothing of new cameras."


@pytest.fixture
def trained(city, checkpoints, tmp_path):
    """The two checkpoints, as if they were trained on the tiny city."""
    dataset, paths = open_dataset(city), {}
    for role, path in checkpoints.items():
        loaded = load_checkpoint(path)
        paths[role] = str(tmp_path / f"{role}.safetensors")
        info = replace(loaded.info, training_sets=describe_training([dataset], dataset.train))
        save_checkpoint(Path(paths[role]), loaded.model, info)
    return paths


@pytest.fixture
def unmeasured(monkeypatch):
    """No page extracts features."""
    from app.workbench import OpenedModel

    monkeypatch.setattr(OpenedModel, "stored_features", lambda *a: None)


def said(test) -> tuple[list[str], list[str]]:
    """Warnings and captions about training data, in the sidebar and on the page."""
    assert not test.exception and not test.error
    warnings = [each.value for each in (*test.sidebar.warning, *test.main.warning) if "training data" in each.value]
    captions = [each.value for each in (*test.sidebar.caption, *test.main.caption) if each.value.startswith(TITLES)]
    return warnings, captions


def test_a_data_sets_own_test_half_is_no_warning(open_page, city, trained, unmeasured):
    warnings, captions = said(open_page("start", data=str(city), **trained))
    assert warnings == [] and len(captions) == 2, "sidebar and page"
    assert set(captions) == {
        f"{TITLES}Trained on this data set's training split, which has none of the test vehicles; "
        f"test cameras seen in training: {CAMERAS}"
    }


def test_the_scoreboard_says_it_below_its_numbers(open_city, city, trained):
    captions = said(open_city("scoreboard", **trained))[1]
    assert len(captions) == 2 and all("say nothing of new cameras" in each for each in captions)


def test_a_data_set_whose_halves_share_vehicles_is_a_warning(open_page, city, trained, unmeasured, tmp_path):
    shutil.copytree(city, tmp_path / "shared")
    shutil.copytree(city / "image_train", tmp_path / "shared/image_query", dirs_exist_ok=True)
    shutil.copytree(city / "image_train", tmp_path / "shared/image_test", dirs_exist_ok=True)
    test = open_page("start", data=str(tmp_path / "shared"), **trained)
    warnings = [each.value for each in test.sidebar.warning if "training split too" in each.value]
    assert len(warnings) == 1 and warnings[0].startswith("6 of the 10 test vehicles")


def test_the_training_half_shown_as_test_data_is_a_warning(open_page, city, trained, unmeasured, tmp_path):
    for folder in ("image_test", "image_query"):
        shutil.copytree(city / "image_train", tmp_path / "again" / folder)
    warnings, captions = said(open_page("start", data=str(tmp_path / "again"), **trained))
    sentence = "All 6 test vehicles were in the training data: numbers here say nothing about new vehicles."
    assert warnings == [TITLES + sentence] * 2 and set(captions) == {
        f"{TITLES}Test cameras seen in training: {CAMERAS}"
    }


def test_a_training_half_without_test_images(open_page, city, trained, tmp_path):
    shutil.copytree(city / "image_train", tmp_path / "alone/image_train")
    warnings, captions = said(open_page("start", data=str(tmp_path / "alone"), **trained))
    assert warnings == [] and captions == [f"{TITLES}Trained on this data set's training split."]


def test_older_checkpoints_say_nothing(open_city, unmeasured):
    assert said(open_city("start")) == ([], [])


def test_numbers_carry_it_in_their_record(project, city, trained, checkpoints):
    for paths, expected in ((trained, 0), (checkpoints, None)):
        record = workbench(city, paths).baseline.evaluation().record
        assert record.features.get("test_vehicles_in_training") == expected
