import numpy as np
import pytest

from ssrnet.analysis.ap_differences import delta_histogram


def test_bins_are_centred_and_count_every_query_with_a_match():
    found = delta_histogram(np.array([0.0, 0.02, -0.02, 0.03, -1.0, 1.0, np.nan, 0.48, 0.52]), width=0.05)
    assert len(found.centres) == 41 and found.centres[[0, 20, 40]] == pytest.approx([-1, 0, 1])
    assert {round(float(c), 2): int(n) for c, n in zip(found.centres, found.queries) if n} == {
        -1.0: 1,
        0.0: 3,
        0.05: 1,
        0.5: 2,
        1.0: 1,
    }
    assert (found.worse, found.same, found.better) == (2, 1, 5)


def test_no_query_with_a_match():
    found = delta_histogram(np.array([np.nan]))
    assert not found.queries.any() and (found.worse, found.same, found.better) == (0, 0, 0)
