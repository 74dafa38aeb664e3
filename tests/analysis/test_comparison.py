from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssrnet.analysis.comparison import compare
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import ProtocolError
from ssrnet.retrieval.evaluation import Evaluation, ProtocolRecord
from ssrnet.retrieval.ranking import Ranking

RECORD = ProtocolRecord(
    "toys", "0123", "all", "all", "single_gallery_shot", 0, 1, "none", 6, 6, 0, "", "cosine", "none", {}, "1"
)


def evaluation(first_hit, ap) -> Evaluation:
    """Queries of which only scores are known; 0 and NaN where one has no match."""
    empty = np.zeros((len(ap), 0))
    lists = (empty.astype(np.int64), empty.astype(np.float32), empty.astype(bool), empty.astype(bool))
    ranking = Ranking(1, *lists, np.array(ap), np.array(ap), np.array(first_hit))
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
    assert compare(A, B).select(outcome).tolist() == queries


def test_every_query_has_one_outcome_and_the_change_of_ap_is_b_minus_a():
    comparison = compare(A, B)
    assert comparison.delta_ap == pytest.approx([0.1, 0.1, -0.3, 0.1, 0.5, NAN], nan_ok=True)
    assert comparison.outcomes.tolist() == ["both right", "fixed", "broken", "both wrong", "fixed", "no match"]
    assert comparison.split is A.split and (comparison.a, comparison.b) == (A, B)


def test_another_distance_or_re_ranking_may_be_compared():
    other = B._replace(record=replace(RECORD, distance="euclidean", re_ranking="k-reciprocal", features={"model": "x"}))
    assert compare(A, other).select("fixed").tolist() == [4, 1]


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
        compare(A, other)


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
        compare(A, B._replace(split=split))
