import numpy as np
import pytest

from ssrnet.errors import ProtocolError
from ssrnet.retrieval.compare import compare
from ssrnet.retrieval.ranking import Ranking


def ranking(first_hit, ap) -> Ranking:
    """A ranking whose lists are empty; 0 and NaN where a query has no match."""
    empty = np.zeros((len(ap), 0))
    lists = (empty.astype(np.int64), empty.astype(np.float32), empty.astype(bool), empty.astype(bool))
    return Ranking(1, *lists, np.array(ap), np.array(ap), np.array(first_hit))


NAN = float("nan")
#                both right, fixed, broken, wrong, fixed, no match
A = ranking([1, 3, 1, 5, 2, 0], [0.9, 0.2, 0.8, 0.1, 0.4, NAN])
B = ranking([1, 1, 2, 4, 1, 0], [1.0, 0.3, 0.5, 0.2, 0.9, NAN])


@pytest.mark.parametrize(
    ("outcome", "queries"),
    [("all", [0, 1, 2, 3, 4, 5]), ("fixed", [4, 1]), ("broken", [2]), ("both wrong", [3])],
)
def test_queries_by_outcome_largest_change_first(outcome, queries):
    assert compare(A, B).select(outcome).tolist() == queries


def test_the_change_of_ap_is_b_minus_a():
    comparison = compare(A, B)
    assert comparison.delta_ap == pytest.approx([0.1, 0.1, -0.3, 0.1, 0.5, NAN], nan_ok=True)
    assert comparison.first_hit_a.tolist() == [1, 3, 1, 5, 2, 0] and comparison.first_hit_b[3] == 4


@pytest.mark.parametrize("other", [ranking([1], [1.0]), ranking([1, 1, 2, 4, 1, 1], [1.0] * 6)])
def test_rankings_of_different_queries(other):
    with pytest.raises(ProtocolError, match="the two rankings are of different queries"):
        compare(A, other)
