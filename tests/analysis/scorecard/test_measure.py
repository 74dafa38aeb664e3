import dataclasses

import numpy as np
import pytest
import torch

from ssrnet.analysis.scorecard import measure as module
from ssrnet.analysis.scorecard.measure import ScorecardTask, score_protocol
from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.retrieval.alignment import AlignmentSettings
from ssrnet.retrieval.evaluated_models import ModelFeatures
from ssrnet.retrieval.evaluation import evaluate, over_seeds, query_scores, restrict, with_seeds
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.metric_intervals import differences, estimates
from ssrnet.retrieval.query_filters import QueryFilter

MADE_BY = {"model": "toys", "branches": []}
CARS, BUSES = QueryFilter("vehicle_type", ("car",)), QueryFilter("vehicle_type", ("bus",))


@pytest.fixture(scope="module")
def dataset(city):
    return open_dataset(city)


@pytest.fixture(scope="module")
def models(dataset):
    names = tuple(image.name for image in dataset.test)
    generator = torch.Generator().manual_seed(0)

    def features(**dims):
        return FeatureSet(torch.randn(12, sum(dims.values()), generator=generator), names, dims)

    branches = {"small": {"G": 4}, "large": {"G": 4, "attn": 3, "token": 2}}
    return [ModelFeatures(title, features(**dims), MADE_BY) for title, dims in branches.items()]


DIFFERENCE = [("small", "large")]


@pytest.mark.parametrize("name", ["cross_camera", "single_gallery_shot", "multi_gallery_shot"])
def test_rows_are_the_evaluations_of_models_and_branches(dataset, models, name):
    seeds = with_seeds(name, 3, 2)
    result, left_out = score_protocol(ScorecardTask(dataset, models, {}, DIFFERENCE, distance="euclidean"), seeds)
    assert result.protocol == name and not left_out
    assert result.seeds == (() if name == "cross_camera" else (0, 1, 2))
    (whole,) = result.slices
    assert [(row.model, row.branches) for row in whole.rows] == [
        ("small", ()),
        ("large", ()),
        ("large", ("G",)),
        ("large", ("attn",)),
        ("large", ("token",)),
    ]
    evaluations = {}
    for row in whole.rows:
        features = next(one for one in models if one.title == row.model).features.only(row.branches)
        made_by = MADE_BY | {"branches": list(row.branches)}
        expected = [evaluate(features, dataset, seed, made_by=made_by, distance="euclidean") for seed in seeds]
        evaluations[row.model, row.branches] = [query_scores(one) for one in expected]
        assert row.record == dataclasses.asdict(expected[0].record)
        assert row.metrics == estimates(evaluations[row.model, row.branches])
        spread = over_seeds([one.metrics for one in expected])
        assert row.metrics["rank-5"].value == pytest.approx(spread.mean.rank(5))
        assert row.metrics["mINP"].value == pytest.approx(spread.mean.mINP)
        assert row.metrics["mAP"].deviation == (None if len(expected) == 1 else pytest.approx(spread.deviation.mAP))
        assert whole.queries == tuple(one.metrics.queries for one in expected)
    assert whole.differences == (differences(evaluations["small", ()], evaluations["large", ()]),)
    assert (whole.title, whole.asked_as, whole.vehicles, set(whole.excluded)) == ("all", "", 4, {0})


def test_slices_come_from_the_same_rankings(dataset, models, monkeypatch):
    calls = []

    def counted(*arguments, **named):
        calls.append(arguments)
        return evaluate(*arguments, **named)

    monkeypatch.setattr(module, "evaluate", counted)
    seeds = with_seeds("single_gallery_shot", 2, 6)
    others = QueryFilter("vehicle_type", ("truck", "motorcycle"))
    slices = {"vehicle_type": [CARS, others], "vehicle_type=bus": [BUSES]}
    result, left_out = score_protocol(ScorecardTask(dataset, models, slices, DIFFERENCE), seeds)
    assert len(calls) == 5 * 2  # rows by seeds
    whole, cars, rest = result.slices
    assert [(one.title, one.asked_as) for one in result.slices] == [
        ("all", ""),
        ("vehicle_type car", "vehicle_type"),
        ("vehicle_type truck, motorcycle", "vehicle_type"),
    ]
    assert cars.queries == rest.queries == (4, 4) and whole.queries == (8, 8) and cars.vehicles == 2
    assert [(left.protocol, left.queries) for left in left_out] == [("single_gallery_shot", "vehicle_type bus")]
    expected = [restrict(evaluate(models[0].features, dataset, seed, made_by=MADE_BY), CARS) for seed in seeds]
    assert cars.rows[0].metrics == estimates([query_scores(one) for one in expected])
    assert cars.rows[0].record["queries_kept"] == "vehicle_type=car" and cars.rows[0].record["gallery"] == 4
    for first, row in enumerate(whole.rows):  # as many queries in both: the whole is their mean
        parts = [one.rows[first].metrics["mAP"].value for one in (cars, rest)]
        assert row.metrics["mAP"].value == pytest.approx(np.mean(parts))


def test_a_slice_of_images_that_are_queries_under_some_seeds_only(dataset, models):
    one = dataset.test[4]  # an image of its own light; some seeds put it into the gallery
    images = tuple(
        dataclasses.replace(image, attributes={"light": "dim" if image.name == one.name else "sun"})
        for image in dataset.test
    )
    dataset = dataclasses.replace(dataset, query=(), gallery=images)
    seeds = with_seeds("single_gallery_shot", 6, 1)
    is_query = [any(image.name == one.name for image in seed.split(dataset).query) for seed in seeds]
    assert 0 < sum(is_query) < 6
    dim = QueryFilter("light", ("dim",))
    result, _ = score_protocol(ScorecardTask(dataset, models, {"light": [dim]}, DIFFERENCE), seeds)
    assert result.slices[1].queries == (1,) * sum(is_query) and result.slices[1].vehicles == 1
    assert result.slices[1].rows[0].record["seed"] == is_query.index(True)


def test_a_model_against_itself(dataset, models):
    result, _ = score_protocol(ScorecardTask(dataset, models, {}, [("large", "large")]), [Protocol()])
    assert {(e.value, e.low, e.high) for e in result.slices[0].differences[0].values()} == {(0, 0, 0)}


def test_queries_without_a_match_are_counted_apart(dataset, models):
    alone = dataset.query[0].vehicle_id
    gallery = tuple(image for image in dataset.gallery if image.vehicle_id != alone)
    dataset = dataclasses.replace(dataset, gallery=gallery)
    only = QueryFilter("vehicle_type", ("truck",))
    result, _ = score_protocol(ScorecardTask(dataset, models, {"x": [only]}, DIFFERENCE), [Protocol()])
    assert (result.slices[0].queries, result.slices[0].excluded, result.slices[0].vehicles) == ((3,), (1,), 3)


def test_models_aligned_by_camera_are_rows_of_their_own(dataset, models):
    alignment = AlignmentSettings(prior=2, min_images=1)
    aligned = [one.aligned(alignment) for one in models]
    pairs = [*DIFFERENCE, ("large", "large, aligned")]
    task = ScorecardTask(dataset, [*models, *aligned], {}, pairs)
    result, _ = score_protocol(task, [Protocol()])
    rows = {(row.model, row.branches): row for row in result.slices[0].rows}
    assert list(rows)[5:] == [("small, aligned", ()), *(("large, aligned", b) for b in models[1].branch_sets)]
    part = models[1].features.only(["token"])
    expected = evaluate(part, dataset, Protocol(), made_by=MADE_BY, alignment=alignment)
    row = rows["large, aligned", ("token",)]
    assert row.metrics == estimates([query_scores(expected)])
    assert row.record["camera_alignment"] == expected.record.camera_alignment != "none"
    whole = [evaluate(models[1].features, dataset, Protocol(), made_by=MADE_BY, alignment=a) for a in (None, alignment)]
    assert result.slices[0].differences[1] == differences(*([query_scores(one)] for one in whole))
