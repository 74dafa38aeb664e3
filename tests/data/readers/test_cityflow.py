import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import available_protocols
from ssrnet.data.records import Skipped
from tests.data import layouts
from tests.data.layouts import fails_to_open, names


def test_cityflow(tmp_path):
    data = open_dataset(layouts.cityflow(tmp_path / "AIC21_Track2_ReID"))
    assert (data.name, data.layout, data.protocol) == ("AIC21_Track2_ReID", "CityFlow", "cross_camera")
    assert data.why.endswith("train_label.xml, query_label.xml, test_label.xml, and image names say no vehicle")
    assert names(data.train) == ["000001.jpg", "000002.jpg", "000003.jpg"]
    first = data.train[0]
    assert (first.vehicle_id, first.camera_id) == ("0269", "c026")
    assert first.path == tmp_path / "AIC21_Track2_ReID/image_train/000001.jpg"
    assert [image.vehicle_id for image in data.query] == ["0001", "0002"]
    assert [(image.vehicle_id, image.camera_id) for image in data.gallery] == [
        ("0001", "c002"),
        ("0002", "c003"),
        ("0002", "c001"),
    ]
    assert data.skipped == ()


def test_cityflow_numbers_its_images_anew_in_each_folder(tmp_path):
    data = open_dataset(layouts.cityflow(tmp_path))
    assert names(data.test) == [
        "000001.jpg",
        "000002.jpg",
        "image_test/000001.jpg",
        "image_test/000002.jpg",
        "000003.jpg",
    ]
    assert data.notes[0].startswith("image_test has other photographs than image_query under 2 of the same names")
    assert (data.gallery[0].vehicle_id, data.gallery[0].camera_id) == ("0001", "c002")


def test_cityflow_as_the_challenge_hands_it_out(tmp_path):
    """Its query and test labels name cameras alone."""
    root = layouts.cityflow(tmp_path, test_labels=False)
    (root / "test_label.xml").unlink()
    data = open_dataset(root)
    assert (len(data.train), data.query, data.gallery) == (3, (), ())
    kept = "the AI City Challenge keeps its test labels; train with --holdout, which sets training vehicles aside to score on"
    assert data.notes == (
        f"The 2 images of image_query are left out, since query_label.xml names no vehicle of theirs: {kept}.",
        f"The 3 images of image_test are left out, since there is no test_label.xml: {kept}.",
    )
    assert available_protocols(data)["cross_camera"].endswith("has no query split")


def test_cityflow_queries_without_a_labelled_gallery(tmp_path):
    root = layouts.cityflow(tmp_path)
    (root / "test_label.xml").unlink()
    data = open_dataset(root)
    assert not data.query and len(data.train) == 3
    assert "The 2 labelled images of image_query are left out, since there is no gallery to rank." in data.notes


def test_cityflow_counts_what_it_leaves_out(tmp_path):
    root = layouts.cityflow(tmp_path)
    labels = {"000001.jpg": ("1", "c1"), "000002.jpg": ("-1", "c1"), "000009.jpg": ("1", "c1")}
    layouts.cityflow_labels(root / "train_label.xml", labels)
    (root / "image_train/Thumbs.db").touch()
    data = open_dataset(root)
    assert names(data.train) == ["000001.jpg"]
    assert data.skipped == (
        Skipped("no vehicle (vehicleID -1), in image_train", 1, "000002.jpg"),
        Skipped("no vehicle in train_label.xml, in image_train", 1, "000003.jpg"),
        Skipped("not an image file, in image_train", 1, "Thumbs.db"),
        Skipped("named in train_label.xml but missing", 1, "000009.jpg"),
    )


def test_names_with_vehicles_are_veri(tmp_path):
    root = layouts.veri(tmp_path)
    layouts.cityflow_labels(root / "train_label.xml", {layouts.VERI_TRAIN[0]: ("0001", "c001")})
    assert open_dataset(root).layout == "VeRi"


GROWING = "".join(f"<!ENTITY {'b' * i} '{('&' + 'b' * (i - 1) + ';') * 10}'>" for i in range(2, 12))
ITEM = '<Item imageName="000001.jpg" vehicleID="1" cameraID="c1"/>'
BAD = {
    "broken": (f"<Items>{ITEM}<Item", ["is not well-formed XML", "download it again"]),
    "a document type": (
        f"<!DOCTYPE a [<!ENTITY b 'bbbb'>{GROWING}]><a>{ITEM}&{'b' * 11};</a>",
        ["line 1: it declares a document type", "remove it"],
    ),
    "an entity of a file": (
        f"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>{ITEM}&b;</a>",
        ["it declares a document type"],
    ),
    "two labels": (
        f"<a>{ITEM}\n{ITEM.replace('c1', 'c2')}</a>",
        ["lines 1 and 2 give 000001.jpg different vehicles or cameras", "correct one"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_labels(tmp_path, case):
    text, parts = BAD[case]
    root = layouts.cityflow(tmp_path)
    (root / "train_label.xml").write_text(text)
    fails_to_open(root, "train_label.xml", *parts)
