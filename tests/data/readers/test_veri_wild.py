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
