from dataclasses import replace

import numpy as np
import pytest

from ssrnet.analysis.verdict import Verdict, compare_evaluations, in_points, short_titles
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import ProtocolError
from ssrnet.retrieval.evaluation import query_scores
from ssrnet.retrieval.metric_intervals import Estimate, differences
from tests.analysis.toys import BETTER, DATASET, GALLERY, WORSE, evaluation, without_match

TITLES = ("Baseline (GB)", "SSR-Net (GB+AB+RB)")
BETTER_BY, WORSE_BY = Estimate(0.036, 0.024, 0.049), Estimate(-0.036, -0.049, -0.024)
WITHIN = Estimate(0.004, -0.008, 0.017)
UP, DOWN, LEVEL = "+3.6, 2.4 to 4.9", "−3.6, −4.9 to −2.4", "+0.4, −0.8 to 1.7"


def verdict(precision: Estimate, at_first: Estimate, **changes) -> Verdict:
    return replace(Verdict(*TITLES, {"mAP": precision, "rank-1": at_first}, 74), **changes)


@pytest.mark.parametrize(
    "precision, at_first, sentence",
    [
        (BETTER_BY, BETTER_BY, f"SSR-Net finds more of each vehicle's images (mAP {UP}) and more often lists one of them first (rank-1 {UP})."),
        (BETTER_BY, WITHIN, f"SSR-Net finds more of each vehicle's images (mAP {UP}); at rank 1 the two do not differ beyond chance ({LEVEL})."),
        (BETTER_BY, WORSE_BY, f"SSR-Net finds more of each vehicle's images (mAP {UP}), but less often lists one of them first (rank-1 {DOWN})."),
        (WITHIN, BETTER_BY, f"SSR-Net more often lists an image of the vehicle first (rank-1 {UP}); in mAP the two do not differ beyond chance ({LEVEL})."),
        (WITHIN, WITHIN, f"SSR-Net and Baseline do not differ beyond chance: mAP {LEVEL}, rank-1 {LEVEL}."),
        (WITHIN, WORSE_BY, f"SSR-Net less often lists an image of the vehicle first (rank-1 {DOWN}); in mAP the two do not differ beyond chance ({LEVEL})."),
        (WORSE_BY, BETTER_BY, f"SSR-Net finds fewer of each vehicle's images (mAP {DOWN}), but more often lists one of them first (rank-1 {UP})."),
        (WORSE_BY, WITHIN, f"SSR-Net finds fewer of each vehicle's images (mAP {DOWN}); at rank 1 the two do not differ beyond chance ({LEVEL})."),
        (WORSE_BY, WORSE_BY, f"SSR-Net finds fewer of each vehicle's images (mAP {DOWN}) and less often lists one of them first (rank-1 {DOWN})."),
    ],
)  # fmt: skip
def test_the_sentence_says_what_is_beyond_chance(precision, at_first, sentence):
    assert verdict(precision, at_first).sentence == sentence


def test_among_several_each_sentence_names_both_models():
    better = verdict(WITHIN, BETTER_BY)
    assert better.sentence_against == f"Against Baseline, {better.sentence}"
    for one in (verdict(WITHIN, WITHIN), replace(better, vehicles=5), replace(better, same_features=True)):
        assert one.sentence_against == one.sentence and "Baseline" in one.sentence


def test_one_match_a_query_is_ranked_higher_or_lower():
    up = verdict(BETTER_BY, BETTER_BY, one_match=True).sentence
    assert up == f"SSR-Net ranks each query's one match higher (mAP {UP}) and more often lists it first (rank-1 {UP})."
    down = verdict(WORSE_BY, WITHIN, one_match=True).sentence
    assert down.startswith(f"SSR-Net ranks each query's one match lower (mAP {DOWN}); at rank 1")


def test_matches_that_are_junk_for_a_query_do_not_count():
    gallery = [each for each in GALLERY if each.name in ("a1", "a2", "b1")]
    dataset = ReIDDataset("toys", DATASET.root, "CSV", "", (), DATASET.query[1:2], tuple(gallery), "cross_camera")
    one = evaluation(WORSE, dataset)  # a1 is by the query's camera
    assert compare_evaluations(TITLES, one, one).one_match
    both = evaluation(WORSE, replace(dataset, query=DATASET.query[:2]))
    assert not compare_evaluations(TITLES, both, both).one_match


def test_an_interval_that_ends_at_0_is_not_beyond_chance():
    at_0 = Estimate(0.02, 0.0, 0.04)
    assert verdict(at_0, at_0).sentence.startswith("SSR-Net and Baseline do not differ beyond chance: mAP +2.0, 0.0 to")


def test_few_vehicles_tell_nothing_from_chance():
    few = verdict(BETTER_BY, BETTER_BY, vehicles=19)
    numbers = f"mAP {UP}, rank-1 {UP}."
    assert few.few and not verdict(BETTER_BY, BETTER_BY, vehicles=20).few
    assert few.sentence == (
        f"SSR-Net against Baseline, with 19 query vehicles, too few to tell a difference from chance: {numbers}"
    )
    assert "with 1 query vehicle, too" in replace(few, vehicles=1).sentence


def test_titles_are_the_models_own():
    same = {"first": "First: SSR-Net (GB+AB+RB)", "second": "Second: SSR-Net (GB+AB+RB)"}
    one = verdict(WITHIN, WITHIN, **same, same_features=True)
    assert one.sentence == "First: SSR-Net and Second: SSR-Net are the same checkpoint, so no number differs."
    assert short_titles("SSR-Net (GB)", "SSR-Net (GB+RB)") == ("SSR-Net (GB)", "SSR-Net (GB+RB)")
    assert verdict(WITHIN, WITHIN, first="A (GB), aligned", second="B, aligned").label == "B, aligned − A, aligned"


def test_two_decimals_where_one_would_hide_which_side_of_0_an_interval_lies_on():
    assert in_points(Estimate(0.0012, 0.0002, 0.0021)) == "+0.12, 0.02 to 0.21"
    assert in_points(Estimate(0.0, 0.0, 0.0)) == "0.0, 0.0 to 0.0"
    assert in_points(Estimate(-0.0001, -0.03, 0.01)) == "0.0, −3.0 to 1.0"


def test_the_differences_are_those_of_the_bootstrap():
    a, b = evaluation(WORSE), evaluation(BETTER)
    found = compare_evaluations(TITLES, a, b)
    assert found.vehicles == 3 and found.few and not found.one_match and not found.same_features
    assert found.differences == differences([query_scores(a)], [query_scores(b)])
    gain = float(np.nanmean(b.ranking.average_precision) - np.nanmean(a.ranking.average_precision))
    assert found.differences["mAP"].value == pytest.approx(gain)


def test_one_checkpoint_on_both_sides_is_noticed():
    a = evaluation(WORSE)
    made = a._replace(record=replace(a.record, features={"checkpoint_hash": "ab"}))
    assert compare_evaluations(TITLES, made, made).same_features
    aligned = made._replace(record=replace(made.record, camera_alignment="by camera"))
    assert not compare_evaluations(TITLES, made, aligned).same_features


def test_other_queries_cannot_be_compared_and_none_give_no_verdict():
    fewer = ReIDDataset("toys", DATASET.root, "CSV", "", (), DATASET.query[:2], DATASET.gallery, "cross_camera")
    with pytest.raises(ProtocolError, match="different images"):
        compare_evaluations(TITLES, evaluation(WORSE), evaluation(WORSE, fewer))
    assert compare_evaluations(TITLES, without_match(WORSE), without_match(BETTER)) is None
