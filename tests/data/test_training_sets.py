import json
from dataclasses import replace

import pytest

from ssrnet.data.datasets import join_training_data, open_dataset, open_training_parts
from ssrnet.data.records import VehicleImage
from ssrnet.data.training_sets import describe_training, seen_in_training, union, unpack
from tests.data import layouts


def photographs(root, vehicles, cameras=("c1", "c2"), text="pixels"):
    """An image a vehicle and camera, each with content of its own, some of the same length."""
    images = []
    for vehicle in vehicles:
        for camera in cameras:
            path = root / f"{vehicle}_{camera}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text} {vehicle} {camera}")
            images.append(VehicleImage(path, path.name, vehicle, camera))
    return images


@pytest.fixture
def train(tmp_path):
    return photographs(tmp_path / "train", ("1", "2", "3"))


@pytest.fixture
def sets(train):
    return describe_training([layouts.dataset(train)], train)


def test_it_is_small_and_comes_back_as_it_was(sets, train):
    (one,) = sets
    assert (one.name, one.images, len(one.vehicles), len(one.examples), len(one.cameras)) == ("toys", 6, 3, 3, 2)
    assert one.content_hash == layouts.dataset(train).content_hash()
    packed = json.loads(json.dumps([one.packed()]))
    assert unpack(packed) == sets and len(packed[0]["vehicles"] + packed[0]["examples"]) == 3 * 26
    assert unpack([]) == ()


def test_the_order_of_images_is_nothing(sets, train):
    assert describe_training([layouts.dataset(train[::-1])], train) == sets


def test_each_of_the_joined_sets_by_itself_and_without_what_was_held_back(tmp_path):
    roots = [layouts.veri(tmp_path / "a"), layouts.market(tmp_path / "b")]
    parts = open_training_parts(roots[0], more=roots[1:])
    fit = join_training_data(parts).train
    sets = describe_training(parts, fit)
    assert [one.content_hash for one in sets] == [open_dataset(root).content_hash() for root in roots]
    assert [one.images for one in sets] == [len(part.train) for part in parts]
    held = fit[-1].vehicle_id
    fewer = describe_training(parts, [image for image in fit if image.vehicle_id != held])
    assert fewer[0] == sets[0] and len(fewer[1].vehicles) == len(sets[1].vehicles) - 1
    assert union(sets, sets[:1]) == sets and union(sets[:1], sets[1:]) == sets


def test_training_images_shown_as_test_images(sets, train):
    seen = seen_in_training(sets, layouts.dataset(query=train, gallery=train))
    assert (seen.vehicles, seen.test_vehicles, seen.cameras, seen.by_name) == (3, 3, 2, False)
    assert (
        seen.warning.startswith("All 3 test vehicles were in the training data")
        and "2 of 2, so numbers here say nothing of new cameras." in seen.note
    )
    assert seen.record == {"test_vehicles_in_training": 3}


def test_a_copy_elsewhere_with_new_identities_is_recognised_by_its_images(sets, tmp_path):
    copy = photographs(tmp_path / "copy", ("1", "2"))
    copy = [replace(image, name=f"x/{image.name}", vehicle_id=f"car {image.vehicle_id}") for image in copy]
    seen = seen_in_training(sets, layouts.dataset(query=copy, gallery=[*copy, *layouts.records({"9": 1})]))
    assert (seen.vehicles, seen.test_vehicles, seen.cameras) == (2, 3, 0)
    assert seen.warning.startswith("2 of the 3 test vehicles were in the training data")


def test_other_images_of_a_training_vehicle_are_known_by_its_identity(sets, train):
    test = layouts.records({"2": 2, "8": 2}, "c1")
    seen = seen_in_training(sets, layouts.dataset(train, gallery=test))
    assert (seen.vehicles, seen.test_vehicles, seen.train_split) == (1, 2, True)


def test_a_data_sets_own_test_half(sets, train, tmp_path):
    test = photographs(tmp_path / "test", ("4", "5"), ("c2", "c3"))
    seen = seen_in_training(sets, layouts.dataset(train, test, test))
    assert (seen.vehicles, seen.cameras, seen.by_name, seen.warning) == (0, 1, False, None)
    assert (
        "none of the test vehicles" in seen.note
        and "training: 1 of 2, so numbers here mix new cameras with known ones." in seen.note
    )
    alone = seen_in_training(sets, layouts.dataset(train))
    assert alone.warning is None and alone.note == "Trained on this data set's training split."


def test_a_test_half_by_itself_is_known_by_its_cameras_names_alone(sets, tmp_path):
    test = photographs(tmp_path / "test", ("4", "5"))
    seen = seen_in_training(sets, layouts.dataset(query=test, gallery=test))
    assert (seen.vehicles, seen.cameras, seen.by_name) == (0, 2, True)
    assert "seem to have been: 2 of 2" in seen.note
    assert seen.note.endswith("If they were, numbers here say nothing of new cameras.")


@pytest.mark.parametrize(
    ("vehicles", "cameras"), [(("3", "4"), ("c1", "c2")), (("4", "5"), ("c1", "c9"))], ids=["vehicles", "cameras"]
)
def test_another_data_set_that_numbers_alike_is_not_taken_for_this_one(sets, tmp_path, vehicles, cameras):
    """Its files have the names and sizes of training images, and other bytes."""
    test = photographs(tmp_path / "other", vehicles, cameras, text="PIXELS")
    seen = seen_in_training(sets, layouts.dataset(query=test, gallery=test))
    assert (seen.vehicles, seen.cameras, seen.warning, seen.note) == (0, 0, None, None)


def test_a_gallerys_distractors_are_no_vehicle(sets, train):
    seen = seen_in_training(sets, layouts.dataset(query=train[2:], gallery=train, distractor_ids=["1"]))
    assert (seen.vehicles, seen.test_vehicles) == (2, 2)


def test_a_model_that_names_no_training_set(train):
    assert seen_in_training((), layouts.dataset(train, train, train)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"name": 3},
        {"content_hash": "0"},
        {"content_hash": "Z" * 16},
        {"images": -1},
        {"images": True},
        {"images": 1.5},
        {"vehicles": "0" * 10},
        {"vehicles": "0" * 31},
        {"vehicles": ["0" * 10] * 3},
        {"examples": ""},
        {"cameras": "g" * 10},
        {"cameras": "A" * 10},
        {"cameras": None},
        {"wheels": 4},
    ],
)
def test_damaged_entries(sets, changes):
    with pytest.raises(ValueError, match="training"):
        unpack([sets[0].packed() | changes])


@pytest.mark.parametrize("packed", [None, {}, "toys", [None], [[]], [{}], [{"name": "a"}]])
def test_what_is_no_list_of_them(packed):
    with pytest.raises(ValueError, match="training_sets"):
        unpack(packed)
