"""Classifiers that start as each vehicle's mean feature, for runs that go on from another run's weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ssrnet.data.pixels import Pixels
from ssrnet.data.transforms import to_input
from ssrnet.model import SSRNet
from ssrnet.training.distributed import Processes
from ssrnet.training.network import autocast, set_training_mode
from ssrnet.training.settings import TrainSettings

IMAGES_PER_VEHICLE = 4
BATCH = 32
LOGIT = 9.0
"""Logit of a vehicle's mean feature. With label smoothing 0.1 over 900 vehicles, cross-entropy is lowest at 9.1."""


@torch.no_grad()
def imprint_classifiers(
    model: SSRNet, pixels: Pixels, labels: Sequence[int], settings: TrainSettings, group: Processes
) -> None:
    """Sets each vehicle's row of every classifier to its mean feature (Qi et al., "Imprinted Weights", CVPR 2018).

    ``labels`` gives the vehicle of each image of ``pixels``. A few images of each vehicle pass once, in training mode,
    so that batch norms measure their statistics anew as well: the loaded weights may come from another padding or
    attention. Random classifiers would need some epochs before cross-entropy guides the features.
    """
    chosen = _some_of_each(labels, settings.seed)
    set_training_mode(model, settings)
    before: dict[str, list[Tensor]] = {branch: [] for branch in model.branches}
    batches = [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]
    if len(batches) > 1 and len(batches[-1]) < BATCH // 2:  # too few for batch statistics
        batches[-2:] = [batches[-2] + batches[-1]]
    bar = tqdm(pixels.batches(batches), total=len(batches), desc="classifiers", leave=False, disable=not group.first)
    for images in bar:
        with autocast(settings, group.device):
            features, _ = model(to_input(images.to(group.device)))
        for branch, rows in features.items():
            before[branch].append(rows.float())
    targets = torch.tensor([labels[row] for row in chosen], device=group.device)
    for branch, classifier in model.classifiers.items():
        rows = torch.cat(before[branch])  # (N, dim)
        rows = (rows - rows.mean(0)) / (rows.var(0, correction=0) + model.necks[branch].eps).sqrt()
        rows = rows * model.necks[branch].weight
        sums = torch.zeros_like(classifier.weight).index_add_(0, targets, rows)  # (vehicles, dim)
        means = sums / torch.bincount(targets, minlength=len(sums)).clamp_min(1)[:, None]
        classifier.weight.copy_(LOGIT * means / means.square().sum(1).mean())


def _some_of_each(labels: Sequence[int], seed: int) -> list[int]:
    """Positions of up to :data:`IMAGES_PER_VEHICLE` images of each vehicle, in an order drawn by ``seed``."""
    generator = np.random.Generator(np.random.PCG64(seed))
    rows_of: dict[int, list[int]] = {}
    for row in generator.permutation(len(labels)).tolist():
        rows_of.setdefault(labels[row], []).append(row)
    chosen = [row for rows in rows_of.values() for row in rows[:IMAGES_PER_VEHICLE]]
    return [chosen[i] for i in generator.permutation(len(chosen))]
