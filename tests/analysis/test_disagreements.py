"""Pairs that two models rank differently, against a count by hand."""

import numpy as np
import pytest
import torch

from ssrnet.analysis import disagreements as module
from ssrnet.analysis.disagreements import disagreements
from ssrnet.errors import DataError


def by_hand(x):
    """The rank of each pair of rows, and the cosines."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines, n = unit @ unit.T, len(x)
    ranks = {}
    for a in range(n):
        for b in range(a + 1, n):
            one, other = (
                1 + sum(cosines[i, k] > cosines[i, j] for k in range(n) if k not in (i, j)) for i, j in ((a, b), (b, a))
            )
            ranks[a, b] = min(one, other)
    return ranks, cosines


@pytest.mark.parametrize("block", [module.BLOCK_ELEMENTS, 50])
def test_ranks_and_order_against_a_count_by_hand(monkeypatch, block):
    monkeypatch.setattr(module, "NEAR", 2)
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", block)
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(14, 6)), generator.normal(size=(14, 4))
    (first, in_first), (second, in_second) = by_hand(x), by_hand(y)
    calls = []
    listed = disagreements(torch.tensor(x), torch.tensor(y), lambda *done: calls.append(done))
    expected = [pair for pair in first if min(first[pair], second[pair]) <= 2 and first[pair] != second[pair]]
    expected.sort(key=lambda p: (-max(first[p], second[p]) / min(first[p], second[p]), min(first[p], second[p]), p))
    assert [(each.a, each.b) for each in listed] == expected
    for each in listed:
        pair = each.a, each.b
        assert each.ranks == (first[pair], second[pair])
        assert each.cosines == pytest.approx((in_first[pair], in_second[pair]), abs=1e-6)
    assert calls[-1][0] == calls[-1][1] == len(calls)


def test_models_that_agree_list_nothing():
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert disagreements(x, 2 * x) == [] == disagreements(x[:1], x[:1])
    with pytest.raises(DataError, match="features of 5 images and the other of 4"):
        disagreements(x, x[:4])
