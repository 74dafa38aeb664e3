from pathlib import Path

import pytest

from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError, SettingsError
from ssrnet.retrieval.query_filters import QueryFilter, parse_slices

ATTRIBUTES = [
    {"type": "car", "group": "1", "light": "none"},
    {"type": "bus", "group": "2", "light": "led"},
    {"type": "car", "light": "none"},
    {"type": "truck", "light": "led"},
]
IMAGES = [VehicleImage(Path(f"{i}.jpg"), f"{i}.jpg", str(i), "c1", own) for i, own in enumerate(ATTRIBUTES)]
TOYS = ReIDDataset("toys", Path("toys"), "CSV", "", (), IMAGES[:3], IMAGES, "cross_camera")


@pytest.mark.parametrize(
    ("text", "rows", "title"),
    [
        ("group", [0, 1], "with group"),
        ("group=none", [2, 3], "without group"),
        ("group=2", [1], "group 2"),
        ("type=bus,truck", [1, 3], "type bus, truck"),
        ("light=none", [0, 2], "light none"),  # a value of its own there
        ("light", [0, 1, 2, 3], "with light"),
    ],
)
def test_which_queries_count(text, rows, title):
    queries = QueryFilter.parse(text, TOYS)
    assert queries.rows(IMAGES) == rows and queries.required_rows(IMAGES) == rows
    assert (str(queries), queries.title) == (text, title)


@pytest.mark.parametrize("text", ["", "=car", "type=", "="])
def test_text_of_another_form(text):
    with pytest.raises(SettingsError, match=f"^--queries is '{text}'; write an attribute alone, as sibling_group"):
        QueryFilter.parse(text, TOYS)
    with pytest.raises(SettingsError, match="^--slices is"):
        parse_slices(text, TOYS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wheels", "no test image of toys has the attribute wheels; they have group, light, type."),
        ("wheels=none", "no test image of toys has the attribute wheels"),
        ("type=van,car,tram", "no test image of toys has type tram, van; it has bus, car, truck."),
        ("type=none", "every test image of toys has the attribute type; none is without."),
    ],
)
def test_an_unknown_attribute_or_value(text, message):
    with pytest.raises(DataError, match=message):
        QueryFilter.parse(text, TOYS)


def test_no_query_left():
    with pytest.raises(DataError, match="^type=truck leaves none of the 3 queries; choose other queries, or a"):
        QueryFilter.parse("type=truck", TOYS).required_rows(IMAGES[:3])


def test_slices_of_an_attribute():
    assert [str(one) for one in parse_slices("group", TOYS)] == ["group", "group=none"]
    assert [str(one) for one in parse_slices("type", TOYS)] == ["type=bus", "type=car", "type=truck"]
    assert [str(one) for one in parse_slices("type=bus,car", TOYS)] == ["type=bus,car"]
    assert [one.title for one in parse_slices("group=none", TOYS)] == ["without group"]


def test_slices_of_an_attribute_with_many_values():
    images = [VehicleImage(Path("x"), f"{i}", "1", attributes={"track": f"{i:02d}"}) for i in range(21)]
    many = ReIDDataset("many", Path("many"), "CSV", "", (), (), images, "single_gallery_shot")
    with pytest.raises(DataError, match="track has 21 values in many, .* name some, as --slices track=00,01"):
        parse_slices("track", many)
