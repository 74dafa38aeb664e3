"""Do maps depend on what the network learnt? Randomised weights (Adebayo et al., Sanity Checks for Saliency Maps,
NeurIPS 2018).

A copy of the network loses its training stage by stage, from the output to the image, each stage on top of those
before ("cascading randomisation"). A map that stays as it was explains the image, not the network.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from scipy import stats
from torch import nn

from ssrnet.model import SSRNet

SHIFT = 7919
"""So that a network whose training began from the same seed is not given its own first weights."""


def stages(model: SSRNet) -> dict[str, list[nn.Module]]:
    """The network's parts from its output to the image; a variant's absent parts are left out."""
    backbone = model.backbone
    parts: dict[str, list[nn.Module | None]] = {
        "heads": [model.necks, model.graph, model.stripes, model.attention_head],
        "attention": [model.attention],
        "layer4": [backbone.layer4],
        "layer3": [backbone.layer3],
        "layer2": [backbone.layer2],
        "layer1": [backbone.layer1],
        "stem": [backbone.conv1, backbone.bn1, model.transformer],
    }
    there = {name: [module for module in modules if module is not None] for name, modules in parts.items()}
    return {name: own for name, own in there.items() if any(module.state_dict() for module in own)}


def cascade(model: SSRNet, seed: int = 0) -> Iterator[tuple[str, SSRNet]]:
    """(stage, a copy of ``model`` in which this stage and all nearer to the output are untrained).

    Untrained is as :class:`SSRNet` is built, batch norms' statistics and the learned token included, drawn from
    ``seed``. ``model`` is only read; the copy is one and the same object, changed from stage to stage, in evaluation
    mode and asking for no gradients.
    """
    shaken = copy.deepcopy(model).eval().requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(seed + SHIFT)
        fresh = SSRNet(model.settings)
    for (name, own), new in zip(stages(shaken).items(), stages(fresh).values(), strict=True):
        for module, untrained in zip(own, new, strict=True):
            module.load_state_dict(untrained.state_dict())
        yield name, shaken


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of two maps over their cells, in [-1, 1]; 0 where one of them is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(stats.spearmanr(a.ravel(), b.ravel()).statistic)
