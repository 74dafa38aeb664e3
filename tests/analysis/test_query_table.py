import csv
from dataclasses import replace

import pytest

from ssrnet.analysis.csv_rows import csv_text, write_csv
from ssrnet.analysis.inspection import inspect
from ssrnet.analysis.query_table import query_rows
from ssrnet.errors import ProtocolError, ResourceError
from ssrnet.retrieval.evaluation import restrict
from ssrnet.retrieval.query_filters import QueryFilter
from tests.analysis import toys


def test_a_row_says_all_of_a_query():
    rows = {row["query"]: row for row in query_rows(*toys.inspections())}
    assert list(rows) == ["qa", "qj", "qc", "qe", "qd"]
    assert rows["qj"] == {
        "query": "qj",
        "vehicle": "A",
        "camera": "c1",
        "outcome": "fixed",
        "delta_ap": pytest.approx((1 + 2 / 6) / 2 - (1 / 3 + 2 / 6) / 2),
        "ap_a": pytest.approx((1 / 3 + 2 / 6) / 2),
        "first_hit_a": 3,
        "confused_with_a": "B",
        "confused_image_a": "b1",
        "images_before_a": 2,
        "causes_a": "sibling, same camera, same type, far viewpoint",
        "confused_with_sibling_a": True,
        "ap_b": pytest.approx((1 + 2 / 6) / 2),
        "first_hit_b": 1,
        "confused_with_b": None,
        "confused_image_b": None,
        "images_before_b": None,
        "causes_b": None,
        "confused_with_sibling_b": None,
        "has_sibling": True,
        "sibling_group": "1",
        "type": "car",
        "light": "led",
        "azimuth": "190",
    }
    assert [rows[name]["outcome"] for name in rows] == ["broken", "fixed", "both right", "no match", "both wrong"]
    assert (rows["qe"]["ap_a"], rows["qe"]["delta_ap"], rows["qe"]["first_hit_a"]) == (None, None, None)
    assert rows["qd"]["confused_with_sibling_b"] is False and rows["qd"]["type"] is None


def test_a_data_set_without_siblings_and_a_column_by_a_name_that_is_taken():
    cut = {"query": {"vehicle": "x", "outcome": "y"}, "gallery": {}}
    dataset = replace(
        toys.DATASET,
        **{split: [replace(i, attributes=cut[split]) for i in getattr(toys.DATASET, split)] for split in cut},
    )
    inspection = inspect(toys.WORSE, toys.evaluation(toys.WORSE, dataset))
    row = query_rows(inspection, inspection)[1]
    assert (row["vehicle"], row["query_vehicle"], row["outcome"], row["query_outcome"]) == ("A", "x", "both wrong", "y")
    assert not [column for column in row if "sibling" in column]


def test_two_protocols_are_refused():
    worse, _ = toys.inspections()
    part = inspect(toys.WORSE, restrict(worse.evaluation, QueryFilter("light", ("led",))))
    with pytest.raises(ProtocolError, match="evaluated with different images"):
        query_rows(worse, part)


def test_csv_is_what_it_was(tmp_path):
    rows = query_rows(*toys.inspections())
    write_csv(tmp_path / "folder/queries.csv", rows)
    with open(tmp_path / "folder/queries.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [list(row) for row in read] == [list(row) for row in rows]
    assert [row["query"] for row in read] == ["qa", "qj", "qc", "qe", "qd"]
    assert float(read[1]["delta_ap"]) == rows[1]["delta_ap"]
    assert (read[1]["confused_with_sibling_a"], read[1]["confused_with_b"], read[3]["ap_a"]) == ("1", "", "")


def test_csv_of_odd_rows(tmp_path):
    rows = [{"a": 'x, "y"', "b": float("nan")}, {"c": "ü →", "a": "\udcff.jpg"}, {}]
    assert csv_text(rows) == 'a,b,c\n"x, ""y""",,\n\udcff.jpg,,ü →\n,,\n'
    write_csv(tmp_path / "odd.csv", rows)
    assert (tmp_path / "odd.csv").read_bytes().splitlines()[2] == b"\xff.jpg,,\xc3\xbc \xe2\x86\x92"
    assert csv_text([]) == ""


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot write"):
        write_csv(tmp_path / "file/queries.csv", [{"a": 1}])
