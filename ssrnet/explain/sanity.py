"""Sanity checks of maps by randomised weights (Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018).

A copy of the network loses its training stage by stage, from the output to the image ("cascading randomisation").
A map that does not change explains the image, not the network.
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
"""Added to the seed, so that a network trained from the same seed does not get its initial weights again."""


def stages(model: SSRNet) -> dict[str, list[nn.Module]]:
    """The network's modules by stage, from the output to the image, without those that a variant lacks."""
    backbone = model.backbone
    by_stage: dict[str, list[nn.Module | None]] = {
        "heads": [model.necks, model.graph, model.stripes, model.attention_head],
        "attention": [model.attention],
        **{name: list(backbone.stage(name)) for name in reversed(tuple(backbone.stages))},
    }
    next(reversed(by_stage.values())).append(model.transformer)  # it warps the image before the first stage
    present = {name: [module for module in modules if module is not None] for name, modules in by_stage.items()}
    return {name: modules for name, modules in present.items() if any(module.state_dict() for module in modules)}


def cascade(model: SSRNet, seed: int = 0) -> Iterator[tuple[str, SSRNet]]:
    """Yields (stage, a copy of ``model`` whose stages from the output to this one are untrained).

    Untrained weights are those of a new :class:`SSRNet`, batch norms' statistics and the learned token included, drawn
    from ``seed``. ``model`` is only read. Every yield has the same copy, changed from stage to stage, in evaluation
    mode and without gradients.
    """
    randomised = copy.deepcopy(model).eval().requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(seed + SHIFT)
        fresh = SSRNet(model.settings)
    for (name, modules), fresh_modules in zip(stages(randomised).items(), stages(fresh).values(), strict=True):
        for module, untrained in zip(modules, fresh_modules, strict=True):
            module.load_state_dict(untrained.state_dict())
        yield name, randomised


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of two maps over their cells, in [-1, 1]; 0 where one of them is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(stats.spearmanr(a.ravel(), b.ravel()).statistic)
