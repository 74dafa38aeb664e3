import pickle

import numpy as np
import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.data.uploaded_set import uploaded_set
from ssrnet.data.uploads import read_uploads
from tests.data.test_uploads import archive, jpeg

COLOURS = {
    "a.jpg": (200, 30, 30),
    "night/b.jpg": (30, 200, 30),
    "night/gate/a.jpg": (30, 30, 200),
    "copy.jpg": (200, 30, 30),
}


@pytest.mark.parametrize("top", ["", "fleet/"])
def test_a_packed_folder_is_read_as_the_folder_is(tmp_path, top):
    for name, colour in COLOURS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(colour))
    members = {f"{top}{name}": jpeg(colour) for name, colour in COLOURS.items()}
    members |= {f"__MACOSX/{top}._a.jpg": b"x", f"{top}inner.zip": archive({"z.jpg": jpeg()}), f"{top}notes.txt": b"x"}
    dataset, folder = uploaded_set([read_uploads([("all.zip", archive(members))])]), open_dataset(tmp_path)
    for one, other in zip(dataset.gallery, folder.gallery, strict=True):
        assert (one.name, one.vehicle_id, one.camera_id) == (other.name, None, None)
        assert one.attributes == other.attributes and np.array_equal(one.read(), other.read())
    assert (dataset.protocol, dataset.train, dataset.query) == (folder.protocol, (), ())
    assert "4 images in 3 folders, no vehicle labels" in dataset.summary()


def test_a_picture_of_two_uploaders_is_taken_once_and_equal_names_are_told_apart():
    query = read_uploads([("x.jpg", jpeg())])
    gallery = read_uploads([("a.jpg", jpeg()), ("x.jpg", jpeg((0, 0, 250))), ("b.jpg", jpeg((0, 0, 250)))])
    # b.jpg is a copy within one gallery, which may be looked for.
    assert [image.name for image in uploaded_set([query, gallery]).gallery] == ["b.jpg", "x.jpg", "x.jpg (2)"]
    assert uploaded_set([]).gallery == ()


def test_a_path_that_leads_out_of_the_zip_file_is_its_name():
    members = dict.fromkeys(("../../up.jpg", "/etc/root.jpg", "..\\win.jpg", "in/a.jpg", "in\\b\n.jpg"), jpeg())
    names = [image.name for image in uploaded_set([read_uploads([("all.zip", archive(members))])]).gallery]
    assert names == ["in/a.jpg", r"in/b\n.jpg", "root.jpg", "up.jpg", "win.jpg"]


def test_a_table_alone_names_cameras():
    members = {"c1/a.jpg": jpeg(), "c2/b.jpg": jpeg()}
    assert {image.camera_id for image in uploaded_set([read_uploads([("z.zip", archive(members))])]).gallery} == {None}
    members["cameras.csv"] = b"image,camera\nc1/a.jpg,north\n"
    images = uploaded_set([read_uploads([("z.zip", archive(members))])]).gallery
    assert [(image.camera_id, image.attributes["folder"]) for image in images] == [("north", "c1"), (None, "c2")]


def test_the_hash_is_over_the_pixels():
    one, same, other = (
        uploaded_set([read_uploads([("a.jpg", jpeg(colour))])]) for colour in ((9, 9, 9), (9, 9, 9), (99, 9, 9))
    )
    assert one.content_hash() == same.content_hash() != other.content_hash()


def test_an_image_survives_pickling():
    (image,) = uploaded_set([read_uploads([("a.zip", archive({"n/a.jpg": jpeg()}))])]).gallery
    again = pickle.loads(pickle.dumps(image))
    assert again == image and np.array_equal(again.read(), image.read())
