from ssrnet.data.datasets import available_subsets, open_dataset
from ssrnet.data.protocols import available_protocols
from ssrnet.data.records import Skipped
from tests.data import layouts
from tests.data.layouts import fails_to_open, names


def test_veri_wild(tmp_path):
    data = open_dataset(layouts.veri_wild(tmp_path / "VERI-Wild"))
    assert (data.name, data.layout) == ("VERI-Wild (test subset 3)", "VERI-Wild")
    assert data.protocol == "cross_camera"
    assert (len(data.train), len(data.query), len(data.gallery)) == (2, 2, 4)
    first = data.query[0]
    assert (first.name, first.vehicle_id, first.camera_id) == ("00007/000010.jpg", "00007", "42")
    assert dict(first.attributes) == {
        "time": "2018-03-09 21:22:44",
        "model": "Volkswagen Lavida",
        "vehicle_type": "Sedan",
        "color": "White",
    }
    assert (data.skipped, data.notes) == ((), ())


def test_veri_wild_subsets_and_suffixes(tmp_path):
    root = layouts.veri_wild(tmp_path)
    layouts.write(root / "train_test_split/test_5.txt", ["00007/000011.jpg", "00008/000021"])
    assert available_subsets(root) == (3, 5)
    assert names(open_dataset(root, 5).gallery) == ["00007/000011.jpg", "00008/000021.jpg"]
    fails_to_open(root, "no list of 3000 test vehicles", "choose 3 or 5", subset=3000)


def test_veri_wild_lines_and_files_that_cannot_be_used(tmp_path):
    root = layouts.veri_wild(tmp_path)
    (root / "images/00007/000012.jpg").unlink()
    layouts.write(root / "train_test_split/train_list.txt", ["00001/000001", "../secret", "00001"])
    data = open_dataset(root)
    assert names(data.train) == ["00001/000001.jpg"]
    assert data.skipped == (
        Skipped("line that is not vehicle/image, in train_list.txt", 2, "line 2: ../secret"),
        Skipped("named in test_3.txt but missing", 1, "00007/000012.jpg"),
    )


def test_veri_wild_without_cameras(tmp_path):
    root = layouts.veri_wild(tmp_path)
    (root / "train_test_split/vehicle_info.txt").unlink()
    data = open_dataset(root)
    assert data.notes == ("vehicle_info.txt does not give the camera of 8 images.",)
    assert data.protocol == "single_gallery_shot"
    assert "does not say which camera" in available_protocols(data)["cross_camera"]


def test_veri_wild_with_all_images_missing(tmp_path):
    root = layouts.veri_wild(tmp_path)
    layouts.write(root / "train_test_split/test_3_query.txt", ["00099/000001"])
    fails_to_open(root, "test_3_query.txt", "not one of the 1 images of the query split", "00099/000001.jpg", "unpack")


def test_veri_wild_lists_with_further_fields_commas_and_suffixes(tmp_path):
    """Lines ``vehicle/image vehicle camera`` as the lists named _id have them; no vehicle_info.txt is needed then."""
    root = layouts.veri_wild(tmp_path)
    lists = root / "train_test_split"
    for name in ("test_3.txt", "test_3_query.txt", "test_5.txt", "test_5_query.txt", "vehicle_info.txt"):
        (lists / name).unlink()
    layouts.jpeg(root / "images/00009/000031.png")
    layouts.write(lists / "train_list.txt", ["00001/000001.jpg 1 40", "00001/000002.jpg, 1, 41, x"])
    layouts.write(lists / "test_3_id_query.txt", ["00007/000010.jpg 7 c42"])
    layouts.write(lists / "test_3_id.txt", ["00007/000011,7,43", "00009/000031.png 9 5", "00008/000021 8"])
    data = open_dataset(root)
    assert (data.name, data.skipped) == (f"{tmp_path.name} (test subset 3)", ())
    assert [(image.name, image.camera_id) for image in (*data.train, *data.query, *data.gallery)] == [
        ("00001/000001.jpg", "40"),
        ("00001/000002.jpg", "41"),
        ("00007/000010.jpg", "c42"),
        ("00007/000011.jpg", "43"),
        ("00009/000031.png", "5"),
        ("00008/000021.jpg", None),
    ]
    assert data.notes == ("vehicle_info.txt does not give the camera of 1 images.",)


def test_veri_wild_camera_of_the_list_yields_to_vehicle_info(tmp_path):
    root = layouts.veri_wild(tmp_path)
    layouts.write(root / "train_test_split/test_3.txt", ["00007/000011.jpg 7 99", "00007/000012.jpg 12 99"])
    assert [image.camera_id for image in open_dataset(root).gallery] == ["43", "44"]
