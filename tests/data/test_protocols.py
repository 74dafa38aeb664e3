from dataclasses import replace

import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import JUNK_CAMERA, JUNK_ITSELF, JUNK_NONE, Protocol, available_protocols
from ssrnet.errors import ProtocolError, SettingsError
from tests.data import layouts
from tests.data.layouts import dataset, names, records


def test_cross_camera_keeps_the_owners_split_and_names_the_junk_rule(tmp_path):
    data = open_dataset(layouts.veri(tmp_path))
    split = Protocol("cross_camera").split(data)
    assert (split.query, split.gallery) == (data.query, data.gallery)
    assert split.same_camera_is_junk and split.junk_rule == JUNK_CAMERA
    assert Protocol("single_gallery_shot").split(data).junk_rule == JUNK_NONE


def test_single_shot_draws_one_image_a_vehicle_and_asks_with_the_rest():
    data = dataset(gallery=records({"a": 5, "b": 2, "lonely": 1}))
    split = Protocol("single_gallery_shot").split(data)
    assert [image.vehicle_id for image in split.gallery] == ["a", "b", "lonely"]
    assert [image.vehicle_id for image in split.query] == ["a"] * 4 + ["b"]
    assert not split.same_camera_is_junk and split.excluded_vehicles == 0
    assert sorted(names((*split.query, *split.gallery))) == sorted(names(data.gallery))


def test_multi_shot_draws_exactly_n_and_counts_the_excluded():
    data = dataset(gallery=records({"a": 9, "b": 7, "six": 6, "one": 1}))
    split = Protocol("multi_gallery_shot", n=6).split(data)
    assert [image.vehicle_id for image in split.gallery] == ["a"] * 6 + ["b"] * 6
    assert [image.vehicle_id for image in split.query] == ["a"] * 3 + ["b"]
    assert split.excluded_vehicles == 2
    assert not set(split.query) & set(split.gallery)


@pytest.mark.parametrize("name", ["single_gallery_shot", "multi_gallery_shot"])
def test_a_seed_fixes_the_draw_whatever_the_order_of_the_images(name):
    images = records({f"v{i}": 10 for i in range(20)})
    data, reordered = dataset(gallery=images), dataset(gallery=images[::-1])
    splits = [Protocol(name, seed=seed).split(data) for seed in range(10)]
    assert Protocol(name, seed=3).split(data) == splits[3]
    assert Protocol(name, seed=3).split(reordered) == splits[3]
    assert len({split.gallery for split in splits}) == 10


def test_shot_protocols_pool_query_and_gallery_once_by_name():
    shared, more = records({"a": 3}), records({"a": 2}, prefix="more_")
    data = dataset(query=shared, gallery=[*shared, *more])
    assert names(data.test) == names([*shared, *more])
    split = Protocol("single_gallery_shot").split(data)
    assert (len(split.query), len(split.gallery)) == (4, 1)
    assert len(set(names((*split.query, *split.gallery)))) == 5


def test_distractors_stay_out_of_the_shot_protocols():
    data = dataset(gallery=records({"0000": 9, "a": 3}), distractor_ids={"0000"})
    split = Protocol("single_gallery_shot").split(data)
    assert {image.vehicle_id for image in (*split.query, *split.gallery)} == {"a"}
    alone = dataset(gallery=records({"0000": 9}), distractor_ids={"0000"})
    assert Protocol("single_gallery_shot").unavailable(alone) == "toys has no test images"


def test_two_images_a_vehicle_serve_single_but_not_multi():
    data = dataset(query=records({"a": 2, "b": 2}), gallery=records({"a": 2, "b": 2}, camera="c2"))
    reasons = available_protocols(data)
    assert reasons["cross_camera"] is None and reasons["single_gallery_shot"] is None
    assert reasons["multi_gallery_shot"] == (
        "with 6 in the gallery a vehicle needs at least 7 images, and no test vehicle of toys has more than 2"
    )
    assert available_protocols(data, n=1)["multi_gallery_shot"] is None
    with pytest.raises(ProtocolError, match="multi_gallery_shot cannot be used here: .*; choose another protocol"):
        Protocol("multi_gallery_shot").split(data)


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (dataset(gallery=records({"a": 2})), "cross_camera", "toys has no query split"),
        (dataset(query=records({"a": 2})), "cross_camera", "toys has an empty gallery"),
        (
            dataset(query=records({"a": 1}, camera=None), gallery=records({"a": 2}, camera=None)),
            "cross_camera",
            "toys does not say which camera took each image",
        ),
        (dataset(train=records({"a": 2})), "single_gallery_shot", "toys has no test images"),
        (
            dataset(gallery=records({"a": 1, "b": 1})),
            "single_gallery_shot",
            "with 1 in the gallery a vehicle needs at least 2 images, and no test vehicle of toys has more than 1",
        ),
    ],
)
def test_unavailable_says_why(data, name, reason):
    assert Protocol(name).unavailable(data) == reason
    with pytest.raises(ProtocolError, match=f"{name} cannot be used here: {reason}"):
        Protocol(name).split(data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "all_shots"}, "'all_shots'; choose one of cross_camera, single_gallery_shot, multi_gallery_shot"),
        ({"name": "multi_gallery_shot", "n": 0}, "n is 0; .* n of at least 1"),
        ({"name": "single_gallery_shot", "seed": -1}, "seed is -1; use 0"),
    ],
)
def test_settings_that_cannot_work(settings, message):
    with pytest.raises(SettingsError, match=message):
        Protocol(**settings)


def test_the_lists_do_not_depend_on_attributes():
    images = records({"a": 4, "b": 4})
    described = [replace(image, attributes={"color": "red"}) for image in images]
    plain, rich = (Protocol("single_gallery_shot").split(dataset(gallery=own)) for own in (images, described))
    assert names(plain.gallery) == names(rich.gallery)


def test_without_labels_every_image_is_a_query_for_the_others(tmp_path):
    data, labelled = open_dataset(layouts.unlabelled(tmp_path)), dataset(gallery=records({"a": 2}))
    split = Protocol("unlabelled").split(data)
    assert split.query == split.gallery == data.test and split.junk_rule == JUNK_ITSELF and not split.is_labelled
    reason = f"{data.name} does not say which images show the same vehicle"
    assert set(available_protocols(data).values()) == {reason}
    assert Protocol("unlabelled").unavailable(labelled) == "toys has vehicle labels"
    assert "unlabelled" not in available_protocols(labelled)
