import os

import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError, SettingsError
from ssrnet.studies.training_slice import training_slice
from tests import tiny


def test_a_slice_holds_all_images_of_the_drawn_vehicles(city, tmp_path):
    dataset = open_dataset(city)
    cut = open_dataset(training_slice(dataset, 3, 0, tmp_path))
    assert cut.query == cut.gallery == () and len(cut.train) == 9
    originals = {image.path.read_bytes(): (image.vehicle_id, image.camera_id) for image in dataset.train}
    assert all(originals[image.path.read_bytes()] == (image.vehicle_id, image.camera_id) for image in cut.train)
    assert len({image.vehicle_id for image in cut.train}) == 3


def test_the_seed_draws_and_a_slice_is_made_once(city, tmp_path):
    dataset = open_dataset(city)
    first = training_slice(dataset, 3, 0, tmp_path)
    before = tiny.files(first)
    assert training_slice(dataset, 3, 0, tmp_path) == first and tiny.files(first) == before
    others = {training_slice(dataset, 3, seed, tmp_path) for seed in range(4)}
    assert len(others) == 4
    drawn = {tuple(sorted({image.vehicle_id for image in open_dataset(other).train})) for other in others}
    assert len(drawn) > 1


def test_a_slice_killed_while_copying_is_copied_anew(city, tmp_path):
    dataset = open_dataset(city)
    whole = training_slice(dataset, 3, 0, tmp_path / "a")
    torn = training_slice(dataset, 3, 0, tmp_path / "b")
    (torn / "manifest.csv").unlink()
    (torn / "images" / "000004.jpg").write_bytes(b"half")
    assert tiny.files(training_slice(dataset, 3, 0, tmp_path / "b")) == tiny.files(whole)


def test_more_vehicles_than_there_are(city, tmp_path):
    with pytest.raises(SettingsError, match="train_identities is 7, but .* has 6 training vehicles; give fewer"):
        training_slice(open_dataset(city), 7, 0, tmp_path)
    assert not os.listdir(tmp_path)


def test_a_vanished_image(tmp_path):
    dataset = open_dataset(tiny.city(tmp_path / "city"))
    dataset.train[0].path.unlink()
    with pytest.raises(DataError, match="0000_c001_00000000_0.jpg cannot be read"):
        training_slice(dataset, 6, 0, tmp_path / "slices")
