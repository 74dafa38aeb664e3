"""The sidebar: what it says of the two checkpoints, and the query's picture."""

import re

import pytest

from ssrnet.training.checkpoint import save_checkpoint
from tests import tiny
from tests.app.conftest import html, whole
from tests.data import layouts


@pytest.fixture
def another_baseline(tmp_path) -> str:
    network = tiny.network(seed=7, **tiny.BASELINE)
    path = tmp_path / "another.safetensors"
    save_checkpoint(path, network, tiny.info(network))
    return str(path)


def said(test) -> list[str]:
    return [each.value for each in test.sidebar.warning]


def test_two_kinds_of_network_in_their_places_need_no_word(open_city):
    assert said(open_city("quiz")) == []


def test_one_file_in_both_fields_is_noticed_and_the_groups_bear_its_title(open_city, checkpoints):
    test = open_city("retrieval", ssrnet=checkpoints["baseline"])
    assert said(test)[0].startswith("Both fields name the same Baseline (GB) file, so no page shows a difference;")
    groups = next(each.options for each in test.get("button_group") if each.key == "outcome")
    assert groups[1:3] == ["Second fixes (0)", "Second breaks (0)"]


def test_two_of_one_kind_are_noticed(open_city, another_baseline):
    (sentence,) = said(open_city("quiz", ssrnet=another_baseline))
    assert sentence.startswith("Both checkpoints are Baseline (GB) networks, so what differs is their training;")


def test_swapped_fields_are_noticed(open_page, city, checkpoints):
    swapped = {"baseline": checkpoints["ssrnet"], "ssrnet": checkpoints["baseline"]}
    test = whole(open_page("retrieval", data=str(city), **swapped))
    assert "SSR-Net (GB+AB+RB) stands as the baseline, and Baseline (GB) in SSR-Net's place" in said(test)[0]
    groups = next(each.options for each in test.get("button_group") if each.key == "outcome")
    assert groups[1].startswith("Baseline fixes (") and groups[2].startswith("Baseline breaks (")


def test_the_query_is_a_small_picture_with_words(open_city):
    test = open_city("quiz", query="0006_c001_00000000_0.jpg")
    (picture,) = re.findall(r'<figure class="query-photo"><img src="data:image/jpeg[^"]*" alt="([^"]*)">', html(test))
    assert picture == "Query: 0006_c001_00000000_0.jpg"


def test_labels_that_mislead_are_said_once_and_rule_out_the_protocol(open_page, checkpoints, tmp_path, monkeypatch):
    """One camera alone, vehicle v2 in both splits, and v3 written in two ways."""
    from app.workbench import OpenedModel

    monkeypatch.setattr(OpenedModel, "stored_features", lambda *a: None)
    rows = ["a/1.jpg,v2,train", "b/3.jpg,v2,query", "b/4.jpg,v2,gallery", "a/2.jpg,v3,query", "b/5.jpg,v03,gallery"]
    lines = ["image,vehicle_id,split,camera_id", *(f"{row},c1" for row in rows)]
    test = open_page("start", data=str(layouts.csv_manifest(tmp_path, lines)), **checkpoints)
    assert not test.exception
    spelt, shared = said(test)
    assert spelt.startswith(
        "One vehicle may be written in several ways (v03 and v3). Here they count as different vehicles"
    )
    assert shared.startswith("1 of the 3 test vehicles are in this data set's training split too: scores of a model")
    usable, unusable = test.sidebar.radio(key="protocol"), test.sidebar.radio(key="unusable_protocols")
    assert usable.value == "single_gallery_shot" and unusable.disabled
    assert list(unusable.proto.captions)[0] == (
        f"all test images of {tmp_path.name} are by one camera (c1), so every match is junk."
    )
