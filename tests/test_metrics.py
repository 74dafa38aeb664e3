"""The counts against a plain loop over one ranked list at a time."""

import math

import numpy as np
import pytest
import torch

from ssrnet.metrics import Metrics, average_precision, first_hit_rank, inverse_negative_penalty, wrong_before
from tests.naive import score


def random_case(seed: int, queries: int = 40, gallery: int = 60):
    """Distances of few values, so that most are tied, with junk and with queries that have no match."""
    generator = np.random.default_rng(seed)
    distance = generator.integers(0, 12, (queries, gallery)).astype(np.float32) / 4
    kind = generator.choice(3, p=[0.15, 0.75, 0.1], size=(queries, gallery))  # match, wrong, junk
    kind[:3] = np.where(kind[:3] == 0, 2, kind[:3])  # no match, or all of them junk
    kind[3] = 0
    return distance, kind == 0, kind == 1


def counts(distance, match, wrong):
    return wrong_before(*map(torch.from_numpy, (distance, match, wrong))).numpy()


@pytest.mark.parametrize("seed", range(5))
def test_against_a_loop_with_ties_junk_and_absent_matches(seed):
    distance, match, wrong = random_case(seed)
    n = counts(distance, match, wrong)
    got = zip(average_precision(n), inverse_negative_penalty(n), first_hit_rank(n))
    expected = [score(d, m, ~(m | w)) for d, m, w in zip(distance, match, wrong)]
    assert sum(math.isnan(e.average_precision) for e in expected) == 3
    for (ap, inp, first), e in zip(got, expected, strict=True):
        assert first == e.first_hit
        assert (ap, inp) == pytest.approx((e.average_precision, e.inp), abs=1e-6, nan_ok=True)


def test_the_loop_by_hand():
    # wrong 1, match 2, junk 3, match 4, wrong 4, match 5: hits at ranks 2, 4 (the tie counts as wrong first) and 5
    distance = np.array([1, 2, 3, 4, 4, 5])
    match = np.array([0, 1, 0, 1, 0, 1], dtype=bool)
    junk = np.array([0, 0, 1, 0, 0, 0], dtype=bool)
    expected = score(distance, match, junk)
    assert expected.average_precision == pytest.approx((1 / 2 + 2 / 4 + 3 / 5) / 3)
    assert expected.inp == pytest.approx(3 / 5) and expected.first_hit == 2
    n = counts(distance[None].astype(np.float32), match[None], ~(match | junk)[None])
    assert n.tolist() == [[1, 2, 2]]


def test_one_point_for_everything_gains_nothing():
    match = np.array([[True, False, False, True]])
    n = counts(np.zeros((1, 4), np.float32), match, ~match)
    assert first_hit_rank(n).tolist() == [3] and average_precision(n)[0] == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_a_perfect_ranking_scores_1():
    distance, match = np.arange(5, dtype=np.float32)[None], np.array([[1, 1, 0, 0, 0]], dtype=bool)
    n = counts(distance, match, ~match)
    assert average_precision(n) == inverse_negative_penalty(n) == first_hit_rank(n) == [1]


def test_without_any_match():
    n = counts(np.ones((2, 3), np.float32), np.zeros((2, 3), bool), np.ones((2, 3), bool))
    assert n.shape == (2, 0) and first_hit_rank(n).tolist() == [0, 0]
    assert np.isnan(average_precision(n)).all() and np.isnan(inverse_negative_penalty(n)).all()


def test_means_leave_out_and_count_queries_without_a_match():
    nan = float("nan")
    metrics = Metrics.from_queries(np.array([1, 0.5, nan]), np.array([1, 0.25, nan]), np.array([1, 3, 0]), max_rank=4)
    assert (metrics.mAP, metrics.mINP) == (0.75, 0.625)
    assert metrics.cmc == (0.5, 0.5, 1, 1) and metrics.rank(2) == 0.5 and metrics.rank(3) == 1
    assert (metrics.queries, metrics.excluded) == (2, 1)


def test_nothing_but_excluded_queries_has_no_numbers():
    metrics = Metrics.from_queries(np.full(4, np.nan), np.full(4, np.nan), np.zeros(4, int))
    assert (metrics.queries, metrics.excluded) == (0, 4)
    assert math.isnan(metrics.mAP) and math.isnan(metrics.mINP) and math.isnan(metrics.rank(50))


def test_the_line_names_the_excluded_only_where_there_are_some():
    ap, first = np.array([1.0, 0.5]), np.array([1, 2])
    line = str(Metrics.from_queries(ap, ap, first))
    assert "rank-1 50.00%  rank-5 100.00%" in line and "mAP 75.00%" in line and line.endswith("(2 queries)")
    ap, first = np.array([1.0, np.nan]), np.array([1, 0])
    assert str(Metrics.from_queries(ap, ap, first)).endswith("(1 queries, 1 without a match excluded)")
