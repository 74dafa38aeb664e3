"""The paper's objective (Eqs. 5 to 7) and the rows of its Table 6, built from pytorch-metric-learning.

The triplet loss sets that library's defaults aside: its distances L2-normalise and its reducers average over
non-zero terms only, while Eq. 6 takes Euclidean distances of the features as they are and all P x K anchors.
Contrastive and lifted L2-normalise as the library does, unless told otherwise; circle and instance are losses of
cosines. Table 6 names its losses and no more: the settings of each are listed in ``ssrnet/studies/readings.json``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from pytorch_metric_learning import distances, losses, reducers
from torch import Tensor, nn
from torch.nn import functional as F

from ssrnet.errors import SettingsError

ClassificationName = Literal["cross_entropy", "circle"]
ReductionName = Literal["mean", "sum"]
MetricName = Literal["none", "triplet", "circle", "contrastive", "lifted", "instance"]


@dataclass(frozen=True)
class LossSettings:
    """The training objective of Eq. 7: a classification term plus beta times a metric term, for each branch.

    The defaults are the paper's; Table 6 compares other pairs.
    """

    classification: ClassificationName = "cross_entropy"
    """Cross-entropy on the logits, or circle loss on the features in its place ("Circle" in Table 6)."""
    metric: MetricName = "triplet"
    """Metric loss on the features before the neck."""
    beta: float = 1.0
    """Weight of the metric loss in Eq. 7, at least 0 (Table 5)."""
    margin: float = 0.5
    """Alpha of Eq. 6. The contrastive and lifted losses keep their papers' negative margin of 1."""
    reduction: ReductionName = "mean"
    """Over the batch, for metric losses and circle. Eq. 6 as printed sums; the mean weighs it as Eq. 5, a mean too."""
    label_smoothing: float = 0.0
    """Share of each target spread over all classes; 0 is Eq. 5 as written."""
    circle_level: Literal["pair", "class"] = "pair"
    """Circle loss on the cosines of a batch's pairs, or of its images and the classifiers' weights (Sun et al. [55])."""
    circle_margin: float = 0.4
    """m of the circle loss. Its authors: 0.4 for fine-grained retrieval, 0.25 for person Re-ID."""
    circle_scale: float = 80.0
    """Gamma of the circle loss. Its authors: 80 for fine-grained retrieval, 128 for person Re-ID."""
    normalise_pairs: bool = True
    """Whether the contrastive and lifted losses L2-normalise the features first."""
    instance_classes: Literal["image", "vehicle"] = "image"
    """What the instance loss tells apart: a batch's images, each from all others, or its vehicles."""

    def __post_init__(self) -> None:
        choices = {
            "classification": get_args(ClassificationName),
            "metric": get_args(MetricName),
            "reduction": get_args(ReductionName),
            "circle_level": ("pair", "class"),
            "instance_classes": ("image", "vehicle"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise SettingsError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(known)}.")
        if self.classification == self.metric:
            raise SettingsError(f"classification and metric are both {self.metric}; set one of them to another loss.")
        if self.metric == "circle" and self.circle_level == "class":
            raise SettingsError(
                "circle_level is class and circle is the metric loss; a circle loss over classes takes the place of "
                "cross-entropy: set classification to circle."
            )
        for name in ("beta", "margin", "circle_margin", "circle_scale"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SettingsError(f"{name} is {getattr(self, name):g}; give a number of at least 0.")
        if not 0 <= self.label_smoothing < 1:
            raise SettingsError(f"label_smoothing is {self.label_smoothing:g}; it must lie in [0, 1).")

    @property
    def weights(self) -> dict[str, float]:
        """The terms of Eq. 7 with their weights, classification first."""
        terms = {self.classification: 1.0, self.metric: self.beta}
        return {name: weight for name, weight in terms.items() if name != "none"}

    @property
    def title(self) -> str:
        """The terms as one word, such as "cross_entropy+triplet"; names of study cells are made from it."""
        return "+".join(self.weights)

    @property
    def trains_classifiers(self) -> bool:
        """Whether classifiers and necks get a gradient."""
        return self.classification == "cross_entropy" or self.compares_classes

    @property
    def compares_classes(self) -> bool:
        """Whether the classification term is a circle loss over classes, whose logits are cosines."""
        return self.classification == "circle" and self.circle_level == "class"

    @property
    def needs_pairs(self) -> bool:
        """Whether a batch must show two images of each vehicle, and two vehicles."""
        alone = {"cross_entropy"} | ({"instance"} if self.instance_classes == "image" else set())
        return not self.weights.keys() <= alone | ({"circle"} if self.compares_classes else set())


class HardestPairs(NamedTuple):
    """Each anchor's farthest positive and nearest negative within a batch, (B,) each: positions, then distances.

    ``has_term``: (B,) bool; anchors without a positive or a negative have distances of 0, and positions that mean nothing.
    """

    positive: Tensor
    negative: Tensor
    farthest: Tensor
    nearest: Tensor
    has_term: Tensor

    def terms(self, margin: float) -> Tensor:
        """(B,) each anchor's term of Eq. 6, 0 where there is none."""
        return torch.where(self.has_term, torch.relu(self.farthest - self.nearest + margin), 0.0)


def hardest_pairs(distance: Tensor, labels: Tensor) -> HardestPairs:
    """Batch-hard mining (Hermans et al., 2017) in distances (B, B) of images with labels (B,)."""
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    farthest, at_positive = distance.masked_fill(~positive, -torch.inf).max(1)  # (B,)
    nearest, at_negative = distance.masked_fill(same, torch.inf).min(1)
    has_term = positive.any(1) & ~same.all(1)
    # Set before the difference: infinity less infinity would make the gradient NaN.
    farthest, nearest = (torch.where(has_term, side, 0.0) for side in (farthest, nearest))
    return HardestPairs(at_positive, at_negative, farthest, nearest, has_term)


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
        pairs = hardest_pairs(self.distance(features), labels)
        terms = pairs.terms(self.margin)
        return terms.sum() if self.reduction == "sum" else terms.sum() / pairs.has_term.sum().clamp_min(1)


class InstanceLoss(nn.Module):
    """'Instance' loss (the paper's [82], Zheng et al., TOMM 2020), read as every image of the batch being its own class.

    [82] trains a classifier with one class an image group; inside a Re-ID batch that is a softmax over
    cosine similarities to all images of the batch (temperature 1/64, the library's default), whose
    target is the image itself. With vehicles as classes the targets are the other images of its vehicle, and the
    image itself is left out (Khosla et al., "Supervised Contrastive Learning", 2020).
    """

    def __init__(self, classes: Literal["image", "vehicle"], reducer: reducers.BaseReducer) -> None:
        super().__init__()
        self.loss = losses.InstanceLoss(reducer=reducer)
        if classes == "vehicle":
            self.loss = losses.SupConLoss(temperature=1 / self.loss.gamma, reducer=reducer)
        self.classes = classes

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        if self.classes == "image":
            labels = torch.arange(len(labels), device=labels.device)
        return self.loss(features, labels)


class ClassCircleLoss(nn.Module):
    """Circle loss over classes (Sun et al., CVPR 2020; the paper's [55]) of cosines (B, classes) with the classifiers.

    With one positive an image it is the cross-entropy of gamma * alpha * (cosine - Delta). Delta is 1 - m for the image's
    class and m for the others; alpha, the distance from the optimum (1 + m, and -m), passes on no gradient.
    """

    def __init__(self, settings: LossSettings) -> None:
        super().__init__()
        self.margin, self.scale, self.reduction = settings.circle_margin, settings.circle_scale, settings.reduction

    def forward(self, cosines: Tensor, labels: Tensor) -> Tensor:
        own = F.one_hot(labels, cosines.shape[1]).bool()
        weight = torch.where(own, 1 + self.margin - cosines.detach(), cosines.detach() + self.margin).relu()
        logits = self.scale * weight * (cosines - torch.where(own, 1 - self.margin, self.margin))
        return F.cross_entropy(logits, labels, reduction=self.reduction)


def reducer(settings: LossSettings) -> reducers.BaseReducer:
    """pytorch-metric-learning's mean or sum over a batch's terms."""
    return reducers.MeanReducer() if settings.reduction == "mean" else reducers.SumReducer()


def pair_distance(settings: LossSettings) -> distances.LpDistance:
    """Euclidean, of unit vectors or of the features as they are."""
    return distances.LpDistance(normalize_embeddings=settings.normalise_pairs, p=2)


FEATURE_LOSSES: dict[str, Callable[[LossSettings], nn.Module]] = {
    "triplet": lambda settings: BatchHardTriplet(settings.margin, settings.reduction),
    "circle": lambda settings: losses.CircleLoss(
        settings.circle_margin, settings.circle_scale, reducer=reducer(settings)
    ),
    "contrastive": lambda settings: losses.ContrastiveLoss(reducer=reducer(settings), distance=pair_distance(settings)),
    "lifted": lambda settings: losses.LiftedStructureLoss(reducer=reducer(settings), distance=pair_distance(settings)),
    "instance": lambda settings: InstanceLoss(settings.instance_classes, reducer(settings)),
}
"""Losses of (features (B, D), labels (B,)) -> scalar. One more needs an entry here and in :data:`MetricName`."""


class Objective(NamedTuple):
    """``total`` to differentiate; ``terms`` detached, by "term/branch", before beta and branch weights."""

    total: Tensor
    terms: dict[str, Tensor]


class ReIDLoss(nn.Module):
    """Eq. 7 over any set of branches: sum of classification terms plus beta times the metric terms.

    Cross-entropy acts on the logits after the neck, as does circle over classes; circle over pairs and every metric loss
    act on the features before it (paper, Sec. 3.5).
    """

    def __init__(self, settings: LossSettings = LossSettings()) -> None:
        super().__init__()
        self.weights = settings.weights
        self.on_logits = nn.ModuleDict()
        if settings.classification == "cross_entropy":
            self.on_logits["cross_entropy"] = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
        elif settings.compares_classes:
            self.on_logits["circle"] = ClassCircleLoss(settings)
        self.on_features = nn.ModuleDict(
            {name: FEATURE_LOSSES[name](settings) for name in self.weights if name not in self.on_logits}
        )

    def forward(
        self,
        features: Mapping[str, Tensor],
        logits: Mapping[str, Tensor],
        labels: Tensor,
        branch_weights: Mapping[str, float] | None = None,
    ) -> Objective:
        """features: by branch (B, dim), before the neck. logits: by branch (B, classes); see ``SSRNet.cosine_logits``.

        labels: (B,) int64.
        """
        total = labels.new_zeros((), dtype=torch.float32)
        terms = {}
        for branch, feature in features.items():
            branch_weight = 1.0 if branch_weights is None else branch_weights[branch]
            for name, weight in self.weights.items():
                if name in self.on_logits:
                    term = self.on_logits[name](logits[branch], labels)
                else:
                    term = self.on_features[name](feature, labels)
                terms[f"{name}/{branch}"] = term.detach()
                total = total + branch_weight * weight * term
        return Objective(total, terms)
