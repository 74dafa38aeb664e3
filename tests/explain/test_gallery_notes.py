"""Tags and views of a gallery map, written and read again."""

import json

import pytest

from ssrnet.errors import DataError
from ssrnet.explain.gallery_notes import GalleryNotes, View, read_notes

NAMES = ("a.jpg", "b.jpg", "c.jpg")
NOTES = (
    GalleryNotes("city", "12ab")
    .with_tag("odd", ["a.jpg"])
    .with_tag("odd", ["b.jpg", "a.jpg"])
    .with_tag("night", ["c.jpg"])
    .with_view("first", View("UMAP", None, "camera_id", "a.jpg", ("b.jpg", "c.jpg")))
)


def read(text):
    return read_notes(text, "notes.json", "city", "12ab", NAMES)


def test_what_is_written_is_read_again():
    assert read(NOTES.json()) == NOTES
    assert NOTES.tags == {"odd": ("a.jpg", "b.jpg"), "night": ("c.jpg",)}
    assert NOTES.with_tag("night", ["a.jpg"]).by_image() == {
        "a.jpg": ("odd", "night"),
        "b.jpg": ("odd",),
        "c.jpg": ("night",),
    }


def test_steps_leave_the_notes_before_as_they_were():
    fewer = NOTES.without_tag("odd")
    assert fewer.tags == {"night": ("c.jpg",)} and "odd" in NOTES.tags
    other = GalleryNotes("city", "12ab").with_tag("night", ["a.jpg"]).with_view("first", View("PCA", "G", "x", "a.jpg"))
    both = NOTES.joined(other)
    assert both.tags["night"] == ("c.jpg", "a.jpg") and both.views["first"].method == "PCA"


def changed(**changes):
    return json.dumps(json.loads(NOTES.json()) | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "notes.json is not JSON"),
        (b"\xff\xfe\x00", "notes.json is not JSON"),
        ("[]", "no tags of a gallery map"),
        (changed(format="other"), "no tags of a gallery map"),
        (changed(version=2), "version 2, and this page reads version 1"),
        (changed(dataset="VeRi", dataset_hash="ffff"), r"belongs to the data set VeRi \(ffff\).*shows city \(12ab\)"),
        (changed(tags=["odd"]), "damaged"),
        (changed(tags={"odd": "a.jpg"}), "damaged"),
        (changed(tags={"odd": [1]}), "1 is not a text"),
        (changed(views={"first": {"method": "PCA"}}), "damaged"),
        (changed(tags={"odd": ["z.jpg"]}), "names the image z.jpg, which city does not have"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text, message):
    with pytest.raises(DataError, match=message):
        read(text)
