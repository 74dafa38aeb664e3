"""Which queries a figure shows."""

import numpy as np
import pytest

from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.figure_queries import choose_queries, named_queries, rule_text
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError
from tests.analysis.toys import random_and_right


@pytest.fixture(scope="module")
def comparison(city):
    return random_and_right(open_dataset(city))


def test_a_random_choice_is_repeatable_and_of_different_vehicles(comparison):
    first = choose_queries(comparison, "sample", seed=0, count=3)
    vehicles = {comparison.split.query[query].vehicle_id for query in first}
    assert len(first) == len(vehicles) == 3
    assert choose_queries(comparison, "sample", seed=0, count=3).tolist() == first.tolist()
    others = [choose_queries(comparison, "sample", seed=seed, count=3).tolist() for seed in range(1, 6)]
    assert any(other != first.tolist() for other in others)
    # never more than there are vehicles
    assert len(choose_queries(comparison, "sample")) == 4


def test_where_the_models_differ_most_comes_first(comparison):
    chosen = choose_queries(comparison, "differ")
    change = np.abs(comparison.delta_ap)
    assert change[chosen[0]] == change.max() > 0
    assert (np.diff(change[chosen]) <= 0).all() and (change[chosen] > 0).all()


def test_where_only_one_of_the_models_is_right(comparison):
    chosen = choose_queries(comparison, "fixed")
    assert len(chosen) and set(chosen) <= set(comparison.select("fixed").tolist())
    turned = Comparison(comparison.b, comparison.a)
    assert choose_queries(turned, "broken").tolist() == chosen.tolist()


def test_the_worst_are_those_of_the_lowest_ap_with_the_second_model(comparison):
    turned = Comparison(comparison.b, comparison.a)
    chosen = choose_queries(turned, "worst", count=3)
    precision = turned.b.ranking.average_precision
    assert precision[chosen[0]] == precision.min() and (np.diff(precision[chosen]) >= 0).all()
    assert len({turned.split.query[query].vehicle_id for query in chosen}) == 3


@pytest.mark.parametrize("rule", ["differ", "fixed", "broken"])
def test_a_rule_that_no_query_fits_is_one_sentence(comparison, rule):
    with pytest.raises(DataError, match="no query fits the rule"):
        choose_queries(Comparison(comparison.a, comparison.a), rule)


def test_queries_by_name(comparison):
    names = [comparison.split.query[at].name for at in (5, 2)]
    assert named_queries(comparison.split, names).tolist() == [5, 2]
    with pytest.raises(DataError, match="nowhere.jpg is none of the 8 queries of this protocol; choose another"):
        named_queries(comparison.split, [names[0], "nowhere.jpg"])
    with pytest.raises(DataError, match="choose at least one"):
        named_queries(comparison.split, [])


def test_a_rule_in_words_counts_what_it_chooses_from(comparison):
    assert rule_text(comparison, "sample", 5) == (
        "drawn at random (seed 5) from the 8 queries that have a match, at most one a vehicle"
    )
    fixed = len(comparison.select("fixed"))
    words = rule_text(comparison, "fixed", 0, ("Baseline", "SSR-Net"))
    assert f"from the {fixed} whose first image is right with SSR-Net alone" in words
    assert "is right with Baseline alone" in rule_text(comparison, "broken", 0, ("Baseline", "SSR-Net"))
