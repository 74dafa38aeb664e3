import copy
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.data.records import Skipped, VehicleImage
from ssrnet.errors import DataError
from tests.data import layouts
from tests.data.layouts import dataset, records


def test_a_split_names_an_image_once():
    with pytest.raises(DataError, match="the gallery split names a_0.jpg twice; .*rename or remove one"):
        dataset(gallery=[*records({"a": 2}), *records({"a": 1})])
    dataset(query=records({"a": 1}), gallery=records({"a": 1}))


def test_content_hash_follows_labels_sizes_and_splits(tmp_path):
    data = open_dataset(layouts.veri(tmp_path))
    before = data.content_hash()
    assert len(before) == 16 and int(before, 16) >= 0
    first, *rest = data.train
    assert replace(data, train=[replace(first, vehicle_id="0009"), *rest]).content_hash() != before
    assert replace(data, train=[replace(first, camera_id="c009"), *rest]).content_hash() != before
    assert replace(data, train=rest).content_hash() != before
    assert replace(data, query=data.train, train=data.query).content_hash() != before
    assert replace(data, train=[*rest, first], name="other").content_hash() == before
    with first.path.open("ab") as file:
        file.write(b"\0")
    longer = data.content_hash()
    first.path.unlink()
    assert len({before, longer, data.content_hash()}) == 3


def test_content_hash_takes_file_names_that_are_not_utf8():
    name = os.fsdecode(b"caf\xe9.jpg")
    assert dataset(train=[VehicleImage(Path("/nowhere") / name, name, "1")]).content_hash()


def test_attributes_are_a_copy_that_survives_copying():
    source = {"color": "red"}
    image = VehicleImage(Path("a.jpg"), "a.jpg", "1", attributes=source)
    source["color"] = "blue"
    assert dict(image.attributes) == {"color": "red"}
    assert copy.deepcopy(image) == image and hash(copy.deepcopy(image)) == hash(image)


def test_summary_counts_and_tells_what_was_left_out():
    data = dataset(train=records({"a": 2, "b": 1}), gallery=records({"c": 1}, camera=None))
    data = replace(data, skipped=[Skipped("not an image file", 1234, "Thumbs.db")], notes=["No lists."])
    title, train, query, gallery, skipped, note = data.summary().split("\n")
    assert title == "toys (CSV: made by a test)"
    assert train.split() == ["train", "3", "images", "2", "vehicles", "1", "cameras"]
    assert query.split()[1] == "0" and gallery.split()[-2:] == ["0", "cameras"]
    assert skipped.strip() == "1,234 skipped: not an image file (for example Thumbs.db)" and note == "  No lists."
