import pickle
import shutil

import pytest

from ssrnet.data.datasets import available_subsets, open_dataset, open_training_data
from ssrnet.errors import DataError
from tests.data import layouts
from tests.data.layouts import fails_to_open


def test_missing_folder(tmp_path):
    fails_to_open(tmp_path / "VeRi", str(tmp_path / "VeRi"), "does not exist", "give the path")


def test_file_that_is_no_csv(tmp_path):
    fails_to_open(
        layouts.jpeg(tmp_path / "car.jpg"), "car.jpg is a file but neither a CSV nor a zip file", ".csv or .zip"
    )


def test_folder_around_the_data_set(tmp_path):
    inner = layouts.veri(tmp_path / "VeRi")
    layouts.jpeg(tmp_path / "cover.jpg")
    fails_to_open(
        tmp_path, f"{inner} in it is one: found 11 .jpg files in 4 folders", f"open {inner} instead", "unlabelled"
    )


def test_subset_of_a_layout_without_subsets(tmp_path):
    root = layouts.veri(tmp_path)
    assert available_subsets(root) == ()
    fails_to_open(root, str(root), "no list of 800 test vehicles", "open it without a subset", subset=800)


def test_folder_without_permission(tmp_path, monkeypatch):
    root = layouts.veri(tmp_path)

    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("os.scandir", refuse)
    fails_to_open(root, "image_train cannot be read (Permission denied)", "check the path and its permissions")


MAKERS = [
    layouts.veri,
    layouts.vehicleid,
    layouts.veri_wild,
    layouts.market,
    layouts.csv_manifest,
    layouts.cityflow,
    layouts.vric,
    layouts.vehicle_folders,
    layouts.unlabelled,
]


@pytest.mark.parametrize("make", MAKERS)
def test_every_layout_opens_by_text_path_hashes_and_pickles(tmp_path, make):
    data = open_dataset(str(make(tmp_path)))
    assert pickle.loads(pickle.dumps(data)) == data
    assert data.content_hash() == open_dataset(tmp_path).content_hash()
    assert data.name in data.summary() and ("train" in data.summary()) == data.is_labelled
    assert all(image.path.is_file() for image in (*data.train, *data.test))
    with pytest.raises(TypeError):
        data.gallery[0].attributes["color"] = "red"
    assert open_dataset(tmp_path, layout=data.layout.lower()).gallery == data.gallery


def test_a_named_layout_overrides_what_is_recognised(tmp_path):
    root = layouts.csv_manifest(tmp_path)
    data = open_dataset(root, layout="Folders")
    assert (data.layout, data.why) == ("Folders", "as you named it")
    assert layouts.names(data.gallery) == ["a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg", "b/5.jpg"]
    assert open_dataset(root).layout == "CSV"
    assert available_subsets(layouts.vehicleid(tmp_path / "two"), layout="vehicleid") == (2, 3)


def test_an_unknown_layout_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"'PKU' is no layout of a data set; name one of CityFlow, .*Folders, unlabelled\.$"
    ):
        open_dataset(layouts.veri(tmp_path), layout="PKU")


def test_the_manifest_is_read_where_a_recognised_layout_has_no_image(tmp_path):
    """Folders by VeRi's names, whose images have names of their own."""
    images = {"image_train": ["car.jpg", "van.jpg"], "image_test": ["bus.jpg"]}
    root = layouts.folders(tmp_path, images)
    rows = ["image,vehicle_id,split", "image_train/car.jpg,v1,train", "image_test/bus.jpg,v2,test"]
    layouts.write(root / "manifest.csv", rows)
    data = open_dataset(root)
    assert (data.layout, data.why) == ("CSV", "it holds manifest.csv")
    assert layouts.names(data.train) == ["image_train/car.jpg"]
    assert data.notes[0].startswith(
        "Read from manifest.csv, since as VeRi (it holds image_train, image_test) it has no"
    )
    assert "2 skipped: no vehicle and camera in the name, in image_train (for example car.jpg)" in data.notes[0]
    (root / "manifest.csv").write_text("image,color\na,b\n")
    fails_to_open(root, "neither training nor test images", "its manifest.csv does not help", "lacks the columns")


def test_the_manifest_is_read_where_a_list_names_no_image(tmp_path):
    root = layouts.vehicleid(tmp_path)
    for name in ("train_list", "test_list_2"):
        layouts.write(root / f"train_test_split/{name}.txt", ["0000090 1"])
    layouts.write(root / "manifest.csv", ["image,vehicle_id,split", "image/0000001.jpg,v1,test"])
    data = open_dataset(root)
    assert data.layout == "CSV" and layouts.names(data.gallery) == ["image/0000001.jpg"]
    assert "as VehicleID" in data.notes[0] and "not one of the 1 images of the train split was found" in data.notes[0]


def test_training_images_of_several_data_sets_stay_apart(tmp_path):
    """The same names, vehicles and cameras in two folders are others in each."""
    first, second = layouts.veri(tmp_path / "a"), layouts.veri(tmp_path / "b")
    alone, both = open_dataset(first), open_training_data(first, more=[second, second])
    count = len(alone.train)
    assert both.train[:count] == alone.train and len(both.train) == 3 * count
    assert [image.path.parent.parent.name for image in both.train[::count]] == ["a", "b", "b"]
    for name in ("name", "vehicle_id", "camera_id"):
        values = [{getattr(image, name) for image in both.train[k * count : (k + 1) * count]} for k in range(3)]
        assert not values[0] & values[1] and not values[1] & values[2]
        assert values[1] == {f"2/{value}" for value in values[0]}
    assert (both.query, both.gallery, both.protocol) == (alone.query, alone.gallery, alone.protocol)
    assert both.name == f"{alone.name} + b + b" and both.content_hash() != alone.content_hash()
    assert open_training_data(first) == alone


def test_training_needs_labels(tmp_path):
    first, second = layouts.veri(tmp_path / "a"), layouts.unlabelled(tmp_path / "b")
    with pytest.raises(DataError, match="b does not say which images show the same vehicle, and training needs that"):
        open_training_data(second)
    with pytest.raises(DataError, match="b has no training images to add"):
        open_training_data(first, more=[second])


def test_further_data_without_training_images(tmp_path):
    first, second = layouts.veri(tmp_path / "a"), layouts.veri(tmp_path / "b")
    shutil.rmtree(second / "image_train")
    with pytest.raises(DataError, match="b has no training images to add; leave it out of --more-data"):
        open_training_data(first, more=[second])
