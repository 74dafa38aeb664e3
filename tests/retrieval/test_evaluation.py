import dataclasses
import json
import math

import numpy as np
import pytest
import torch

import ssrnet
from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import JUNK_CAMERA, JUNK_NONE, Protocol
from ssrnet.errors import DataError, ProtocolError, SettingsError
from ssrnet.metrics import AP_DEFINITION, Metrics
from ssrnet.retrieval.evaluation import evaluate, over_seeds, query_scores, ranked, restrict, with_seeds
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.query_filters import QueryFilter, filter_test_images
from ssrnet.retrieval.ranking import rank
from ssrnet.retrieval.reranking import ReRankSettings
from tests import naive
from tests.data import layouts

MADE_BY = {"model": "toys", "image_size": 32}


@pytest.fixture(scope="module")
def dataset(city):
    return open_dataset(city)


@pytest.fixture(scope="module")
def features(dataset):
    torch.manual_seed(0)
    return FeatureSet(torch.randn(12, 4), tuple(image.name for image in dataset.test), {"G": 4})


def test_cross_camera_and_its_record(dataset, features):
    result = evaluate(features, dataset, Protocol(), made_by=MADE_BY)
    assert dataclasses.asdict(result.record) == {
        "dataset": dataset.name,
        "dataset_hash": dataset.content_hash(),
        "images": "all",
        "queries_kept": "all",
        "protocol": "cross_camera",
        "seed": None,
        "shots": None,
        "junk_rule": JUNK_CAMERA,
        "queries": 4,
        "gallery": 12,
        "excluded_vehicles": 0,
        "average_precision": AP_DEFINITION,
        "distance": "cosine",
        "re_ranking": "none",
        "features": MADE_BY,
        "version": ssrnet.__version__,
        "query_expansion": "none",
        "camera_alignment": "none",
        "damaged_images": 0,
        "layout": "VeRi",
    }
    assert json.loads(result.record.json()) == dataclasses.asdict(result.record)
    assert result.metrics == result.ranking.metrics and result.metrics.queries == 4
    for q, query in enumerate(result.split.query):  # a query's own image is in the gallery, and junk
        junk = [hit.index for hit in result.ranking.hits(q) if hit.rank is None]
        assert [result.split.gallery[g].name for g in junk] == [query.name]


def test_shot_protocols_record_seed_and_shots(dataset, features):
    single = evaluate(features, dataset, Protocol("single_gallery_shot", seed=3), made_by=MADE_BY).record
    assert (single.seed, single.shots, single.junk_rule, single.queries, single.gallery) == (3, 1, JUNK_NONE, 8, 4)
    protocol = Protocol("multi_gallery_shot", seed=1, n=2)
    multi = evaluate(features, dataset, protocol, made_by={}, distance="euclidean", images="x").record
    assert (multi.seed, multi.shots, multi.queries, multi.gallery) == (1, 2, 4, 8)
    assert (multi.distance, multi.images) == ("euclidean", "x")


def test_it_is_the_ranking_of_the_splits_rows(dataset, features):
    for distance in ("cosine", "euclidean"):
        result = evaluate(features, dataset, Protocol(), made_by={}, distance=distance, top_k=5)
        split = result.split
        expected = rank(features.rows(split.query), features.rows(split.gallery), split, distance, 5)
        assert np.array_equal(result.ranking.order, expected.order) and result.ranking.top_k == 5


def test_top_k_is_cut_to_the_gallery(dataset, features):
    assert evaluate(features, dataset, Protocol(), made_by={}, top_k=20).ranking.top_k == 12


def test_re_ranking_changes_the_distances_and_the_record(dataset, features):
    settings = ReRankSettings(k1=4, k2=2)
    result = evaluate(features, dataset, Protocol(), made_by={}, re_rank=settings, distance="euclidean")
    split = result.split
    x = torch.cat([features.rows(split.query), features.rows(split.gallery)]).numpy()
    expected = naive.k_reciprocal(x, 4, 4, 2, 0.3)
    for q in range(4):
        hits = result.ranking.hits(q)
        assert [h.distance for h in hits] == pytest.approx([expected[q, h.index] for h in hits], abs=1e-5)
    assert result.record.re_ranking == "k-reciprocal {'k1': 4, 'k2': 2, 'weight': 0.3}"
    assert result.record.distance == "cosine"  # whatever was asked for, re-ranking starts from cosines


@pytest.mark.parametrize("re_rank", [None, ReRankSettings(k1=4, k2=2)])
def test_features_that_are_no_numbers_are_refused(dataset, features, re_rank):
    broken = dataclasses.replace(features, features=features.features.clone())
    broken.features[3, 1] = math.nan
    with pytest.raises(DataError, match="features hold NaN or infinity"):
        evaluate(broken, dataset, Protocol(), made_by={}, re_rank=re_rank)


def test_features_of_another_data_set(dataset, features):
    other = FeatureSet(features.features[:5], features.names[:5], {"G": 4})
    with pytest.raises(DataError, match="no features for .* images"):
        evaluate(other, dataset, Protocol(), made_by={})


def test_a_protocol_that_the_data_cannot_serve(dataset, features):
    with pytest.raises(ProtocolError, match="multi_gallery_shot cannot be used here: .* more than 3"):
        evaluate(features, dataset, Protocol("multi_gallery_shot"), made_by={})


def test_some_queries_of_a_ranking_leave_the_gallery_whole(dataset, features):
    for protocol in (Protocol(), Protocol("single_gallery_shot", seed=2)):
        whole = evaluate(features, dataset, protocol, made_by=MADE_BY, top_k=3)
        cars = restrict(whole, QueryFilter("vehicle_type", ("car",)))
        rows = [i for i, image in enumerate(whole.split.query) if image.attributes["vehicle_type"] == "car"]
        assert 0 < len(rows) < len(whole.split.query)
        assert cars.split == dataclasses.replace(whole.split, query=tuple(whole.split.query[i] for i in rows))
        assert cars.record == dataclasses.replace(whole.record, queries_kept="vehicle_type=car", queries=len(rows))
        assert [cars.ranking.hits(q) for q in range(len(rows))] == [whole.ranking.hits(i) for i in rows]
        assert cars.metrics.mAP == pytest.approx(whole.ranking.average_precision[rows].mean())
        expected = rank(features.rows(cars.split.query), features.rows(whole.split.gallery), cars.split, top_k=3)
        assert cars.metrics == expected.metrics
        assert set(query_scores(cars).vehicles) == {image.vehicle_id for image in cars.split.query}


def test_no_query_of_a_kind(dataset, features):
    with pytest.raises(DataError, match="vehicle_type=bus leaves none of the 4 queries"):
        restrict(evaluate(features, dataset, Protocol(), made_by={}), QueryFilter("vehicle_type", ("bus",)))


def test_the_data_sets_hash_may_be_given(dataset, features):
    assert evaluate(features, dataset, Protocol(), made_by={}, dataset_hash="abc").record.dataset_hash == "abc"


def test_seeds_of_a_protocol():
    assert with_seeds("cross_camera", 10, 6) == [Protocol("cross_camera", n=6)]
    assert with_seeds("multi_gallery_shot", 2, 3) == [Protocol("multi_gallery_shot", seed, 3) for seed in (0, 1)]


def test_filtering_changes_the_test_images_alone(dataset):
    cars = filter_test_images(dataset, "vehicle_type", ["car"])
    assert {image.attributes["vehicle_type"] for image in cars.test} == {"car"}
    assert (len(cars.query), len(cars.gallery), cars.train) == (2, 6, dataset.train)
    assert cars.content_hash() != dataset.content_hash()
    both = filter_test_images(dataset, "vehicle_type", ["car", "truck"])
    assert (len(both.query), len(both.gallery)) == (3, 9)
    with pytest.raises(DataError, match="no test image of .* has the attribute colour"):
        filter_test_images(dataset, "colour", ["red"])


def metrics(mAP: float, mINP: float, *cmc: float) -> Metrics:
    return Metrics(mAP, mINP, cmc, 8, 1)


def test_mean_and_spread_over_seeds():
    spread = over_seeds([metrics(0.2, 0.1, 0.1, 0.5), metrics(0.4, 0.1, 0.3, 0.5), metrics(0.9, 0.1, 0.2, 0.5)])
    assert spread.mean.mAP == pytest.approx(0.5) and spread.mean.mINP == pytest.approx(0.1)
    assert spread.mean.cmc == pytest.approx((0.2, 0.5))
    assert spread.deviation.mAP == pytest.approx(math.sqrt((0.09 + 0.01 + 0.16) / 2))  # n - 1
    assert spread.deviation.mINP == pytest.approx(0) and spread.deviation.cmc == pytest.approx((0.1, 0))
    assert (spread.mean.queries, spread.mean.excluded) == (8, 1)


def test_one_seed_has_no_spread():
    spread = over_seeds([metrics(0.2, 0.1, 0.1, 0.5)])
    assert spread.mean == metrics(0.2, 0.1, 0.1, 0.5) and spread.deviation == metrics(0, 0, 0, 0)


def test_over_the_seeds_of_the_protocol(dataset, features):
    protocols = [Protocol("single_gallery_shot", seed=seed) for seed in range(10)]
    results = [evaluate(features, dataset, protocol, made_by={}).metrics for protocol in protocols]
    mAPs = [result.mAP for result in results]
    assert len(set(mAPs)) > 1
    spread = over_seeds(results)
    assert (spread.mean.mAP, spread.deviation.mAP) == pytest.approx((np.mean(mAPs), np.std(mAPs, ddof=1)))


def test_k_out_of_range(dataset, features):
    with pytest.raises(SettingsError, match="K is 0"):
        evaluate(features, dataset, Protocol(), made_by={}, top_k=0)


def test_images_without_labels_are_ranked_and_get_no_score(tmp_path):
    dataset = open_dataset(layouts.unlabelled(tmp_path))
    features = FeatureSet(torch.eye(3) + 0.1, tuple(image.name for image in dataset.test), {"G": 3})
    with pytest.raises(DataError, match="which images show the same vehicle, and a score needs that"):
        evaluate(features, dataset, Protocol("unlabelled"), made_by={})
    ranking = ranked(features, Protocol("unlabelled").split(dataset))
    assert [[hit.index for hit in ranking.hits(q) if hit.rank] for q in range(3)] == [[1, 2], [0, 2], [0, 1]]
