import pytest

from ssrnet.data.datasets import available_subsets, open_dataset
from ssrnet.data.protocols import Protocol, available_protocols
from ssrnet.data.records import Skipped
from tests.data import layouts
from tests.data.layouts import fails_to_open, names


def test_vehicleid(tmp_path):
    root = layouts.vehicleid(tmp_path / "VehicleID_V1.0")
    layouts.write(root / "attribute/model_attr.txt", ["100 7", "101 12"])
    layouts.write(root / "attribute/color_attr.txt", ["100 3", "garbage"])
    data = open_dataset(root)
    assert (data.name, data.layout) == ("VehicleID_V1.0 (test subset 2)", "VehicleID")
    assert data.protocol == "single_gallery_shot"
    assert (len(data.train), len(data.query), len(data.gallery)) == (5, 0, 5)
    first = data.gallery[0]
    assert (first.name, first.vehicle_id, first.camera_id) == ("0000010.jpg", "100", None)
    assert dict(first.attributes) == {"model": "7", "color": "3"}
    assert data.skipped == (Skipped("line without a vehicle and a value, in color_attr.txt", 1, "line 2: garbage"),)
    served = available_protocols(data)
    assert served["single_gallery_shot"] is None and "no query split" in served["cross_camera"]


def test_vehicleid_subsets(tmp_path):
    root = layouts.vehicleid(tmp_path)
    assert available_subsets(root) == (2, 3)
    assert len(open_dataset(root, 3).gallery) == 8
    fails_to_open(root, str(root), "no list of 800 test vehicles", "choose 2 or 3", subset=800)


def test_vehicleid_lines_and_files_that_cannot_be_used(tmp_path):
    root = layouts.vehicleid(tmp_path)
    (root / "image/0000012.jpg").unlink()
    lines = ["10 100", "", "0000012\t100", "0000013;101", "0000014  101"]
    layouts.write(root / "train_test_split/test_list_2.txt", lines)
    data = open_dataset(root)
    assert names(data.gallery) == ["0000010.jpg", "0000014.jpg"]
    assert data.skipped == (
        Skipped("line without an image and a vehicle, in test_list_2.txt", 1, "line 4: 0000013;101"),
        Skipped("named in test_list_2.txt but missing", 1, "0000012.jpg"),
    )


def test_vehicleid_with_all_images_missing(tmp_path):
    root = layouts.vehicleid(tmp_path)
    layouts.write(root / "train_test_split/test_list_2.txt", ["0000090 1", "0000091 1"])
    fails_to_open(
        root, "test_list_2.txt", "not one of the 2 images of the gallery split", "image/0000090.jpg", "unpack"
    )


def test_vehicleid_with_an_image_named_twice(tmp_path):
    root = layouts.vehicleid(tmp_path)
    layouts.write(root / "train_test_split/test_list_2.txt", ["0000010 1", "0000011 1", "0000010 2"])
    fails_to_open(root, "test_list_2.txt", "lines 1 and 3", "0000010.jpg", "remove one")


@pytest.fixture(scope="module")
def full_size_vehicleid(tmp_path_factory):
    """The owners' numbers of vehicles and images; the subsets share their files, which are empty."""
    root = tmp_path_factory.mktemp("VehicleID")
    (root / "image").mkdir()
    for vehicles, images in ((800, 6_493), (1_600, 13_377), (2_400, 19_777)):
        lines = (f"{i:07d} {i % vehicles}" for i in range(images))
        layouts.write(root / f"train_test_split/test_list_{vehicles}.txt", lines)
    for i in range(19_777):
        (root / f"image/{i:07d}.jpg").touch()
    return root


@pytest.mark.parametrize(("subset", "queries"), [(800, 5_693), (1_600, 11_777), (2_400, 17_377)])
def test_vehicleid_at_its_true_sizes(full_size_vehicleid, subset, queries):
    data = open_dataset(full_size_vehicleid, subset)
    split = Protocol("single_gallery_shot").split(data)
    assert (len(split.query), len(split.gallery), split.excluded_vehicles) == (queries, subset, 0)
    assert len({image.vehicle_id for image in split.gallery}) == subset
    assert not split.same_camera_is_junk


def test_vehicleid_lines_with_suffixes_commas_and_further_fields(tmp_path):
    root = layouts.vehicleid(tmp_path)
    layouts.jpeg(root / "image/0000020.png")
    lines = ["0000010.jpg 100", "11,101", "0000012.jpg, 100, 7, front", "0000013 101 3", "20.png\t102"]
    layouts.write(root / "train_test_split/test_list_2.txt", lines)
    data = open_dataset(root)
    assert [(image.name, image.vehicle_id) for image in data.gallery] == [
        ("0000010.jpg", "100"),
        ("0000011.jpg", "101"),
        ("0000012.jpg", "100"),
        ("0000013.jpg", "101"),
        ("0000020.png", "102"),
    ]
    assert data.skipped == ()


def test_vehicleid_list_whose_lines_cannot_be_read_is_not_called_empty(tmp_path):
    root = layouts.vehicleid(tmp_path)
    layouts.write(root / "train_test_split/train_list.txt", ["cars/1.jpg 100", "cars/2.jpg 100"])
    data = open_dataset(root)
    assert data.notes == ("There is no train list, or it names no image that can be used.",)
    assert data.skipped[0].count == 2 and data.skipped[0].example == "line 1: cars/1.jpg 100"
    for name in ("test_list_2", "test_list_3"):
        (root / f"train_test_split/{name}.txt").unlink()
    fails_to_open(root, "neither training nor test images: 2 skipped: line without an image and a vehicle")
    layouts.write(root / "train_test_split/train_list.txt", [])
    fails_to_open(root, "neither training nor test images: its lists name none", "add images")
