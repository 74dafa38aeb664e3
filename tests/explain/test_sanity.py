"""Randomised weights: which are random at which stage, and the correlation that judges maps."""

import numpy as np
import pytest
import torch

from ssrnet.explain.sanity import cascade, rank_correlation, stages
from tests import tiny

BACKBONE = ["layer4", "layer3", "layer2", "layer1", "stem"]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["heads", "attention", *BACKBONE]),
        (tiny.BASELINE, ["heads", *BACKBONE]),
        ({"attention": "stn"}, ["heads", *BACKBONE]),
        ({"parts": "pcb"}, ["heads", "attention", *BACKBONE]),
    ],
)
def test_each_stage_adds_to_those_before_and_the_model_stays(changes, names):
    model = tiny.network(num_classes=3, **changes)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    embedding = model.trace(tiny.images()).embedding()
    changed, seen = [], []
    for name, shaken in cascade(model):
        seen.append(name)
        assert shaken is not model and not shaken.training
        state = shaken.state_dict()
        changed.append({key for key in state if not torch.equal(state[key], before[key])})
        assert not torch.equal(shaken.trace(tiny.images()).embedding(), embedding)
    assert seen == names == list(stages(model))
    for earlier, later in zip(changed, changed[1:]):
        assert earlier < later
    weights = {key for key in before if key.endswith("weight") and not key.startswith("classifiers.")}
    constant = {key for key in weights if (before[key] == before[key].flatten()[0]).all()}  # as they start, in norms
    assert changed[-1] >= weights - constant
    assert not any(key.startswith(("backbone.", "attention.")) for key in changed[0])
    after = model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_the_same_seed_draws_the_same_weights_and_leaves_the_generator():
    model = tiny.network()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    last = [[shaken for _, shaken in cascade(model, seed)][-1].state_dict() for seed in (1, 1, 2)]
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(last[0]["backbone.conv1.weight"], last[1]["backbone.conv1.weight"])
    assert not torch.equal(last[0]["backbone.conv1.weight"], last[2]["backbone.conv1.weight"])


def test_rank_correlation_by_hand():
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    # ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15)
    assert rank_correlation(a, np.array([[20.0, 10.0], [40.0, 30.0]])) == pytest.approx(0.6)
    assert rank_correlation(a, np.ones((2, 2))) == 0
