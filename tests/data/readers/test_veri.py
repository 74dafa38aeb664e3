"""VeRi: splits, labels, index files; and the real photographs where they are at hand."""

from pathlib import Path

import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import available_protocols
from ssrnet.data.records import Skipped
from tests.data import layouts
from tests.data.layouts import fails_to_open, names

TWOCAM = Path(__file__).parents[4] / "shared/data/twocam"


def test_veri(tmp_path):
    data = open_dataset(layouts.veri(tmp_path / "VeRi"))
    assert (data.name, data.layout, data.protocol) == ("VeRi", "VeRi", "cross_camera")
    assert data.why == "it holds image_train, image_query, image_test"
    assert tuple(names(data.train)) == layouts.VERI_TRAIN
    assert names(data.query) == sorted(layouts.VERI_QUERY) and names(data.gallery) == sorted(layouts.VERI_TEST)
    first = data.query[0]
    assert (first.vehicle_id, first.camera_id) == ("0002", "c002")
    assert first.path == tmp_path / "VeRi/image_query/0002_c002_00030600_0.jpg"
    assert (data.skipped, data.notes) == ((), ())


def test_veri_reads_the_base_name_only_and_opens_no_image(tmp_path):
    root = layouts.folders(tmp_path / "0009_c009_x", {"image_train": (), "image_test": ()})
    (root / "image_train/0001_c001_00000000_0.jpg").touch()
    (root / "image_train/0001_c001_00000000_1.PNG").touch()
    data = open_dataset(root)
    assert [(image.vehicle_id, image.camera_id) for image in data.train] == [("0001", "c001")] * 2


def test_veri_names_with_letters_and_capitals(tmp_path):
    test = ["truck0_c001_1.jpg", "0002_C002_3_0.jpg", "red_van-2_c010_4.JPG", "c7_c1_2.jpg"]
    data = open_dataset(layouts.folders(tmp_path, {"image_test": test}))
    assert data.skipped == ()
    assert {(image.vehicle_id, image.camera_id) for image in data.gallery} == {
        ("truck0", "c001"),
        ("0002", "c002"),
        ("red_van-2", "c010"),
        ("c7", "c001"),
    }


def test_veri_folders_beside_the_images_are_counted(tmp_path):
    root = layouts.veri(tmp_path)
    layouts.jpeg(root / "image_train/0009/a.jpg")
    assert open_dataset(root).skipped == (Skipped("a folder, in image_train", 1, "0009"),)


def test_veri_counts_what_it_skips(tmp_path):
    root = layouts.veri(tmp_path)
    (root / "image_train/Thumbs.db").touch()
    (root / "image_train/.DS_Store").touch()
    layouts.jpeg(root / "image_test/car.jpg")
    data = open_dataset(root)
    assert data.skipped == (
        Skipped("not an image file, in image_train", 2, ".DS_Store"),
        Skipped("no vehicle and camera in the name, in image_test", 1, "car.jpg"),
    )
    assert len(data.gallery) == len(layouts.VERI_TEST)


def test_veri_wins_over_its_manifest_which_adds_attributes(tmp_path):
    root = layouts.veri(tmp_path)
    rows = ["image,vehicle_id,camera_id,split,viewpoint", f"image_train/{layouts.VERI_TRAIN[0]},9,9,train,rear"]
    layouts.write(root / "manifest.csv", [*rows, f"{layouts.VERI_TRAIN[1]},9,9,train,front"])
    data = open_dataset(root)
    assert data.layout == "VeRi" and data.train[0].vehicle_id == "0001"
    assert [dict(image.attributes) for image in data.train] == [{"viewpoint": "rear"}, {"viewpoint": "front"}, {}]


LABELS = """<?xml version="1.0" encoding="gb2312"?>
<TestImages Version="1.0"><Items number="1">
<Item imageName="0002_c002_00030600_0.jpg" vehicleID="0002" cameraID="c002" colorID="1" typeID="4" 注="车" />
</Items></TestImages>"""


def test_veri_labels_in_the_declared_chinese_encoding(tmp_path):
    root = layouts.veri(tmp_path)
    (root / "test_label.xml").write_bytes(LABELS.encode("gb2312"))
    assert dict(open_dataset(root).query[0].attributes) == {"color": "1", "vehicle_type": "4"}
    layouts.write(root / "list_color.txt", ["1 yellow", "2 orange"])
    layouts.write(root / "list_type.txt", ["1 sedan", "4 pickup truck"])
    data = open_dataset(root)
    assert dict(data.query[0].attributes) == {"color": "yellow", "vehicle_type": "pickup truck"}
    assert dict(data.gallery[0].attributes) == {"color": "yellow", "vehicle_type": "pickup truck"}
    assert dict(data.gallery[1].attributes) == {}


def test_veri_broken_labels_leave_a_note(tmp_path):
    root = layouts.veri(tmp_path)
    (root / "train_label.xml").write_text("<Items><Item")
    layouts.write(root / "manifest.csv", ["file,color", "a,b"])
    xml, manifest = open_dataset(root).notes
    assert "train_label.xml is not well-formed XML" in xml and "download it again" in xml
    assert "lacks the column image (found: file, color)" in manifest


def test_veri_index_files_that_agree(tmp_path):
    data = open_dataset(layouts.veri_index(layouts.veri(tmp_path)))
    assert data.notes == ("gt_index.txt and jk_index.txt agree with the junk rule for 2 of 2 queries.",)


@pytest.mark.parametrize(
    ("gt", "jk"), [(("3", "4 5"), ("1 2", "")), (("3", "5"), ("1 2", "4 1")), (("3", ""), ("1 2", "4"))]
)
def test_veri_index_files_that_disagree(tmp_path, gt, jk):
    (note,) = open_dataset(layouts.veri_index(layouts.veri(tmp_path), gt, jk)).notes
    assert "agree with the junk rule for 1 of 2 queries and disagree for 1 (0005_c003_00077720_0.jpg)" in note


@pytest.mark.parametrize(("gt", "reason"), [(("1", "2", "3"), "3 lines for 2 queries"), (("x", "2"), "'x'")])
def test_veri_index_files_that_cannot_be_compared(tmp_path, gt, reason):
    (note,) = open_dataset(layouts.veri_index(layouts.veri(tmp_path), gt)).notes
    assert note.startswith("The index files were not compared with the junk rule:")
    assert "gt_index.txt" in note and reason in note


def test_veri_with_training_images_only(tmp_path):
    data = open_dataset(layouts.folders(tmp_path, {"image_train": layouts.VERI_TRAIN, "image_test": ()}))
    assert (len(data.train), len(data.test)) == (3, 0)
    assert data.notes == ("There is no folder image_query.", "image_test holds no usable image.")


def test_veri_with_test_images_only(tmp_path):
    images = {"image_query": layouts.VERI_QUERY, "image_test": layouts.VERI_TEST}
    data = open_dataset(layouts.folders(tmp_path, images))
    assert (len(data.train), len(data.query)) == (0, 2)
    assert data.notes == ("There is no folder image_train.",)


def test_veri_without_any_image(tmp_path):
    root = layouts.folders(tmp_path, {"image_train": (), "image_query": (), "image_test": ()})
    fails_to_open(root, str(root), "neither training nor test images", "its folders hold none", "add images")
    layouts.jpeg(root / "image_train/car.jpg")
    fails_to_open(root, "1 skipped: no vehicle and camera in the name", "car.jpg")


def test_veri_with_an_empty_gallery(tmp_path):
    root = layouts.folders(tmp_path, {"image_query": layouts.VERI_QUERY, "image_test": ()})
    fails_to_open(root, str(root), "2 query images but an empty gallery", "add the gallery images")


@pytest.mark.skipif(not TWOCAM.is_dir(), reason="the photographs are not beside this checkout")
def test_real_photographs():
    data = open_dataset(TWOCAM)
    splits = (data.train, data.query, data.gallery)
    assert data.layout == "VeRi"
    assert [len(images) for images in splits] == [810, 204, 204]
    assert [len({image.vehicle_id for image in images}) for images in splits] == [405, 102, 102]
    assert len(data.test) == 204 and data.skipped == () and data.notes == ()
    assert all(image.attributes["vehicle_type"] for images in splits for image in images)
    assert data.train[0].attributes["vehicle_type"] == "bus"
    assert {image.camera_id for image in data.test} == {"c001", "c002"}
    served = available_protocols(data)
    assert served["cross_camera"] is None and served["single_gallery_shot"] is None
    assert "no test vehicle of twocam has more than 2" in served["multi_gallery_shot"]
