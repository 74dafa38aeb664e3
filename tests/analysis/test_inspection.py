import numpy as np
import pytest
import torch

from ssrnet.analysis.inspection import inspect
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError
from ssrnet.retrieval import ranking
from ssrnet.retrieval.evaluation import evaluate, restrict
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.query_filters import QueryFilter
from ssrnet.retrieval.reranking import ReRankSettings
from tests.analysis import toys


def pairs(inspection) -> dict[tuple[str, str], int]:
    split = inspection.evaluation.split
    rows = zip(inspection.query, inspection.gallery, inspection.wrong_before, strict=True)
    return {(split.query[q].name, split.gallery[g].name): int(n) for q, g, n in rows}


def test_each_match_stands_where_it_was_counted_by_hand():
    worse, better = toys.inspections()
    assert pairs(worse) == {
        ("qa", "a1"): 0,
        ("qa", "a2"): 2,
        ("qa", "a3"): 4,
        ("qj", "a2"): 2,
        ("qj", "a3"): 4,
        ("qc", "c1"): 0,
        ("qc", "c2"): 0,
        ("qd", "d1"): 7,
    }
    assert pairs(better) == pairs(worse) | {("qa", "a1"): 2, ("qj", "a2"): 0}
    assert worse.query.tolist() == better.query.tolist() == [0, 0, 0, 1, 1, 2, 2, 4]


def test_who_is_nearest_of_the_wrong_and_how_many_images_of_it_stand_before():
    worse, better = toys.inspections()
    gallery = worse.evaluation.split.gallery
    assert [gallery[g].name for g in worse.nearest_wrong] == ["b1", "b1", "a2", "a1", "a3"]
    assert worse.images_before.tolist() == [0, 2, 0, 0, 3]  # none before a right first place; qe has no match
    assert [gallery[g].name for g in better.nearest_wrong] == ["b2", "c2", "a2", "a1", "a3"]
    assert better.images_before.tolist() == [2, 0, 0, 0, 3]


def random_data(seed: int) -> tuple[ReIDDataset, FeatureSet]:
    """Small whole numbers, so that every distance is exact and many are equal."""
    generator = np.random.default_rng(seed)
    query, gallery = (
        [toys.image(f"{split}{i}", str(generator.integers(6)), f"c{generator.integers(3)}") for i in range(count)]
        for split, count in (("q", 20), ("g", 40))
    )
    dataset = ReIDDataset("random", toys.DATASET.root, "CSV", "", (), query, gallery, "cross_camera")
    numbers = torch.from_numpy(generator.integers(0, 3, (60, 3))).float()
    return dataset, FeatureSet(numbers, tuple(image.name for image in dataset.test), {"G": 3})


@pytest.mark.parametrize("elements", [16_000_000, 130])
@pytest.mark.parametrize("seed", range(3))
def test_against_a_loop_with_ties_in_blocks(seed, elements, monkeypatch):
    monkeypatch.setattr(ranking, "BLOCK_ELEMENTS", elements)
    dataset, features = random_data(seed)
    inspection = inspect(features, toys.evaluation(features, dataset))
    x = features.features.numpy()
    expected, order = {}, []
    for q, query_image in enumerate(dataset.query):
        d = np.linalg.norm(x[20:] - x[q], axis=1)
        same = np.array([image.vehicle_id == query_image.vehicle_id for image in dataset.gallery])
        match = same & np.array([image.camera_id != query_image.camera_id for image in dataset.gallery])
        for g in np.flatnonzero(match):
            expected[query_image.name, dataset.gallery[g].name] = int((d[~same] <= d[g]).sum())
            order.append((q, g))
        nearest = min(np.flatnonzero(~same), key=lambda g: (d[g], g))
        assert inspection.nearest_wrong[q] == nearest
        same_wrong = np.array([image.vehicle_id == dataset.gallery[nearest].vehicle_id for image in dataset.gallery])
        assert inspection.images_before[q] == (same_wrong & (d <= d[match].min())).sum()
    assert pairs(inspection) == expected
    assert list(zip(inspection.query, inspection.gallery, strict=True)) == order
    # Where the first place is wrong, it is the image that the rank list shows there.
    rank = inspection.evaluation.ranking
    for q in np.flatnonzero(rank.first_hit > 1):
        assert next(hit.index for hit in rank.hits(q) if hit.rank) == inspection.nearest_wrong[q]


def test_some_queries_and_re_ranked_ones():
    dataset, features = random_data(5)
    features = FeatureSet(torch.randn(60, 8, generator=torch.Generator().manual_seed(0)), features.names, {"G": 8})
    settings = ReRankSettings(k1=6, k2=3)
    evaluation = evaluate(features, dataset, Protocol(), made_by={}, re_rank=settings, dataset_hash="0")
    inspection = inspect(features, evaluation, settings)
    first = [inspection.wrong_before[inspection.query == q].min() + 1 for q in range(20)]
    assert first == evaluation.ranking.first_hit.tolist()
    whole, part = (
        inspect(toys.WORSE, one)
        for one in (toys.evaluation(toys.WORSE), restrict(toys.evaluation(toys.WORSE), QueryFilter("light", ("led",))))
    )
    assert pairs(part) == {pair: n for pair, n in pairs(whole).items() if pair[0] == "qj"}


def test_a_gallery_of_one_vehicle_has_no_wrong_image():
    images = [toys.image("q", "A", "c1"), toys.image("g", "A", "c2")]
    dataset = ReIDDataset("one", toys.DATASET.root, "CSV", "", (), images[:1], images[1:], "cross_camera")
    features = FeatureSet(torch.tensor([[0.0], [1.0]]), ("q", "g"), {"G": 1})
    inspection = inspect(features, toys.evaluation(features, dataset))
    assert (inspection.nearest_wrong.tolist(), inspection.images_before.tolist()) == ([-1], [0])
    assert pairs(inspection) == {("q", "g"): 0}


def test_features_of_another_model_and_forgotten_re_ranking_are_refused():
    with pytest.raises(DataError, match="these features do not give the distances of the evaluation; pass"):
        inspect(toys.BETTER, toys.evaluation(toys.WORSE))
    settings = ReRankSettings(k1=4, k2=2)
    evaluation = evaluate(toys.WORSE, toys.DATASET, Protocol(), made_by={}, re_rank=settings, dataset_hash="0")
    with pytest.raises(DataError, match="the features and the re-ranking that it was made with"):
        inspect(toys.WORSE, evaluation)
    with pytest.raises(DataError, match="no features for"):
        inspect(FeatureSet(torch.zeros(1, 1), ("qa",), {"G": 1}), toys.evaluation(toys.WORSE))
