"""The paper's objective (Eqs. 5 to 7) and the rows of its Table 6, built from pytorch-metric-learning.

That library's defaults are set aside where the paper differs: its distances L2-normalise and its
reducers average over non-zero terms only, while Eq. 6 takes Euclidean distances of the features as
they are and all P x K anchors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from pytorch_metric_learning import distances, losses, reducers
from torch import Tensor, nn

from ssrnet.errors import SettingsError

LossName = Literal[
    "cross_entropy",
    "circle",
    "circle+triplet",
    "cross_entropy+triplet",
    "cross_entropy+contrastive",
    "cross_entropy+lifted",
    "cross_entropy+instance",
]


@dataclass(frozen=True)
class LossSettings:
    """The training objective. The defaults are the paper's."""

    name: LossName = "cross_entropy+triplet"
    """Row of Table 6. The second term is weighted by beta."""
    beta: float = 1.0
    """Balance of Eq. 7, at least 0 (Table 5)."""
    margin: float = 0.5
    """Alpha of Eq. 6, and the negative margin of the contrastive and lifted losses is 1 as in their papers."""
    reduction: Literal["mean", "sum"] = "mean"
    """Eq. 6 sums over the P x K anchors; the mean is our default, since it keeps beta = 1 meaningful beside Eq. 5."""
    label_smoothing: float = 0.0
    """Share of each target spread over all classes; 0 is Eq. 5 as written."""

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise SettingsError(f"beta is {self.beta:g}; the balance of Eq. 7 cannot be negative.")
        if not 0 <= self.label_smoothing < 1:
            raise SettingsError(f"label_smoothing is {self.label_smoothing:g}; it must lie in [0, 1).")


class BatchHardTriplet(nn.Module):
    """Eq. 6: for each anchor the farthest positive against the nearest negative, Euclidean, not normalised.

    Anchors without a positive or a negative in the batch have no term (PK batches have none such). The library's
    miner and loss give the same numbers, but pick triplets by index, for which Python waits for the GPU each time;
    here the whole matrix is masked.
    """

    def __init__(self, margin: float, reduction: Literal["mean", "sum"]) -> None:
        super().__init__()
        self.distance = distances.LpDistance(normalize_embeddings=False, p=2)
        self.margin, self.reduction = margin, reduction

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        d = self.distance(features)  # (B, B)
        same = labels[:, None] == labels[None, :]
        positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        farthest = d.masked_fill(~positive, -torch.inf).max(1).values  # (B,)
        nearest = d.masked_fill(same, torch.inf).min(1).values
        has_term = positive.any(1) & ~same.all(1)
        # Set before the difference: infinity less infinity would make the gradient NaN.
        farthest, nearest = (torch.where(has_term, side, 0.0) for side in (farthest, nearest))
        terms = torch.where(has_term, torch.relu(farthest - nearest + self.margin), 0.0)
        return terms.sum() if self.reduction == "sum" else terms.sum() / has_term.sum().clamp_min(1)


class InstanceLoss(nn.Module):
    """'Instance' loss [82] (Zheng et al., TOMM 2020), read as every image of the batch being its own class.

    [82] trains a classifier with one class an image group; inside a Re-ID batch that is a softmax over
    cosine similarities to all images of the batch (temperature 1/64, the library's default), whose
    target is the image itself.
    """

    def __init__(self, reducer: reducers.BaseReducer) -> None:
        super().__init__()
        self.loss = losses.InstanceLoss(reducer=reducer)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        return self.loss(features, torch.arange(len(labels), device=labels.device))


def build_metric_loss(name: str, settings: LossSettings) -> nn.Module:
    """A loss of (features (B, D), labels (B,)). Circle has m = 0.4 and gamma = 80, the library's values."""
    reducer = reducers.MeanReducer() if settings.reduction == "mean" else reducers.SumReducer()
    if name == "triplet":
        return BatchHardTriplet(settings.margin, settings.reduction)
    if name == "circle":
        return losses.CircleLoss(reducer=reducer)
    if name == "contrastive":
        return losses.ContrastiveLoss(reducer=reducer)
    if name == "lifted":
        return losses.LiftedStructureLoss(reducer=reducer)
    return InstanceLoss(reducer)


class Objective(NamedTuple):
    """``total`` to differentiate; ``terms`` detached, by "term/branch", before beta and branch weights."""

    total: Tensor
    terms: dict[str, Tensor]


class ReIDLoss(nn.Module):
    """Eq. 7 over any set of branches: sum of classification terms plus beta times the metric terms.

    Cross-entropy acts on the logits after the neck; circle and every other metric loss on the
    features before it (paper, Sec. 3.5).
    """

    def __init__(self, settings: LossSettings = LossSettings()) -> None:
        super().__init__()
        self.settings = settings
        names = settings.name.split("+")
        self.weights = dict(zip(names, (1.0, settings.beta)))
        self.cross_entropy = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
        self.metric = nn.ModuleDict({n: build_metric_loss(n, settings) for n in names if n != "cross_entropy"})

    def forward(
        self,
        features: Mapping[str, Tensor],
        logits: Mapping[str, Tensor],
        labels: Tensor,
        branch_weights: Mapping[str, float] | None = None,
    ) -> Objective:
        """features: by branch (B, dim), before the neck. logits: by branch (B, classes). labels: (B,) int64."""
        total = labels.new_zeros((), dtype=torch.float32)
        terms = {}
        for branch, feature in features.items():
            branch_weight = 1.0 if branch_weights is None else branch_weights[branch]
            for name, weight in self.weights.items():
                if name == "cross_entropy":
                    term = self.cross_entropy(logits[branch], labels)
                else:
                    term = self.metric[name](feature, labels)
                terms[f"{name}/{branch}"] = term.detach()
                total = total + branch_weight * weight * term
        return Objective(total, terms)
