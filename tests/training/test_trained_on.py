from dataclasses import replace

import pytest

from ssrnet.data.datasets import join_training_data, open_dataset, open_training_parts
from ssrnet.data.holdout import hold_back
from ssrnet.errors import DataError, SettingsError
from ssrnet.training.checkpoint import save_checkpoint
from ssrnet.training.trained_on import seen_by, sets_of_start, state_training_sets
from tests import tiny


@pytest.fixture(scope="module")
def model():
    return tiny.network()


@pytest.fixture(scope="module")
def folders(city, tmp_path_factory):
    """The tiny city and a second one, with a vehicle less."""
    other = tiny.city(tmp_path_factory.mktemp("other"))
    for path in (other / "image_train").glob("0005_*"):
        path.unlink()
    return [city, other]


def older(model, folders, **training):
    """What a checkpoint from before training sets were stored says of itself."""
    joined = join_training_data(open_training_parts(folders[0], more=folders[1:]))
    name = " + ".join(("streets", "roads")[: len(folders)])
    return tiny.info(model, dataset=name, dataset_hash=joined.content_hash(), training=training)


def test_training_sets_are_stated_anew_as_the_run_drew_them(model, folders):
    info = older(model, folders, holdout=2, seed=3)
    stated = state_training_sets(info, folders, "a.safetensors").training_sets
    assert [one.name for one in stated] == ["streets", "roads"], "as they were called then"
    assert [one.content_hash for one in stated] == [open_dataset(folder).content_hash() for folder in folders]
    fit, _ = hold_back(join_training_data(open_training_parts(folders[0], more=folders[1:])), 2, 3)
    assert sum(len(one.vehicles) for one in stated) == 9 == len({image.vehicle_id for image in fit})
    assert sum(one.images for one in stated) == len(fit)


@pytest.mark.parametrize("order", [[0], [1, 0], [1]])
def test_other_folders_are_refused(model, folders, order):
    with pytest.raises(SettingsError, match=r"a.safetensors was trained on streets \+ roads \(hash .*--training-data"):
        state_training_sets(older(model, folders), [folders[at] for at in order], "a.safetensors")
    with pytest.raises(DataError, match="does not exist"):
        state_training_sets(older(model, folders), [folders[0] / "nowhere"], "a.safetensors")


def test_an_older_checkpoint_knows_the_very_data_that_it_was_trained_on(model, city, folders):
    dataset = open_dataset(city)
    seen = seen_by(older(model, [city], holdout=2, seed=0), dataset)
    assert seen.train_split and (seen.vehicles, seen.test_vehicles, seen.cameras) == (0, 4, 2)
    assert seen_by(older(model, folders), dataset) is None, "which may be a part of it"
    assert seen_by(tiny.info(model), dataset) is None
    for training in ({"holdout": 10**9, "seed": 0}, {"holdout": "2", "seed": -1}, {"holdout": True, "seed": []}):
        assert seen_by(older(model, [city], **training), dataset).train_split


def test_a_run_inherits_what_it_starts_from(model, city, tmp_path):
    stated = state_training_sets(older(model, [city]), [city], "a.safetensors")
    save_checkpoint(tmp_path / "a.safetensors", model, stated)
    assert sets_of_start(tmp_path / "a.safetensors") == stated.training_sets
    save_checkpoint(tmp_path / "b.safetensors", model, replace(stated, training_sets=()))
    (tmp_path / "c.safetensors").write_bytes(b"none")
    for path in (tmp_path / "b.safetensors", tmp_path / "c.safetensors", tmp_path / "d.pth", None):
        assert sets_of_start(path) == ()
