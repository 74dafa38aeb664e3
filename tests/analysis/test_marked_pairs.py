import itertools

import numpy as np
import pytest

from ssrnet.analysis.marked_pairs import ASKED, LEAST, equal_error_threshold, marked_threshold, next_pair

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


def apart(same, different):
    """The arguments for pairs that share no picture."""
    cosines = np.concatenate([same, different])
    return cosines, np.arange(len(cosines)) < len(same), np.arange(2 * len(cosines)).reshape(-1, 2)


def test_the_interval_is_that_of_drawing_pictures_and_listing_their_pairs(drawn):
    """Each draw lists its pictures with repeats, and of each two of them the marked pair that they are."""
    cosines, is_same, _ = apart(drawn[0][:12], drawn[1][:16])
    pairs = np.array(list(itertools.combinations(range(8), 2)))  # which all share pictures
    found = marked_threshold(cosines, is_same, pairs)
    random, marked, thresholds = (
        np.random.default_rng(1),
        {tuple(pair): at for at, pair in enumerate(pairs.tolist())},
        [],
    )
    while len(thresholds) < 1000:
        pictures = random.choice(8, 8)
        listed = [marked[a, b] for a in pictures for b in pictures if (a, b) in marked]
        kinds = [[cosines[at] for at in listed if is_same[at] == kind] for kind in (True, False)]
        if all(kinds):
            thresholds.append(equal_error_threshold(*map(np.array, kinds)))
    assert found.low <= found.threshold <= found.high
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(thresholds, (0.025, 0.975))), abs=0.03)
    assert found == marked_threshold(cosines, is_same, pairs), "another draw each time"


def test_pairs_that_share_a_picture_make_the_interval_wider_than_drawing_pairs(drawn):
    """One picture is in half of the pairs of two vehicles, and all these cosines are high: they err together."""
    same, different = np.full(10, 0.7), np.concatenate([np.full(10, 0.6), np.full(10, 0.1)])
    cosines, is_same, pairs = apart(same, different)
    shared = pairs.copy()
    shared[10:20, 0] = 20
    renumbered = np.unique(shared, return_inverse=True)[1].reshape(shared.shape)
    random = np.random.default_rng(0)
    by_pairs = [equal_error_threshold(random.choice(same, 10), random.choice(different, 20)) for _ in range(1000)]
    found = marked_threshold(cosines, is_same, renumbered)
    assert np.ptp(np.quantile(by_pairs, (0.025, 0.975))) < 0.01 < 0.2 < found.high - found.low
    assert found.low == pytest.approx(0.4) and found.is_same(0.62) is None


def test_each_pair_is_judged_by_the_others_and_the_rates_have_exact_intervals():
    found = marked_threshold(*apart(np.linspace(0.8, 0.9, 10), np.linspace(0.1, 0.2, 12)))
    assert (found.false_match.errors, found.false_non_match.errors, found.pairs) == (0, 0, 22)
    # The upper end for no error in n is 1 - 0.025^(1/n).
    assert (found.false_match.low, found.false_match.high) == pytest.approx((0, 1 - 0.025 ** (1 / 12)))
    assert (found.false_non_match.low, found.false_non_match.high) == pytest.approx((0, 1 - 0.025 ** (1 / 10)))
    overlapping = marked_threshold(*apart(SAME, np.tile(DIFFERENT, 3)))
    assert overlapping.false_match.value == overlapping.false_non_match.value == 1 / 5
    # Clopper & Pearson's for 1 in 5
    assert (overlapping.false_non_match.low, overlapping.false_non_match.high) == pytest.approx(
        (0.00505, 0.71642), abs=1e-5
    )


def test_within_the_thresholds_interval_there_is_no_verdict(drawn):
    found = marked_threshold(*apart(*drawn))
    assert [found.is_same(each) for each in (found.high + 0.01, found.threshold, found.low - 0.01)] == [
        True,
        None,
        False,
    ]


def test_too_few_pairs_in_all_or_of_a_kind_give_no_threshold():
    many = np.linspace(0, 0.2, 15)
    assert len(SAME) == LEAST and len(SAME) + len(many) == ASKED
    assert marked_threshold(*apart(SAME, many)) and marked_threshold(*apart(many + 0.5, DIFFERENT))
    for same, different in ((SAME, many[1:]), (SAME[1:], np.append(many, 0.1)), (np.append(many, 0.1), DIFFERENT[1:])):
        assert marked_threshold(*apart(same, different)) is None


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
