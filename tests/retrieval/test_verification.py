from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import gaussian_kde

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import ProtocolError
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.verification import BINS, EDGES, LEAST_BANDWIDTH, smoothed, verify


def image(name, vehicle, camera):
    return VehicleImage(Path(name), name, vehicle, camera)


QUERY = (image("q1", "a", "c1"), image("q2", "b", "c1"))
GALLERY = (image("g1", "a", "c2"), image("g2", "b", "c2"), image("g3", "a", "c1"))
ANGLES = {"q1": 0, "g1": 60, "g2": 90, "q2": 90, "g3": 0}
"""Degrees of unit vectors; cosines: q1 with g1 0.5 (same), g2 0 (different), g3 junk; q2 with g1 0.866, g2 1, g3 0."""


@pytest.fixture
def split():
    return Split(QUERY, GALLERY, same_camera_is_junk=True, excluded_vehicles=0)


@pytest.fixture
def features():
    angles = np.deg2rad([ANGLES[one.name] for one in (*QUERY, *GALLERY)])
    vectors = torch.tensor(np.stack([np.cos(angles), np.sin(angles)], 1), dtype=torch.float32)
    return FeatureSet(vectors, tuple(one.name for one in (*QUERY, *GALLERY)), {"G": 2})


def test_rates_by_hand(features, split):
    """Same: 0.5 and 1. Different: 0 (q1, g2), 0.866 (q2, g1), 0 (q2, g3). q1 with g3 is junk."""
    verification = verify(features, split)
    assert (verification.same.sum(), verification.different.sum()) == (2, 3)
    for threshold, rates in {-1: (1, 0), 0.3: (1 / 3, 0), 0.6: (1 / 3, 1 / 2), 0.9: (0, 1 / 2), 1: (0, 1)}.items():
        assert verification.rates(threshold) == pytest.approx(rates)


def test_the_roc_rises_from_nothing_accepted_to_all(features, split):
    false_match, true_match = verify(features, split).roc()
    assert (false_match[0], true_match[0], false_match[-1], true_match[-1]) == (0, 0, 1, 1)
    assert (np.diff(false_match) >= 0).all() and (np.diff(true_match) >= 0).all()
    assert (false_match[true_match >= 0.5].min(), false_match[true_match >= 1].min()) == pytest.approx((0, 1 / 3))


def test_the_equal_error_threshold_balances_both(features, split):
    verification = verify(features, split)
    threshold, rate = verification.equal_error()
    both = verification.rates(threshold)
    assert rate == pytest.approx(sum(both) / 2) and 0.5 < threshold < 0.87
    assert abs(both.false_match - both.false_non_match) <= 1 / 6 + 1e-9


@pytest.mark.parametrize(("gallery", "lacks"), [(GALLERY[1:2], "the first"), (GALLERY[:1], "the second")])
def test_pairs_of_both_kinds_are_needed(features, split, gallery, lacks):
    with pytest.raises(ProtocolError, match=f"lack {lacks}"):
        verify(features, replace(split, query=QUERY[:1], gallery=gallery))


def test_densities_have_an_area_of_one_and_lie_where_the_pairs_do(features, split):
    for one, mean in zip(verify(features, split).densities, (0.75, 0.866 / 3), strict=True):
        assert np.trapezoid(one.density, one.at) == pytest.approx(1, abs=0.01)
        assert np.trapezoid(one.density * one.at, one.at) == pytest.approx(mean, abs=0.1)


def test_a_density_is_that_of_scipy_where_no_end_is_near():
    cosines = np.random.default_rng(0).normal(0.2, 0.1, 300)
    counts = np.histogram(cosines, EDGES)[0]
    one = smoothed(counts)
    oracle = gaussian_kde(cosines, bw_method=one.bandwidth / cosines.std(ddof=1))
    assert one.density == pytest.approx(oracle(one.at), abs=0.02)
    quartiles = np.percentile(cosines, (25, 75))
    spread = min(cosines.std(), np.diff(quartiles)[0] / 1.34)
    assert one.bandwidth == pytest.approx(0.9 * spread * 300**-0.2, rel=0.01)


def test_pairs_at_the_end_of_the_scale_keep_their_mass_within_it():
    counts = np.zeros(BINS, dtype=np.int64)
    counts[-1] = 5
    one = smoothed(counts)
    assert one.bandwidth == LEAST_BANDWIDTH
    assert np.trapezoid(one.density, one.at) == pytest.approx(1, abs=0.01)
    assert one.density[-1] == pytest.approx(2 / (LEAST_BANDWIDTH * np.sqrt(2 * np.pi)), rel=0.01)
