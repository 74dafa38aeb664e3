from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ssrnet.training.schedule import build_optimiser, learning_rate_factor, set_learning_rate
from ssrnet.training.settings import OptimiserSettings
from tests import tiny

PAPER = OptimiserSettings()


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [
        (0, 0.01),
        (2.5, 0.01 + 0.99 / 2),  # linear over the first 5 epochs
        (4, 0.01 + 0.99 * 0.8),
        (5, 1),
        (10, 1),
        (14.99, 1),
        (15, 1),  # cosine from here to 60: cos(0), cos(60 deg), cos(90 deg), cos(120 deg), cos(180 deg)
        (30, 0.75),
        (37.5, 0.5),
        (45, 0.25),
        (60, 0),
        (70, 0),
    ],
)
def test_warm_up_plateau_and_cosine_of_the_paper(epoch, factor):
    assert learning_rate_factor(epoch, 60, PAPER) == pytest.approx(factor, abs=1e-9)


def test_without_warm_up_or_decay():
    assert learning_rate_factor(0, 10, replace(PAPER, warmup_epochs=0)) == 1
    assert all(learning_rate_factor(e, 10, replace(PAPER, warmup_epochs=0)) == 1 for e in range(10))
    assert learning_rate_factor(3, 3, replace(PAPER, warmup_epochs=0, decay_epoch=3)) == 1


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_the_optimiser_has_every_trained_parameter_once(name, kind):
    model = tiny.network(num_classes=5)
    model.backbone.freeze(2)
    optimiser_settings = OptimiserSettings(name=name, learning_rate=0.01, new_layers=10, weight_decay=0.02)
    settings = tiny.training(Path(), Path(), optimiser=optimiser_settings)
    optimiser = build_optimiser(model, settings)
    assert type(optimiser) is kind
    given = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert sorted(given) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    in_backbone = {id(p) for p in [*model.backbone.parameters(), *model.attention.mlp.parameters()]}
    backbone, new = optimiser.param_groups
    assert {id(p) for p in backbone["params"]} < in_backbone and not {id(p) for p in new["params"]} & in_backbone
    set_learning_rate(optimiser, 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == [0.005, pytest.approx(0.05)]
    assert all(group["weight_decay"] == 0.02 for group in optimiser.param_groups)
    if name == "sgd":
        assert all(group["momentum"] == 0.9 for group in optimiser.param_groups)
