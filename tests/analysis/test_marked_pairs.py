import numpy as np
import pytest
from scipy.stats import bootstrap

from ssrnet.analysis.marked_pairs import LEAST, equal_error_threshold, marked_threshold, next_pair

SAME = np.array([0.9, 0.8, 0.7, 0.6, 0.3])
DIFFERENT = np.array([0.1, 0.0, 0.2, 0.25, 0.5])


@pytest.fixture
def drawn():
    random = np.random.default_rng(3)
    return random.normal(0.6, 0.15, 40), random.normal(0.2, 0.15, 50)


def test_a_gap_between_the_kinds_is_halved():
    assert equal_error_threshold(np.array([0.6, 0.9]), np.array([0.1, 0.2])) == pytest.approx(0.4)


def test_with_an_error_of_each_kind_the_rates_are_equal_by_hand():
    """Between 0.3 (same) and 0.5 (different) one pair of five is wrong on either side."""
    assert equal_error_threshold(SAME, DIFFERENT) == pytest.approx(0.4)
    assert equal_error_threshold(np.array([0.5]), np.array([0.5])) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_best_of_all_thresholds_tried(seed):
    random = np.random.default_rng(seed)
    same, different = random.normal(0.5, 0.2, 11), random.normal(0.2, 0.2, 14)

    def apart(threshold):
        return abs((different >= threshold).mean() - (same < threshold).mean())

    best = min(map(apart, np.linspace(-1, 1, 4001)))
    assert apart(equal_error_threshold(same, different)) == pytest.approx(best)


def test_the_interval_is_that_of_scipys_bootstrap(drawn):
    found = marked_threshold(*drawn)
    oracle = bootstrap(
        drawn,
        lambda same, different: equal_error_threshold(same, different),
        n_resamples=2000,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.low <= found.threshold <= found.high
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=0.02)
    assert found == marked_threshold(*drawn), "another draw each time"


def test_each_pair_is_judged_by_the_others_and_the_rates_have_exact_intervals():
    found = marked_threshold(np.linspace(0.8, 0.9, 10), np.linspace(0.1, 0.2, 12))
    assert (found.false_match.errors, found.false_non_match.errors, found.pairs) == (0, 0, 22)
    # The upper end for no error in n is 1 - 0.025^(1/n).
    assert (found.false_match.low, found.false_match.high) == pytest.approx((0, 1 - 0.025 ** (1 / 12)))
    assert (found.false_non_match.low, found.false_non_match.high) == pytest.approx((0, 1 - 0.025 ** (1 / 10)))
    overlapping = marked_threshold(SAME, DIFFERENT)
    assert overlapping.false_match.value == overlapping.false_non_match.value == 1 / 5
    # Clopper & Pearson's for 1 in 5
    assert (overlapping.false_match.low, overlapping.false_match.high) == pytest.approx((0.00505, 0.71642), abs=1e-5)


def test_within_the_thresholds_interval_there_is_no_verdict(drawn):
    found = marked_threshold(*drawn)
    assert [found.is_same(each) for each in (found.high + 0.01, found.threshold, found.low - 0.01)] == [
        True,
        None,
        False,
    ]


def test_too_few_pairs_of_a_kind_give_no_threshold():
    assert marked_threshold(SAME, DIFFERENT) and len(SAME) == LEAST
    assert marked_threshold(SAME[1:], DIFFERENT) is None and marked_threshold(SAME, DIFFERENT[1:]) is None


def test_pairs_to_mark_are_spread_over_the_cosines_and_each_comes_once():
    cosines = np.concatenate([np.random.default_rng(0).normal(0.1, 0.02, 500), [0.5, 0.7, 0.9]])
    marked, order = np.zeros(len(cosines), bool), []
    while (at := next_pair(cosines, marked)) is not None:
        marked[at] = True
        order.append(at)
    assert sorted(order) == list(range(len(cosines)))
    assert cosines[order[0]] == 0.9 and cosines[order[1]] == cosines.min()
    assert {0.5, 0.7} <= set(cosines[order[:4]])
    reached = np.sort(cosines[order[:20]])
    assert np.diff(reached[reached < 0.2]).max() < 0.03
