"""A query asked again with answers, against Rocchio's formula by hand."""

import numpy as np
import pytest
import torch

from ssrnet.errors import SettingsError
from ssrnet.retrieval.feedback import FeedbackSettings, asked_again, rank_again


def unit(values):
    return np.asarray(values) / np.linalg.norm(values, axis=-1, keepdims=True)


def test_the_query_asked_again_is_rocchios():
    x = np.random.default_rng(0).normal(size=(6, 5))
    moved = asked_again(*(torch.tensor(each) for each in (x[0], x[1:3], x[3:])), FeedbackSettings(2, 0.5, 0.25))
    expected = unit(2 * unit(x[0]) + 0.5 * unit(x[1:3]).mean(0) - 0.25 * unit(x[3:]).mean(0))
    assert moved.numpy() == pytest.approx(expected, abs=1e-6)


def test_without_answers_it_is_the_query_and_lengths_do_not_matter():
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert asked_again(7 * x[0], x[:0], x[:0]).numpy() == pytest.approx(unit(x[0]), abs=1e-6)
    scaled = asked_again(x[0], 9 * x[1:2], 3 * x[2:])
    assert scaled.numpy() == pytest.approx(asked_again(x[0], x[1:2], x[2:]).numpy(), abs=1e-6)


def test_the_new_list_leaves_out_what_is_answered_and_follows_the_answers():
    angles = torch.deg2rad(torch.tensor([0.0, 40, 55, -45, -60, 180]))
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert [each.index for each in rank_again(features, 0, [], [])] == [1, 3, 2, 4, 5]
    again = rank_again(features, 0, [1], [3])
    assert [each.index for each in again] == [2, 4, 5] and [each.rank for each in again] == [1, 2, 3]
    q = unit(unit([1, 0]) + 0.75 * features[1].numpy() - 0.15 * features[3].numpy())
    assert [each.cosine for each in again] == pytest.approx(
        [float(features[i].numpy() @ q) for i in (2, 4, 5)], abs=1e-6
    )
    assert [each.index for each in rank_again(features, 0, [1], [3], top_k=1)] == [2]
    assert rank_again(features[:2], 0, [1], []) == []


@pytest.mark.parametrize("weights", [(0, 1, 1), (1, -1, 0), (1, 0, -1)])
def test_weights_that_are_none_are_one_sentence(weights):
    with pytest.raises(SettingsError, match="the first must be positive, the others at least 0"):
        FeedbackSettings(*weights)
