from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssrnet.analysis.comparison import Comparison, delta_histogram, largest_gain
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import ProtocolError
from ssrnet.retrieval.evaluation import Evaluation, ProtocolRecord
from ssrnet.retrieval.ranking import Ranking
from tests.analysis import toys

RECORD = ProtocolRecord(
    "toys", "0123", "all", "all", "single_gallery_shot", 0, 1, "none", 6, 6, 0, "", "cosine", "none", {}, "1"
)


def evaluation(first_hit, ap) -> Evaluation:
    """Queries of which only scores are known; 0 and NaN where one has no match."""
    empty = np.zeros((len(ap), 0))
    lists = (empty.astype(np.int64), empty.astype(np.float32), empty.astype(bool), empty.astype(bool))
    ranking = Ranking(1, *lists, np.array(ap), np.array(ap), np.array(first_hit), *[np.zeros(len(ap))] * 2)
    images = tuple(VehicleImage(Path(f"{i}.jpg"), f"{i}.jpg", str(i)) for i in range(len(ap)))
    return Evaluation(ranking, ranking.metrics, RECORD, Split(images, images, same_camera_is_junk=False))


NAN = float("nan")
#                   both right, fixed, broken, wrong, fixed, no match
A = evaluation([1, 3, 1, 5, 2, 0], [0.9, 0.2, 0.8, 0.1, 0.4, NAN])
B = evaluation([1, 1, 2, 4, 1, 0], [1.0, 0.3, 0.5, 0.2, 0.9, NAN])


@pytest.mark.parametrize(
    ("outcome", "queries"),
    [("all", [0, 1, 2, 3, 4, 5]), ("both right", [0]), ("fixed", [4, 1]), ("broken", [2]), ("both wrong", [3])],
)
def test_queries_by_outcome_largest_change_first(outcome, queries):
    assert Comparison(A, B).select(outcome).tolist() == queries


def test_by_change_orders_every_group_and_same_precision_finds_equal_points():
    comparison = Comparison(A, B)
    change = np.abs(comparison.delta_ap)
    failed, everything = comparison.by_change("failed").tolist(), comparison.by_change("all").tolist()
    assert sorted(failed) == [1, 2, 3, 4] and failed[:2] == [4, 2] and everything[-1] == 5, "no match comes last"
    assert sorted(everything) == list(range(6)) and (np.diff(change[everything[:-1]]) <= 0).all()
    assert comparison.by_change("fixed").tolist() == [4, 1]
    again = evaluation([1, 1, 1], [0.5, 0.2, 0.5])
    assert Comparison(again, again).same_precision(2) == [0, 2] and comparison.same_precision(5) == []


def test_every_query_has_one_outcome_and_the_change_of_ap_is_b_minus_a():
    comparison = Comparison(A, B)
    assert comparison.delta_ap == pytest.approx([0.1, 0.1, -0.3, 0.1, 0.5, NAN], nan_ok=True)
    assert comparison.outcomes.tolist() == ["both right", "fixed", "broken", "both wrong", "fixed", "no match"]
    assert comparison.split is A.split and (comparison.a, comparison.b) == (A, B)


def test_another_distance_or_re_ranking_may_be_compared():
    other = B._replace(record=replace(RECORD, distance="euclidean", re_ranking="k-reciprocal", features={"model": "x"}))
    assert Comparison(A, other).select("fixed").tolist() == [4, 1]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"dataset_hash": "4567"}, "data sets"),
        ({"dataset": "others", "seed": 1}, "data sets"),
        ({"seed": 1}, "protocols"),
        ({"protocol": "cross_camera"}, "protocols"),
    ],
)
def test_other_data_and_other_protocols_are_refused(changes, what):
    other = B._replace(record=replace(RECORD, **changes))
    with pytest.raises(ProtocolError, match=f"the two models were evaluated with different {what}, so their queries"):
        Comparison(A, other)


@pytest.mark.parametrize(
    "split",
    [
        replace(A.split, query=A.split.query[::-1]),
        replace(A.split, gallery=A.split.gallery[:-1]),
        replace(A.split, query=(*A.split.query[:-1], replace(A.split.query[-1], vehicle_id="7"))),
    ],
)
def test_other_images_are_refused(split):
    with pytest.raises(ProtocolError, match="evaluated with different images, .* evaluate both on one data set"):
        Comparison(A, B._replace(split=split))


def test_the_largest_gain_is_among_the_queries_that_the_second_model_fixes():
    worse, better = toys.evaluation(toys.WORSE), toys.evaluation(toys.BETTER)
    assert largest_gain(Comparison(worse, better)).name == "qj"
    assert largest_gain(Comparison(worse, worse)) is None


def test_bins_are_centred_and_count_every_query_with_a_match():
    histogram = delta_histogram(np.array([0.0, 0.02, -0.02, 0.03, -1.0, 1.0, np.nan, 0.48, 0.52]), width=0.05)
    assert len(histogram.centres) == 41 and histogram.centres[[0, 20, 40]] == pytest.approx([-1, 0, 1])
    assert {round(float(c), 2): int(n) for c, n in zip(histogram.centres, histogram.queries) if n} == {
        -1.0: 1,
        0.0: 3,
        0.05: 1,
        0.5: 2,
        1.0: 1,
    }
    assert (histogram.worse, histogram.same, histogram.better) == (2, 1, 5)


def test_no_query_with_a_match():
    histogram = delta_histogram(np.array([np.nan]))
    assert not histogram.queries.any() and (histogram.worse, histogram.same, histogram.better) == (0, 0, 0)
