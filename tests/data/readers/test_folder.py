import os

import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.data.readers import folder
from ssrnet.errors import DataError
from tests.data import layouts
from tests.data.layouts import fails_to_open, jpeg, names, write


def test_a_flat_folder_is_a_data_set_without_labels(tmp_path):
    root = layouts.unlabelled(tmp_path / "photos", ("b.JPG", "a.png", "0002_c001_1.jpg"))
    data = open_dataset(root)
    assert (data.name, data.layout, data.protocol, data.is_labelled) == ("photos", "unlabelled", "unlabelled", False)
    assert names(data.test) == ["0002_c001_1.jpg", "a.png", "b.JPG"] and not (data.train or data.query)
    assert all((image.vehicle_id, image.camera_id, dict(image.attributes)) == (None, None, {}) for image in data.test)
    assert "3 images in 1 folder, no vehicle labels" in data.summary() and "vehicles" not in data.summary()


def test_names_are_paths_from_the_folder_and_the_folder_an_attribute(tmp_path):
    data = open_dataset(layouts.unlabelled(tmp_path, ("x.jpg", "night/x.jpg", "night/gate 2/x.jpg")))
    assert names(data.test) == ["night/gate 2/x.jpg", "night/x.jpg", "x.jpg"]
    assert [image.attributes["folder"] for image in data.test] == ["night/gate 2", "night", "."]
    assert "3 images in 3 folders" in data.summary()


def test_what_systems_add_is_left_out_and_counted(tmp_path):
    left_out = (".DS_Store.jpg", "__MACOSX/x.jpg", "thumbs/x.jpg", "a/.hidden/x.jpg", "a/Thumbs.db")
    root = layouts.unlabelled(tmp_path, ("x.jpg", "a/x.jpg", *left_out[:-1]))
    write(root / left_out[-1], ["cache"])
    write(root / "a/list.txt", ["x"])
    data = open_dataset(root)
    assert names(data.test) == ["a/x.jpg", "x.jpg"]
    assert {skipped.reason: skipped.count for skipped in data.skipped} == {folder.HIDDEN: 5, folder.OTHER: 1}
    assert "5 skipped: hidden or made by the system" in data.summary()


def test_links_are_followed_once(tmp_path):
    """A loop, a link to a folder that is there anyway, one to a folder elsewhere, and links that lead nowhere."""
    jpeg(tmp_path / "elsewhere/far.jpg")
    root = layouts.unlabelled(tmp_path / "photos", ("x.jpg", "z/near.jpg"))
    for link, target in (("loop", root), ("a", root / "z"), ("far", tmp_path / "elsewhere"), ("none.jpg", "gone")):
        os.symlink(target, root / link)
    os.symlink("self.jpg", root / "self.jpg")
    data = open_dataset(root)
    assert names(data.test) == ["far/far.jpg", "x.jpg", "z/near.jpg"]
    assert {skipped.reason: skipped.count for skipped in data.skipped} == {folder.LOOP: 2, folder.NO_FILE: 2}


def test_a_labelled_layout_goes_first(tmp_path):
    assert open_dataset(layouts.veri(tmp_path / "VeRi")).is_labelled
    assert open_dataset(layouts.csv_manifest(tmp_path / "csv")).is_labelled


def test_folders_without_images(tmp_path):
    fails_to_open(tmp_path, "holds no image: found no file", "JPEG, PNG")
    for name in ("a.mp4", "more/b.MP4", "c.pdf", ".hidden"):
        write(tmp_path / name, ["x"])
    fails_to_open(tmp_path, str(tmp_path), "2 .mp4 and 1 .pdf files in 2 folders", "open a folder of JPEG")


def test_a_folder_of_more_files_than_anyone_means(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "MOST_ENTRIES", 2)
    fails_to_open(layouts.unlabelled(tmp_path, ("a/x.jpg", "b/x.jpg")), "more than 2 files", "alone")


def test_what_needs_labels_says_how_to_give_them(tmp_path):
    data = open_dataset(layouts.unlabelled(tmp_path, ("x.jpg",)))
    with pytest.raises(
        DataError, match=r"and a score needs that; .*page Label, .*manifest\.csv .* a folder of its own\."
    ):
        data.check_labelled("a score")
