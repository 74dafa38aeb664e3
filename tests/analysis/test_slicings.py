import dataclasses

from ssrnet.analysis.attributes import in_words
from ssrnet.analysis.slicings import slicing_rules
from ssrnet.data.protocols import Split
from tests.analysis import toys

SPLIT = Split(tuple(toys.QUERIES), tuple(toys.GALLERY), same_camera_is_junk=True)


def test_every_property_that_splits_queries_or_pairs_is_offered_and_nothing_else():
    """Among the queries there are two groups of siblings at most (A's alone), three types, two lights, two cameras."""
    assert list(slicing_rules(SPLIT)) == [
        "azimuth.difference",
        "azimuth.easiest",
        "day",
        "day.pair",
        "sibling",
        "camera_id.pair",
        "type",
        "camera_id",
        "light",
        "light.same",
        "azimuth",
        "azimuth.same",
    ]


def test_every_rule_gives_slices():
    a, b = toys.inspections()
    for name, rule in slicing_rules(SPLIT).items():
        slicing = rule.make(a, b)
        assert slicing.slices, name
        assert rule.of_queries == (slicing.rule == "all matches of a query count"), name
    by_day = {one.title: one.queries for one in slicing_rules(SPLIT)["day"].make(a, b).slices}
    assert by_day == {"day": 3, "night": 1}, "qe has no match"
    assert slicing_rules(SPLIT)["camera_id.pair"].title == "camera pair (query → match)"


def test_without_attributes_and_cameras_there_is_no_rule():
    bare = [dataclasses.replace(image, camera_id=None, attributes={}) for image in toys.QUERIES]
    assert slicing_rules(Split(tuple(bare), tuple(bare), same_camera_is_junk=False)) == {}


def test_too_many_words_are_no_slices_and_as_many_numbers_are():
    images = [toys.image(f"i{i}", str(i), None, plate=f"p{i}", width=str(i)) for i in range(30)]
    assert list(slicing_rules(Split(tuple(images), tuple(images), same_camera_is_junk=False))) == ["width"]


def test_words():
    assert in_words("camera_id") == "camera" and in_words("sibling_group") == "sibling group"


def test_numbers_of_tracks_and_frames_are_no_property():
    numbered = [
        dataclasses.replace(image, attributes={**image.attributes, "track": str(i % 3), "frame": str(i % 2)})
        for i, image in enumerate(SPLIT.query)
    ]
    split = dataclasses.replace(SPLIT, query=tuple(numbered))
    assert list(slicing_rules(split)) == list(slicing_rules(SPLIT))
