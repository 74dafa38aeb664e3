import os

import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol, available_protocols
from ssrnet.data.records import Skipped
from ssrnet.errors import DataError
from tests.data import layouts
from tests.data.layouts import names

VEHICLES = ("0007/a.jpg", "0007/b.jpg", "truck/a.jpg", "truck/b.jpg")


def tree(root, *images):
    for image in images:
        layouts.jpeg(root / image)
    return root


def test_a_root_of_vehicles_is_a_test_set(tmp_path):
    root = layouts.vehicle_folders(tmp_path / "fleet")
    (root / "README.txt").touch()
    (root / ".DS_Store").touch()
    (root / "__MACOSX/0007").mkdir(parents=True)
    data = open_dataset(root)
    assert (data.name, data.layout) == ("fleet", "Folders")
    assert data.why == "each of its 2 folders holds images of one vehicle"
    assert (data.train, data.query, data.protocol) == ((), (), "single_gallery_shot")
    assert names(data.gallery) == [f"{vehicle}/{letter}.jpg" for vehicle in ("0007", "truck") for letter in "abc"]
    assert {(image.vehicle_id, image.camera_id) for image in data.gallery} == {("0007", None), ("truck", None)}
    assert data.gallery[0].path == root / "0007/a.jpg" and (data.skipped, data.notes) == ((), ())
    split = Protocol("single_gallery_shot").split(data)
    assert (len(split.query), len(split.gallery)) == (4, 2)


SPLITS = [
    ("image_train", "image_query", "image_test"),
    ("bounding_box_train", "query", "bounding_box_test"),
    ("train", "query", "gallery"),
    ("train", "probe", "test"),
    ("train_all", "query", "val"),
]


@pytest.mark.parametrize("folders", SPLITS)
def test_vehicles_inside_folders_named_by_split(tmp_path, folders):
    train, query, gallery = folders
    root = tree(tmp_path, f"{train}/1/a.jpg", f"{train}/2/a.jpg", f"{query}/3/q.jpg", f"{gallery}/3/g.jpg")
    data = open_dataset(root)
    assert (data.layout, data.why) == ("Folders", f"in {train}, {query}, {gallery} each vehicle has a folder")
    assert [names(images) for images in (data.train, data.query, data.gallery)] == [
        ["1/a.jpg", "2/a.jpg"],
        ["3/q.jpg"],
        ["3/g.jpg"],
    ]
    assert data.query[0].path == root / query / "3/q.jpg"
    assert data.protocol == "single_gallery_shot"  # no cameras


def test_cameras_from_folders_inside_each_vehicle(tmp_path):
    images = ("query/1/c001/a.jpg", "gallery/1/cam2/a.jpg", "gallery/2/Camera_3/a.jpg", "gallery/2/c001/b.jpg")
    data = open_dataset(tree(tmp_path, *images))
    assert [image.camera_id for image in data.gallery] == ["cam2", "Camera_3", "c001"]
    assert names(data.gallery) == ["1/cam2/a.jpg", "2/Camera_3/a.jpg", "2/c001/b.jpg"]
    assert data.protocol == "cross_camera" and available_protocols(data)["cross_camera"] is None


@pytest.mark.parametrize("other", ["2/b.jpg", "2/front/b.jpg"])
def test_folders_that_not_every_image_has_give_no_camera(tmp_path, other):
    data = open_dataset(tree(tmp_path, "gallery/1/c001/a.jpg", "gallery/1/c002/a.jpg", f"gallery/{other}"))
    assert {image.camera_id for image in data.gallery} == {None} and len(data.gallery) == 3
    assert "images lie in folders inside their vehicle's folder (for example 1/c001/a.jpg)" in data.notes[0]


def test_cameras_from_names_as_layumi_prepares_market_and_veri(tmp_path):
    images = ("query/0002/0002_c1s1_000451_03.jpg", "gallery/0002/0002_C2_00016450_0.jpg", "gallery/-1/-1_c1_2_3.jpg")
    root = tree(tmp_path, *images, "gallery/0003/0003_c3s1_1_1.jpg", "train/0001/0001_c1_1.jpg", "multi-query/2/a.jpg")
    data = open_dataset(root)
    assert [image.camera_id for image in (*data.query, *data.gallery)] == ["c1", "c2", "c3"]
    assert data.skipped == (Skipped("no vehicle (folder -1), in gallery", 1, "-1"),)
    assert data.notes == ("Not read: multi-query.",) and data.protocol == "cross_camera"


def test_images_outside_vehicles_are_counted(tmp_path):
    root = tree(tmp_path / "flat", "a.jpg", "b.jpg")
    with pytest.raises(DataError, match="2 skipped: an image outside a vehicle's folder, in flat .for example a.jpg"):
        open_dataset(root, layout="Folders")


def test_what_is_no_image_or_lies_too_deep_is_counted(tmp_path):
    root = layouts.vehicle_folders(tmp_path / "gallery").parent
    (root / "gallery/0007/notes.txt").touch()
    (root / "gallery/0007/._a.jpg").touch()
    layouts.jpeg(root / "gallery/truck/c1/x/a.jpg")
    data = open_dataset(root)
    assert len(data.gallery) == 6
    assert data.skipped == (
        Skipped("not an image file, in gallery", 2, "0007/._a.jpg"),
        Skipped("a folder deeper than vehicle/camera, in gallery", 1, "truck/c1/x"),
    )


NO_VEHICLES = {
    "a vehicle with one image": ("1/a.jpg", "1/b.jpg", "2/a.jpg"),
    "one folder": ("1/a.jpg", "1/b.jpg"),
    "an image beside the folders": (*VEHICLES, "a.jpg"),
    "something deeper": (*VEHICLES, "truck/more/a.jpg"),
    "folders of cameras": ("cam1/a.jpg", "cam1/b.jpg", "cam2/a.jpg", "cam2/b.jpg"),
    "YOLO's folders": ("train/images/a.jpg", "train/images/b.jpg", "train/labels/a.txt"),
    "cameras inside splits": ("train/c001/a.jpg", "train/c002/b.jpg"),
}


@pytest.mark.parametrize("case", NO_VEHICLES)
def test_folders_that_are_not_taken_for_vehicles_unless_named(tmp_path, case):
    root = tmp_path
    for name in NO_VEHICLES[case]:
        layouts.jpeg(root / name) if name.endswith(".jpg") else layouts.write(root / name, ["0 1"])
    try:
        assert open_dataset(root).layout != "Folders"
    except DataError:
        pass
    assert open_dataset(root, layout="Folders").gallery or open_dataset(root, layout="Folders").train


@pytest.mark.parametrize(
    "names",
    [
        ("day", "night"),
        ("Day 1", "night_2"),
        ("2024-05-01", "2024-05-02"),
        ("gate 3", "lane 1"),
        ("front", "rear left"),
    ],
)
def test_folders_that_say_when_or_where_are_no_vehicles(tmp_path, names):
    data = open_dataset(tree(tmp_path, *(f"{name}/{letter}.jpg" for name in names for letter in "ab")))
    assert (data.layout, len(data.gallery)) == ("unlabelled", 4)
    first, second = sorted(names)
    assert str(data.reading) == (
        f"Read as images without labels, in 2 folders ({first}, {second}). If each of these folders is a vehicle, read it as "
        "such (--layout Folders)."
    )
    assert str(data.reading) in data.summary()


def test_what_no_name_tells_is_said_with_the_other_way(tmp_path):
    root = layouts.folders(tmp_path / "trucks", dict.fromkeys(("depot", "1", "2", "day"), ("a.jpg", "b.jpg")))
    data = open_dataset(root)
    assert str(data.reading) == (
        "Read as one folder a vehicle: 4 vehicles (1, 2, day, ...). If these folders are not vehicles, read it as unlabelled "
        "(--layout unlabelled)."
    )
    assert open_dataset(root, layout="Folders").reading is None, "named by the user"
    assert open_dataset(root, layout="unlabelled").reading is None
    assert open_dataset(layouts.veri(tmp_path / "VeRi")).reading is None, "told by its folders' names"
    assert open_dataset(layouts.unlabelled(tmp_path / "flat", ("a.jpg", "b.jpg"))).reading is None, (
        "there is no other way"
    )


def test_images_beside_vehicles_folders_are_left_out_with_a_warning(tmp_path):
    root = tree(
        tmp_path / "a", "train/s.jpg", "train/1/a.jpg", "train/2/a.jpg", "query/3/a.jpg", "test/3/b.jpg", "test/4/a.jpg"
    )
    data = open_dataset(root)
    assert [names(images) for images in (data.train, data.query)] == [["1/a.jpg", "2/a.jpg"], ["3/a.jpg"]]
    assert data.warnings == (
        "Left out of train: 1 image in no vehicle's folder; give each vehicle a folder of its own there.",
    )
    flat = open_dataset(tree(tmp_path / "b", "query/q.jpg", "query/r.jpg", "gallery/1/a.jpg", "gallery/2/a.jpg"))
    assert (flat.query, len(flat.gallery)) == ((), 2)
    assert flat.warnings[0].startswith("Left out of query: 2 images in no vehicle's folder;")
    alone = open_dataset(tree(tmp_path / "c", "gallery/q.jpg", "gallery/1/a.jpg", "gallery/2/a.jpg"))
    assert alone.layout == "unlabelled", "no folder named by split has vehicles alone"


@pytest.mark.parametrize(
    ("images", "flat", "nested"),
    [
        (("image_query/0002_c002_1_0.jpg", "image_test/0002/0002_c003_2_0.jpg"), "image_query", "image_test"),
        (("bounding_box_test/0002_c1s1_1_1.jpg", "query/0002/0002_c2s1_1_1.jpg"), "bounding_box_test", "query"),
    ],
)
def test_splits_of_which_one_has_folders_are_one_sentence(tmp_path, images, flat, nested):
    layouts.fails_to_open(
        tree(tmp_path, *images),
        f"has the images of {flat} side by side, and those of {nested} in folders; move them into {nested} itself, or",
    )


def test_a_manifest_wins_over_folders(tmp_path):
    root = tree(tmp_path, "image_train/1/a.jpg", "image_train/2/b.jpg")
    layouts.write(root / "manifest.csv", ["image,vehicle_id,split", "image_train/1/a.jpg,v9,test"])
    data = open_dataset(root)
    assert (data.layout, data.gallery[0].vehicle_id, data.notes[0]) == (
        "CSV",
        "v9",
        "The manifest has no train images.",
    )


def test_each_folder_is_listed_once_to_recognise_it_and_once_to_read_it(tmp_path, monkeypatch):
    root = layouts.vehicle_folders(tmp_path)
    scan, listed = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(str(folder)) or scan(folder))
    assert len(open_dataset(root).gallery) == 6
    assert sorted(folder for folder in listed if folder != str(root)) == [
        str(root / vehicle) for vehicle in ("0007", "0007", "truck", "truck")
    ]
