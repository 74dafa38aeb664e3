"""The learning rate over a run, and the parameter groups it acts on."""

from __future__ import annotations

import math

import torch
from torch import nn

from ssrnet.model import SSRNet
from ssrnet.training.settings import OptimiserSettings, TrainSettings


def learning_rate_factor(epoch: float, epochs: int, settings: OptimiserSettings) -> float:
    """Share of the peak rate at a fractional epoch, in [0, 1]: warm-up, plateau, cosine to 0 at ``epochs``."""
    if epoch < settings.warmup_epochs:
        return 0.01 + 0.99 * epoch / settings.warmup_epochs
    if epoch < settings.decay_epoch:
        return 1.0
    progress = (epoch - settings.decay_epoch) / max(epochs - settings.decay_epoch, 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def build_optimiser(model: SSRNet, settings: TrainSettings) -> torch.optim.Optimizer:
    """One optimiser with two groups, on the model's device: the backbone's weights, and all new layers.

    The MLP of channel attention is new too, but learns at the backbone's rate, so that M_c does not saturate early.
    """
    optimiser = settings.optimiser
    slow = [*model.backbone.parameters(), *getattr(model.attention, "mlp", nn.Module()).parameters()]
    backbone = [p for p in slow if p.requires_grad]
    known = {id(p) for p in slow}
    new = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    groups = [
        {"params": backbone, "peak": optimiser.learning_rate},
        {"params": new, "peak": optimiser.learning_rate * optimiser.new_layers},
    ]
    rates = {"lr": optimiser.learning_rate, "weight_decay": optimiser.weight_decay}
    # One kernel for all parameters; on a CPU the plain loop is as fast.
    fused = True if next(model.parameters()).device.type == "cuda" else None
    if optimiser.name == "sgd":
        return torch.optim.SGD(groups, **rates, momentum=optimiser.momentum, fused=fused)
    return torch.optim.AdamW(groups, **rates, fused=fused)


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Sets every group to its peak times ``factor``."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor
