"""Sentences about the paper's order, from vehicles whose scores are made up."""

import numpy as np
import pytest

from ssrnet.retrieval.metric_intervals import METRICS, VehicleSums
from ssrnet.studies.orders import order_sentence, ordered_pairs
from ssrnet.studies.paper import paper_tables

T = paper_tables()
VEHICLES = 40


def scored(mAP: float, spread: float = 0.0, seed: int = 0) -> VehicleSums:
    """Four queries of each of 40 vehicles, whose mean mAP is ``mAP``, differing between vehicles by ``spread``."""
    values = mAP + spread * np.random.default_rng(seed).standard_normal(VEHICLES)
    sums = np.repeat(4 * values[None, :, None], len(METRICS), axis=2)
    return VehicleSums(np.array([f"{v:02}" for v in range(VEHICLES)]), np.full((1, VEHICLES), 4.0), sums)


def test_the_papers_pairs_are_ordered_by_mAP_or_in_words():
    assert ordered_pairs(T["Table 4"]) == [("l = 3", "l = 1"), ("l = 3", "l = 2"), ("l = 1", "l = 2")]
    assert len(ordered_pairs(T["Table 1"])) == 21
    words = ordered_pairs(T["Fig. 4"])
    assert len(words) == 13 and ("λ = 1", "λ = 2/3") in words and ("λ = 1/8", "λ = 1") not in words


@pytest.mark.parametrize("name", [f"Table {n}" for n in range(1, 7)])
def test_every_trained_table_of_the_paper_has_an_order(name):
    rows = len(T[name].rows)
    assert len(ordered_pairs(T[name])) == rows * (rows - 1) // 2, "no two rows of a table have one mAP"


def test_an_order_that_holds():
    sums = {"l = 3": scored(0.2), "l = 1": scored(0.3), "l = 2": scored(0.4)}
    assert order_sentence(T["Table 4"], sums, "On toys by rule") == (
        "On toys by rule, of the 3 pairs of rows that the paper orders by mAP on VeRi-776, the order holds beyond "
        "chance for 3, is reversed beyond chance for 0, and is within chance for 0. l = 2, highest of them in the paper, is highest "
        "here, beyond chance over 2 of the 2 others."
    )


def test_an_order_that_does_not_hold_and_differences_within_chance():
    sums = {"l = 3": scored(0.5), "l = 1": scored(0.3, 0.3, seed=1), "l = 2": scored(0.3, 0.3, seed=2)}
    said = order_sentence(T["Table 4"], sums, "On toys by rule")
    assert "holds beyond chance for 0, is reversed beyond chance for 2, and is within chance for 1." in said
    assert said.endswith(" over l = 2, which is highest in the paper: beyond chance.")
    assert " l = 3 is highest here, +" in said
    noisy = {"l = 3": scored(0.1), "l = 1": scored(0.31, 0.3, seed=1), "l = 2": scored(0.31, 0.3, seed=2)}
    mean = {label: sums.values.sum() for label, sums in noisy.items()}
    first, second = sorted(("l = 1", "l = 2"), key=mean.get, reverse=True)
    renamed = {"l = 3": noisy["l = 3"], "l = 1": noisy[first], "l = 2": noisy[second]}
    assert order_sentence(T["Table 4"], renamed, "x").endswith(
        "over l = 2, which is highest in the paper: within chance."
    )


def test_two_rows_are_one_difference():
    said = order_sentence(T["Table 3"], {"PCB": scored(0.4), "SSR-Net": scored(0.3)}, "On toys by rule")
    assert said == (
        "On toys by rule, SSR-Net, ahead in the paper, differs from PCB by −10.0, −10.0 to −10.0 points of mAP: the other way "
        "round."
    )


def test_rows_that_the_paper_has_not_and_single_rows_say_nothing():
    assert order_sentence(T["Table 4"], {"l = 2": scored(0.3), "l = 9": scored(0.4)}, "x") == ""
    assert order_sentence(T["Fig. 4"], {"λ = 1/8": scored(0.1), "λ = 2/3": scored(0.2)}, "x").startswith(
        "x, λ = 2/3, ahead"
    )


def test_few_vehicles_tell_no_order():
    few = VehicleSums(np.array(["a", "b"]), np.full((1, 2), 4.0), np.ones((1, 2, len(METRICS))))
    said = order_sentence(T["Table 3"], {"PCB": few, "SSR-Net": few}, "On toys (rule)")
    assert said == "On toys (rule), 2 query vehicles are too few to tell an order of rows from chance."
