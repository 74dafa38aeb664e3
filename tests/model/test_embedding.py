import pytest
import torch
from torch.nn.functional import normalize

from ssrnet.errors import SettingsError
from ssrnet.model.embedding import EmbeddingSettings, embed

BEFORE = {"G": torch.randn(2, 4), "attn": torch.randn(2, 3), "token": torch.randn(2, 3)}
AFTER = {branch: feature + 10 for branch, feature in BEFORE.items()}


def test_by_default_the_features_after_the_neck_are_concatenated():
    assert torch.equal(embed(BEFORE, AFTER, EmbeddingSettings()), torch.cat(list(AFTER.values()), 1))


def test_before_the_neck():
    assert torch.equal(embed(BEFORE, AFTER, EmbeddingSettings(neck="before")), torch.cat(list(BEFORE.values()), 1))


def test_each_branch_normalised_weighs_the_same():
    parts = embed(BEFORE, AFTER, EmbeddingSettings(normalise_branches=True)).split([4, 3, 3], dim=1)
    for part, feature in zip(parts, AFTER.values()):
        assert torch.allclose(part, normalize(feature)) and torch.allclose(part.norm(dim=1), torch.ones(2))


def test_chosen_branches_keep_the_models_order():
    chosen = embed(BEFORE, AFTER, EmbeddingSettings(branches=("token", "G")))
    assert torch.equal(chosen, torch.cat([AFTER["G"], AFTER["token"]], 1))


def test_a_branch_that_the_model_lacks_is_named():
    with pytest.raises(SettingsError, match="no branch part1; it has G, attn, token"):
        embed(BEFORE, AFTER, EmbeddingSettings(branches=("G", "part1")))
