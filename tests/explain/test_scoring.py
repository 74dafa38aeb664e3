"""AP and gt of a list written down by hand, and against the evaluation's own on random lists."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.explain.scoring import score_query
from ssrnet.retrieval.ranking import rank
from tests.explain.test_shares import split_of


def test_a_list_by_hand():
    """Ranked: match, wrong, junk, match, wrong; so matches at ranks 1 and 3, and AP = (1/1 + 2/3) / 2."""
    query = VehicleImage(Path("/nowhere"), "q.jpg", "a", "c1")
    cameras = [("a", "c2"), ("b", "c2"), ("a", "c1"), ("a", "c3"), ("b", "c3")]
    gallery = tuple(VehicleImage(Path("/nowhere"), f"{i}.jpg", *each) for i, each in enumerate(cameras))
    split = Split((query,), gallery, same_camera_is_junk=True)
    angle = torch.arange(1, 6) / 10
    score = score_query(rank(torch.tensor([[1.0, 0.0]]), torch.stack([angle.cos(), angle.sin()], 1), split, top_k=4))
    assert [(step.number, step.rank, step.index) for step in score.steps] == [(1, 1, 0), (2, 3, 3)]
    assert score.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert [score.gt(K) for K in (1, 2, 5)] == [1, 1, 1]


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_the_rankings_own(seed):
    split = split_of(6, 30, seed)
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(6, 4, generator=generator), torch.randn(30, 4, generator=generator).round()
    ranking = rank(x, y, split, top_k=30)
    for query in range(6):
        score = score_query(ranking, query)
        np.testing.assert_allclose(score.average_precision, ranking.average_precision[query])
        assert [score.gt(K) for K in (1, 3, 9)] == [int(0 < ranking.first_hit[query] <= K) for K in (1, 3, 9)]
