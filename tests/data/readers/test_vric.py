from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import available_protocols
from ssrnet.data.records import Skipped
from tests.data import layouts
from tests.data.layouts import fails_to_open, names


def test_vric(tmp_path):
    data = open_dataset(layouts.vric(tmp_path / "VRIC"))
    assert (data.name, data.layout, data.protocol) == ("VRIC", "VRIC", "cross_camera")
    assert data.why == "it holds vric_train.txt, vric_probe.txt, vric_gallery.txt and the folders of their images"
    assert names(data.train) == ["a1.jpg", "a2.jpg"]
    first = data.query[0]
    assert (first.name, first.vehicle_id, first.camera_id) == ("MVI_20011_016_img00105.jpg", "16", "1")
    assert first.path == tmp_path / "VRIC/probe_images/MVI_20011_016_img00105.jpg"
    assert [image.camera_id for image in data.gallery] == ["3", "4"]
    assert (data.skipped, data.notes) == ((), ())
    assert available_protocols(data)["cross_camera"] is None


def test_vric_lines_with_commas_further_fields_and_without_cameras(tmp_path):
    root = layouts.vric(tmp_path)
    layouts.write(root / "vric_train.txt", ["a1.jpg,15,1,x", "", "a2.jpg, 15", "a3.jpg", "../a1.jpg 1 1", "a9.jpg 1 1"])
    data = open_dataset(root)
    assert [(image.name, image.vehicle_id, image.camera_id) for image in data.train] == [
        ("a1.jpg", "15", "1"),
        ("a2.jpg", "15", None),
    ]
    assert data.skipped == (
        Skipped("line without an image and a vehicle, in vric_train.txt", 2, "line 4: a3.jpg"),
        Skipped("named in vric_train.txt but missing", 1, "a9.jpg"),
    )


def test_vric_with_test_images_only(tmp_path):
    root = layouts.vric(tmp_path)
    (root / "vric_train.txt").unlink()
    assert open_dataset(root).notes == ("There is no train list, or it names no image that can be used.",)


def test_vric_with_all_images_missing(tmp_path):
    root = layouts.vric(tmp_path)
    layouts.write(root / "vric_probe.txt", ["x.jpg 1 1"])
    fails_to_open(root, "vric_probe.txt", "not one of the 1 images of the query split", "probe_images/x.jpg", "unpack")
