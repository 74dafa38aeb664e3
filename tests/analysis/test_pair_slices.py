import numpy as np
import pytest

from ssrnet.analysis.attributes import day_or_night
from ssrnet.analysis.inspection import inspect
from ssrnet.analysis.pair_slices import by_agreement, by_easiest_view, by_value_pair, by_view_difference, pair_scores
from ssrnet.errors import DataError, ProtocolError
from ssrnet.retrieval.evaluation import query_scores, restrict
from ssrnet.retrieval.query_filters import QueryFilter
from tests.analysis import toys
from tests.analysis.test_inspection import random_data


@pytest.fixture(scope="module")
def models():
    return toys.inspections()


def by_title(slicing) -> dict[str, tuple]:
    """By title: queries, pairs, and mAP of both."""
    return {one.title: (one.queries, one.pairs, one.a["mAP"].value, one.b["mAP"].value) for one in slicing.slices}


def test_camera_pairs(models):
    """The n of each match, counted in test_inspection: alone, a match of n wrong images before has AP 1 / (1 + n)."""
    slicing = by_value_pair(*models, "camera_id")
    assert by_title(slicing) == {
        "c1 → c2": (1, 1, pytest.approx(1 / 3), 1),  # qj: a2
        "c1 → c3": (1, 1, pytest.approx(1 / 5), pytest.approx(1 / 5)),  # qj: a3
        "c9 → c1": (3, 3, pytest.approx((1 + 1 + 1 / 8) / 3), pytest.approx((1 / 3 + 1 + 1 / 8) / 3)),
        "c9 → c2": (2, 2, pytest.approx((1 / 3 + 1) / 2), pytest.approx((1 / 3 + 1) / 2)),  # qa: a2, qc: c2
        "c9 → c3": (1, 1, pytest.approx(1 / 5), pytest.approx(1 / 5)),  # qa: a3
    }
    assert "only a query's matches in the slice count" in slicing.rule and slicing.unplaced == 0
    assert [one.vehicles for one in slicing.slices] == [1, 1, 3, 2, 1]


def test_the_pairs_with_the_most_matches_where_there_are_too_many(models):
    slicing = by_value_pair(*models, "camera_id", most=2)
    assert [one.title for one in slicing.slices] == ["c9 → c1", "c9 → c2"]
    assert slicing.unplaced == 1  # qj


def test_day_and_night(models):
    assert by_title(by_value_pair(*models, "light", day_or_night)) == {
        # qa: a1 and a3 (n = 0 and 4: AP (1/1 + 2/6) / 2), qc: c1 and c2
        "day → day": (2, 4, pytest.approx((4 / 6 + 1) / 2), pytest.approx(((1 / 3 + 2 / 6) / 2 + 1) / 2)),
        "day → night": (2, 2, pytest.approx((1 / 3 + 1 / 8) / 2), pytest.approx((1 / 3 + 1 / 8) / 2)),
        "night → day": (1, 1, pytest.approx(1 / 5), pytest.approx(1 / 5)),
        "night → night": (1, 1, pytest.approx(1 / 3), 1),
    }
    same, different = by_agreement(*models, "light").slices
    assert (same.title, same.queries, same.pairs) == ("same light", 3, 5)
    assert (different.title, different.queries, different.pairs) == ("different light", 3, 3)


def test_what_is_not_known_of_query_or_match_is_in_no_slice(models):
    slicing = by_agreement(*models, "type")  # d1 and qd have none
    assert by_title(slicing) == {
        "same type": (3, 7, pytest.approx(query_map(models[0])), pytest.approx(query_map(models[1])))
    }
    assert slicing.unplaced == 1


def query_map(inspection) -> float:
    return inspection.evaluation.ranking.average_precision[:3].mean()


def test_the_angle_between_the_views(models):
    # qa 355: a1 10 is 15 away, a2 100 is 105, a3 350 is 5; qj 190: a2 90, a3 160; qc 40: c1 40, c2 130; qd: no angle
    slicing = by_view_difference(*models, edges=(0, 45, 90, 135, 180))
    assert {one.title: (one.queries, one.pairs) for one in slicing.slices} == {
        "0 to 45": (2, 3),
        "90 to 135": (3, 3),
        "135 to 180": (1, 1),
    }
    assert slicing.slices[0].a["mAP"].value == pytest.approx(((1 / 1 + 2 / 6) / 2 + 1) / 2)
    assert (slicing.by, slicing.unplaced) == ("azimuth difference", 1)


def test_queries_by_their_easiest_view_keep_all_their_matches(models):
    slicing = by_easiest_view(*models, edges=(0, 45, 90, 135))
    assert {one.title: one.queries for one in slicing.slices} == {"0 to 45": 2, "90 to 135": 1}
    ap = models[0].evaluation.ranking.average_precision
    assert slicing.slices[0].a["mAP"].value == pytest.approx((ap[0] + ap[2]) / 2)
    assert slicing.slices[0].pairs is None and slicing.unplaced == 1


@pytest.mark.parametrize("seed", range(3))
def test_all_pairs_together_score_as_the_ranking_and_some_as_their_places_say(seed):
    dataset, features = random_data(seed)
    evaluation = toys.evaluation(features, dataset)
    inspection = inspect(features, evaluation)
    whole, expected = pair_scores(inspection, np.arange(len(inspection.query))), query_scores(evaluation)
    assert whole.vehicles.tolist() == expected.vehicles.tolist()
    assert whole.values == pytest.approx(expected.values)
    generator = np.random.default_rng(seed)
    pairs = np.sort(generator.choice(len(inspection.query), 25, replace=False))
    scores = pair_scores(inspection, pairs)
    row = 0
    for q in np.unique(inspection.query[pairs]):
        chosen = np.sort(inspection.wrong_before[pairs][inspection.query[pairs] == q])
        ap = np.mean([(i + 1) / (i + 1 + n) for i, n in enumerate(chosen)])
        inp = len(chosen) / (len(chosen) + chosen[-1])
        hits = [float(chosen[0] + 1 <= k) for k in (1, 5, 10)]
        assert scores.values[row] == pytest.approx([*hits, ap, inp])
        row += 1
    assert row == len(scores.vehicles)


def test_other_queries_and_unknown_attributes(models):
    part = inspect(toys.BETTER, restrict(toys.evaluation(toys.BETTER), QueryFilter("light", ("none",))))
    with pytest.raises(ProtocolError, match="evaluated with different images"):
        by_value_pair(models[0], part, "camera_id")
    with pytest.raises(DataError, match="no image has the attribute elevation"):
        by_view_difference(*models, attribute="elevation")
    with pytest.raises(DataError, match="light of qa is 'none', which is not a number"):
        by_view_difference(*models, attribute="light")
