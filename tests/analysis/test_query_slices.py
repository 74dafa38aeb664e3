from dataclasses import replace

import numpy as np
import pytest
import torch

from ssrnet.analysis.attributes import day_or_night
from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.query_slices import FEW_VEHICLES, binned, by_attribute, by_sibling, has_sibling
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError, SettingsError
from ssrnet.retrieval.evaluation import query_scores, restrict
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.metric_intervals import METRICS, differences, estimates
from ssrnet.retrieval.query_filters import QueryFilter
from tests.analysis import toys


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return Comparison(toys.evaluation(toys.WORSE), toys.evaluation(toys.BETTER))


def by_title(slicing) -> dict[str, tuple]:
    """By title: queries, vehicles, and rank-1 of both."""
    return {
        one.title: (one.queries, one.vehicles, one.a["rank-1"].value, one.b["rank-1"].value) for one in slicing.slices
    }


def test_queries_by_an_attribute(comparison):
    types = by_attribute(comparison, "type")
    assert by_title(types) == {"bus": (1, 1, 1, 1), "car": (2, 1, 0.5, 0.5)}
    # qd has no type; qe, the only van, has no match and counts nowhere
    assert (types.by, types.unplaced) == ("type", 1) and "all matches" in types.rule
    car = types.slices[1]
    assert car.a["mAP"].value == pytest.approx(((1 + 2 / 4 + 3 / 7) / 3 + (1 / 3 + 2 / 6) / 2) / 2)
    assert car.b["mAP"].value == pytest.approx(((1 / 3 + 2 / 4 + 3 / 7) / 3 + (1 + 2 / 6) / 2) / 2)
    assert car.difference["mAP"].value == pytest.approx(car.b["mAP"].value - car.a["mAP"].value)
    assert car.pairs is None and car.few


def test_any_column_the_camera_included_and_values_in_groups(comparison):
    assert by_title(by_attribute(comparison, "camera_id")) == {"c1": (1, 1, 0, 1), "c9": (3, 3, 2 / 3, 1 / 3)}
    assert by_title(by_attribute(comparison, "light", group=day_or_night)) == {
        "day": (3, 3, 2 / 3, 1 / 3),
        "night": (1, 1, 0, 1),
    }


def test_numbers_by_stated_edges(comparison):
    slicing = by_attribute(comparison, "azimuth", edges=(0, 40, 190))
    assert by_title(slicing) == {"0 to 40": (1, 1, 0, 0), "40 to 190": (2, 2, 0.5, 1)}  # qd; qc at 40, qj at 190
    assert slicing.unplaced == 1  # qa at 355


def test_each_number_lies_in_the_slice_whose_lower_edge_it_reaches():
    codes, titles = binned(np.array([-1, 0, 0.5, 1, 2.5, 3, 3.1, np.nan]), (0, 1, 2.5, 3))
    assert titles == ["0 to 1", "1 to 2.5", "2.5 to 3"]
    assert codes.tolist() == [-1, 0, 0, 1, 2, 2, -1, -1]
    assert binned(np.array([26852103.0]), (26852102.5, 26852104))[1] == ["26852102.5 to 26852104"]
    for edges in ((), (1,), (1, 1), (2, 1)):
        with pytest.raises(SettingsError, match="the edges are .*; give two or more that increase"):
            binned(np.zeros(1), edges)


def many(attribute: str, values) -> Comparison:
    """Twenty vehicles with two queries each, of which the k-th has the k-th value; both models are the same."""
    query = [toys.image(f"q{i}", str(i // 2), "c1", **{attribute: value}) for i, value in enumerate(values)]
    gallery = [toys.image(f"g{i}", str(i), "c2") for i in range(20)]
    dataset = ReIDDataset("many", toys.DATASET.root, "CSV", "", (), query, gallery, "cross_camera")
    features = torch.cat([torch.arange(40) // 2 + 0.1, torch.arange(20)])[:, None]
    evaluation = toys.evaluation(FeatureSet(features, tuple(image.name for image in dataset.test), {"G": 1}), dataset)
    return Comparison(evaluation, evaluation)


def test_many_numbers_are_cut_at_their_quartiles():
    slicing = by_attribute(many("speed", map(str, range(40))), "speed")
    assert [one.title for one in slicing.slices] == ["0 to 9.75", "9.75 to 19.5", "19.5 to 29.25", "29.25 to 39"]
    assert [one.queries for one in slicing.slices] == [10] * 4 and slicing.unplaced == 0
    mostly_zero = ["0"] * 15 + [str(i) for i in range(25)]
    assert [one.title for one in by_attribute(many("speed", mostly_zero), "speed").slices][-1] == "14.25 to 24"


def test_many_values_that_are_no_numbers():
    with pytest.raises(
        DataError, match="time has 40 values among the queries, too many for one slice per value .at most 20."
    ):
        by_attribute(many("time", (f"day {i}" for i in range(40))), "time")


def test_siblings_in_the_gallery_count_and_not_the_vehicle_itself(comparison):
    assert has_sibling(toys_split()).tolist() == [True, True, False, False, False]
    assert by_title(by_sibling(comparison)) == {
        "sibling in the gallery": (2, 1, 0.5, 0.5),
        "no sibling in the gallery": (2, 2, 0.5, 0.5),
    }
    without_b = replace(toys_split(), gallery=tuple(g for g in toys.GALLERY if g.vehicle_id != "B"))
    assert not has_sibling(without_b).any()


def toys_split():
    return toys.evaluation(toys.WORSE).split


def test_intervals_are_those_over_vehicles_from_the_same_draws():
    """Forty vehicles; at night, and only then, b's features are those that tell them apart."""
    generator = np.random.default_rng(0)
    lights = ["none", "led"] * 40
    query = [toys.image(f"q{i}", str(i // 2), "c1", light=light) for i, light in enumerate(lights)]
    gallery = [toys.image(f"g{i}", str(i), "c2") for i in range(40)]
    dataset = ReIDDataset("night", toys.DATASET.root, "CSV", "", (), query, gallery, "cross_camera")
    names = tuple(image.name for image in dataset.test)
    truth = np.concatenate([np.arange(40).repeat(2), np.arange(40)]).astype(float)
    noise = generator.normal(0, 3, 120) * (np.arange(120) < 80)
    night = np.array(["led" in (light,) for light in lights] + [False] * 40)
    worse, better = truth + noise, np.where(night, truth, truth + noise)
    a, b = (
        toys.evaluation(FeatureSet(torch.tensor(x)[:, None].float(), names, {"G": 1}), dataset) for x in (worse, better)
    )
    day, dark = by_attribute(Comparison(a, b), "light", group=day_or_night).slices
    assert (day.title, day.vehicles, dark.title, dark.vehicles) == ("day", 40, "night", 40)
    assert not day.few and FEW_VEHICLES == 20
    assert day.difference["mAP"].low == day.difference["mAP"].high == 0
    assert 0 < dark.difference["mAP"].low < dark.difference["mAP"].value < dark.difference["mAP"].high
    a, b = ([query_scores(restrict(one, QueryFilter("light", ("led",))))] for one in (a, b))
    assert (dark.a, dark.b, dark.difference) == (estimates(a), estimates(b), differences(a, b))


def test_rows_for_a_table(comparison):
    rows = by_attribute(comparison, "type").rows()
    assert [row["slice"] for row in rows] == ["bus", "car"]
    assert rows[0] | {"by": "type", "queries": 1, "vehicles": 1, "few_vehicles": True, "pairs": None} == rows[0]
    assert rows[0]["rank-1_a"] == 1 and rows[0]["mAP_delta_low"] == 0
    assert list(by_attribute(comparison, "type").rows(METRICS)[0])[-1] == "mINP_delta_high"


def test_what_the_data_does_not_say(comparison):
    with pytest.raises(DataError, match="no image has the attribute wheels"):
        by_attribute(comparison, "wheels")
    with pytest.raises(DataError, match="no image has the attribute group"):
        by_sibling(comparison, "group")
    with pytest.raises(DataError, match="type of qa is 'car', which is not a number"):
        by_attribute(comparison, "type", edges=(0, 1))
