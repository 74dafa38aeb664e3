import math

import numpy as np
import pytest

from ssrnet.errors import DataError, ProtocolError
from ssrnet.metrics import Metrics
from ssrnet.retrieval.metric_intervals import (
    METRICS,
    REPLICATES,
    Estimate,
    QueryScores,
    differences,
    estimates,
    vehicles_of,
)

NAN = float("nan")


def scores(vehicles, values) -> QueryScores:
    """The same value (Q,) for every metric."""
    return QueryScores(np.array([str(v) for v in vehicles]), np.repeat(np.array(values, float)[:, None], 5, axis=1))


def width(estimate: Estimate) -> float:
    return estimate.high - estimate.low


def random_scores(seed: int, vehicles: int = 30, queries: int = 4) -> QueryScores:
    """Queries of one vehicle resemble each other."""
    generator = np.random.default_rng(seed)
    random = generator.random((vehicles, 1, 5))
    values = 0.8 * random + 0.2 * generator.random((vehicles, queries, 5))
    return QueryScores(np.repeat([f"{v:03d}" for v in range(vehicles)], queries), values.reshape(-1, 5))


def test_from_queries_leaves_out_those_without_a_match():
    ap, inp, first = np.array([1.0, NAN, 0.3, 0.05]), np.array([1.0, NAN, 0.2, 0.01]), np.array([1, 0, 7, 12])
    random = QueryScores.from_queries(["a", "b", "c", "a"], ap, inp, first)
    assert METRICS == ("rank-1", "rank-5", "rank-10", "mAP", "mINP")
    assert random.vehicles.tolist() == ["a", "c", "a"] and vehicles_of([random, random]) == {"a", "c"}
    assert random.values.tolist() == [[1, 1, 1, 1, 1], [0, 0, 1, 0.3, 0.2], [0, 0, 0, 0.05, 0.01]]
    metrics, estimated = Metrics.from_queries(ap, inp, first), estimates([random])
    assert [estimated[name].value for name in METRICS] == pytest.approx(
        [metrics.rank(1), metrics.rank(5), metrics.rank(10), metrics.mAP, metrics.mINP]
    )
    assert all(estimate.deviation is None for estimate in estimated.values())


def test_equal_queries_have_an_interval_without_width():
    estimate = estimates([scores([1, 1, 2, 3], [0.25] * 4)])["mAP"]
    assert (estimate.value, estimate.low, estimate.high) == (0.25, 0.25, 0.25)


def test_one_query_a_vehicle_is_the_textbooks_interval_of_a_mean():
    values = np.random.default_rng(3).random(400)
    estimate = estimates([scores(range(400), values)])["mAP"]
    half = 1.96 * values.std(ddof=1) / math.sqrt(400)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_replicates_are_those_drawn_one_by_one():
    a, b = random_scores(0, 5, 3), random_scores(1, 6, 2)  # two seeds; vehicle 005 asks under the second alone
    everyone = sorted(vehicles_of([a, b]))
    drawn = np.random.Generator(np.random.PCG64(7)).integers(6, size=(50, 6))
    means = []
    for row in drawn:
        one = []
        for seed in (a, b):
            drawn_values = [seed.values[seed.vehicles == everyone[v]] for v in row]
            pooled = np.concatenate(drawn_values)
            if len(pooled):
                one.append(pooled.mean(0))
        means.append(np.mean(one, axis=0))
    low, high = np.percentile(means, (2.5, 97.5), axis=0)
    estimated = estimates([a, b], replicates=50, seed=7)
    assert [e.low for e in estimated.values()] == pytest.approx(low.tolist())
    assert [e.high for e in estimated.values()] == pytest.approx(high.tolist())


def test_vehicles_are_drawn_not_queries():
    random = random_scores(0)
    twice = QueryScores(np.tile(random.vehicles, 2), np.tile(random.values, (2, 1)))
    renamed = np.concatenate([random.vehicles, np.char.add(random.vehicles, "b")])
    more = QueryScores(renamed, twice.values)
    for name, estimate in estimates([random]).items():
        again = estimates([twice])[name]
        assert (again.low, again.high) == pytest.approx((estimate.low, estimate.high))
        assert width(estimates([more])[name]) < 0.85 * width(estimate)  # about 1 / sqrt(2)


def test_a_vehicle_with_many_queries_weighs_as_much_as_in_the_metric():
    estimate = estimates([scores([1, 1, 1, 2], [1, 1, 1, 0])])["mAP"]
    assert (estimate.value, estimate.low, estimate.high) == (0.75, 0, 1)


def test_the_order_of_the_queries_does_not_matter_and_numbers_repeat():
    random = random_scores(0)
    mixed = np.random.default_rng(0).permutation(len(random.vehicles))
    other = QueryScores(random.vehicles[mixed], random.values[mixed])
    assert [(e.low, e.high) for e in estimates([other]).values()] == [
        pytest.approx((e.low, e.high)) for e in estimates([random]).values()
    ]
    assert estimates([random]) == estimates([random]) != estimates([random], seed=1)


def test_seeds_are_averaged_within_a_replicate():
    a, b = random_scores(0), random_scores(1)
    both = QueryScores(a.vehicles, (a.values + b.values) / 2)  # as many queries under both: the mean of the means
    averaged, one = estimates([a, b]), estimates([both])
    for name in METRICS:
        assert (averaged[name].low, averaged[name].high) == pytest.approx((one[name].low, one[name].high))
        means = [estimates([s])[name].value for s in (a, b)]
        assert averaged[name].value == pytest.approx(np.mean(means))
        assert averaged[name].deviation == pytest.approx(np.std(means, ddof=1))


def test_a_seed_in_which_nobody_asks_does_not_count():
    random, nobody = random_scores(0), scores([], [])
    assert estimates([random, nobody]) == estimates([random])


def test_a_model_does_not_differ_from_itself():
    random = [random_scores(0), random_scores(1)]
    for estimate in differences(random, random).values():
        assert (estimate.value, estimate.low, estimate.high, estimate.deviation) == (0, 0, 0, 0)


def test_the_difference_is_paired():
    a = random_scores(0)
    close = QueryScores(a.vehicles, a.values + 0.05 + 0.02 * np.random.default_rng(5).random(a.values.shape))
    far = random_scores(9)
    for name in METRICS:
        paired = differences([a], [close])[name]
        assert paired.value == pytest.approx(estimates([close])[name].value - estimates([a])[name].value)
        assert 0.05 < paired.low < paired.value < paired.high < 0.07
        apart = math.hypot(width(estimates([a])[name]), width(estimates([close])[name]))
        assert width(paired) < 0.1 * apart
        unrelated = math.hypot(width(estimates([a])[name]), width(estimates([far])[name]))
        assert width(differences([a], [far])[name]) == pytest.approx(unrelated, rel=0.4)
    forth, back = differences([a], [far])["mAP"], differences([far], [a])["mAP"]
    assert (back.value, back.low, back.high) == pytest.approx((-forth.value, -forth.high, -forth.low))


@pytest.mark.parametrize("other", [scores([1, 2], [1, 1]), scores([1, 2, 4], [1, 1, 1])])
def test_the_difference_of_other_queries_is_refused(other):
    with pytest.raises(ProtocolError, match="the two models scored different queries"):
        differences([scores([1, 2, 3], [1, 1, 1])], [other])


@pytest.mark.parametrize("seeds", [[scores([], [])], [scores([], []), scores([], [])]])
def test_nothing_to_average(seeds):
    with pytest.raises(DataError, match="no query has a match"):
        estimates(seeds)


def test_a_large_test_set_takes_moments():
    vehicles = 2400  # VehicleID's largest test subset, ten random galleries
    seeds = [random_scores(seed, vehicles, 3) for seed in range(10)]
    estimated = estimates(seeds)
    assert REPLICATES == 2000 and width(estimated["mAP"]) < 0.03
