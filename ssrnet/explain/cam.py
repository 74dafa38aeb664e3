"""Class activation maps of a similarity: where in an image its likeness to another comes from.

Class activation maps need a class, and a vehicle met for the first time has none. Here the number
that is explained is the similarity of two embeddings instead, so no classifier is needed.

All maps have one value a cell of F_G, are never negative, and are not stretched: their unit is that of the
similarity, so that maps of two images can be compared. What each method does with F_G = A and the gradient g
of the similarity (target :class:`SimilarityTarget`), for a channel c and a cell p:

grad-cam
    ReLU(sum_c mean_p(g_c) A_c(p)); Selvaraju et al., ICCV 2017. A channel weighs the same everywhere, which is exact
    for the global branch; of the relation branch, whose crops weigh places apart, a channel that counts in one
    crop is lit up outside of it as well.
grad-cam++
    Weights sum_p alpha_c(p) ReLU(g_c(p)), alpha of Eq. 19; Chattopadhay et al., WACV 2018. Their derivation takes
    exp(score) for the number explained and needs the score linear in A: the projection on the reference is, for the
    global branch; for the other branches and for the cosine it is an approximation.
hires-cam
    ReLU(sum_c g_c(p) A_c(p)); Draelos and Carin, 2020. Where the score is linear in A, its cells before the ReLU add
    up to the score but for a constant, whatever a branch crops: the reference for the others.
layer-cam
    sum_c ReLU(g_c(p)) A_c(p); Jiang et al., TIP 2021. Keeps places apart, but counts only what speaks for the likeness.
eigen-cam
    F_G's first principal component; Muhammad and Yeasin, IJCNN 2020. It looks at neither reference nor branch: a
    control, more than an explanation of a similarity.
score-cam
    See :mod:`ssrnet.explain.score_cam`; the only one that asks the network about masked images.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssrnet.errors import SettingsError
from ssrnet.explain.score_cam import score_cam
from ssrnet.model import EmbeddingSettings, FeatureMap, SSRNet

MethodName = Literal["grad-cam", "grad-cam++", "hires-cam", "layer-cam", "eigen-cam", "score-cam"]
TargetName = Literal["projection", "cosine"]
WHOLE = "all"
"""The key of all branches together, in :func:`each_branch`."""

TAP_UNIT = 2.0**-20
"""pytorch-grad-cam's Grad-CAM++ adds 1e-6 to a sum of squared gradients that are themselves near 1e-8 here, since
each cell has a 256th of a mean's gradient: the constant, not the formula, would set the weights. Measured in
this unit F_G is smaller and its gradient larger, and each product of the two, which is all that the
methods use, stays as it is; a power of two rounds nothing."""

SAME = 1e-6
"""Cosines nearer to 1 are those of an image with itself."""

ONE_AT_A_TIME = threading.Lock()
"""Held while pytorch-grad-cam hooks, differentiates and unhooks. Its hooks and gradients are on a wrapper of each
call's own, so threads could not meet there; but each map takes all cores and keeps F_G's graph in memory."""


@dataclass(frozen=True)
class CamSettings:
    """Which map is drawn."""

    method: MethodName = "grad-cam"
    """Method of the family."""
    target: TargetName = "projection"
    """The number that is explained: see SimilarityTarget."""
    score_channels: int | None = 64
    """Channels that Score-CAM tries, one forward pass each; None tries all, 2048 for the paper's network."""

    def __post_init__(self) -> None:
        if self.score_channels is not None and self.score_channels < 1:
            raise SettingsError(f"score_channels is {self.score_channels}; it must be at least 1.")


@dataclass(frozen=True)
class PairMaps:
    """Both directions of one pair: ``query`` explained by the gallery image and ``gallery`` by the query.

    Each (H, W), at least 0; ``similarity`` is the pair's cosine, in [-1, 1].
    """

    query: np.ndarray
    gallery: np.ndarray
    similarity: float


class HeadOnly(nn.Module):
    """The network from F_G on, as the module that pytorch-grad-cam hooks.

    Its hooks sit on ``tap``, an identity of this object, and gradients flow to F_G alone: the shared
    model keeps its mode, its gradients and its hooks, and F_G is computed once for any number of maps.
    It takes F_G in :data:`TAP_UNIT`.
    """

    def __init__(self, model: SSRNet, embedding: EmbeddingSettings, theta: Tensor | None) -> None:
        super().__init__()
        self.tap = nn.Identity()
        # In a tuple, so that eval() and zero_grad() of this wrapper do not reach the shared model.
        self._model = (model,)
        self.embedding = embedding
        self.theta = theta
        # grad-cam asks the module's first parameter where to compute.
        self.place = nn.Parameter(torch.zeros((), device=next(model.parameters()).device), requires_grad=False)

    def forward(self, F_G: Tensor) -> Tensor:
        return self._model[0].head(FeatureMap(self.tap(F_G) / TAP_UNIT, self.theta)).embedding(self.embedding)


class SimilarityTarget:
    """The number that a map explains: of an embedding (D,) and a reference (D,), a scalar.

    ``projection``, the default: the embedding's length along the reference, which is its cosine times its own
    length. It is linear in the embedding, so that for the global branch the cells' contributions add up to it, and
    an image explained by itself has a map: what its embedding is made of.

    ``cosine``: the number that ranks. Its gradient lacks the part that only lengthens the embedding; the cells'
    contributions to a pooled feature then add up to 0, and a map shows where an image is more like the
    reference than it is elsewhere. For an image with itself it is at its maximum: no gradient, no map. The
    closer two images are, the more a map is the difference of large numbers.
    """

    def __init__(self, reference: Tensor, kind: TargetName = "projection") -> None:
        self.direction = F.normalize(reference.detach(), dim=0)
        self.kind = kind

    def __call__(self, embedding: Tensor) -> Tensor:
        return (embedding if self.kind == "projection" else F.normalize(embedding, dim=0)) @ self.direction


def similarity_cam(
    model: SSRNet,
    feature_map: FeatureMap,
    reference: Tensor,
    embedding: EmbeddingSettings = EmbeddingSettings(),
    settings: CamSettings = CamSettings(),
    images: Tensor | None = None,
) -> np.ndarray:
    """Maps on F_G of what makes each image similar to its reference, (B, H, W) float32, at least 0.

    model: in evaluation mode and asking for no gradients, as ``load_checkpoint`` gives it; it stays as
    it is, whatever other threads do with it. feature_map: of B images, from ``model.feature_map``. reference:
    (B, D) or (D,), the embeddings that the images are compared with, by the same ``embedding`` settings, whose
    ``branches`` choose what is explained. images: (B, 3, h, w), the feature map's own, for score-cam alone.
    A map of zeros means that no cell raises the similarity. :func:`to_image_frame` brings maps to the image.

    Costs a pass through the head and back, a tenth of a forward pass each; score-cam costs
    ``score_channels`` + 1 forward passes an image. Raises ValueError for a model in training, or for score-cam
    without images.
    """
    if model.training or any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("similarity_cam needs a model in eval mode with requires_grad_(False), or it would change it")
    references = reference.expand(len(feature_map.F_G), -1)
    if settings.method == "score-cam":
        if images is None:
            raise ValueError("score-cam masks the images: hand them over beside their feature map")
        return score_cam(model, images, feature_map, references, embedding, settings.score_channels)
    if settings.method == "eigen-cam":
        return eigen_cam(feature_map.F_G)
    F_G = feature_map.F_G.detach().clone() * TAP_UNIT  # a clone can be differentiated even if made in inference mode
    head = HeadOnly(model, embedding, feature_map.theta)
    with ONE_AT_A_TIME, torch.enable_grad():
        cam = _unstretched(settings.method)(head, [head.tap])
        try:  # not "with cam": grad-cam's own context manager swallows an IndexError
            cam.compute_input_gradient = True  # its input is F_G, and nothing else here asks for a gradient
            cam(F_G, targets=[SimilarityTarget(row, settings.target) for row in references])
        finally:
            cam.activations_and_grads.release()
    maps = np.maximum(cam.unstretched, 0)
    if settings.target == "cosine":
        same = F.cosine_similarity(cam.outputs.detach(), references) > 1 - SAME
        maps[same.cpu().numpy()] = 0  # what is left of the gradient is rounding, and a page would stretch it
    return maps


def pair_cams(
    model: SSRNet,
    query: FeatureMap,
    gallery: FeatureMap,
    embedding: EmbeddingSettings = EmbeddingSettings(),
    settings: CamSettings = CamSettings(),
    images: tuple[Tensor, Tensor] | None = None,
) -> PairMaps:
    """Both maps of a pair, in one pass; query and gallery are feature maps of one image each.

    images: the two as (1, 3, h, w), for score-cam alone. Model, cost and errors as :func:`similarity_cam`.
    """
    theta = None if query.theta is None or gallery.theta is None else torch.cat([query.theta, gallery.theta])
    both = FeatureMap(torch.cat([query.F_G, gallery.F_G]), theta)
    with torch.no_grad():
        embeddings = model.head(both).embedding(embedding)  # (2, D)
    pixels = None if images is None else torch.cat(images)
    maps = similarity_cam(model, both, embeddings.flip(0), embedding, settings, pixels)
    return PairMaps(maps[0], maps[1], F.cosine_similarity(embeddings[0], embeddings[1], dim=0).item())


def each_branch(model: SSRNet, embedding: EmbeddingSettings = EmbeddingSettings()) -> dict[str, EmbeddingSettings]:
    """``embedding`` as it is, under :data:`WHOLE`; then of each of its branches alone, where it has several."""
    branches = [branch for branch in model.branches if not embedding.branches or branch in embedding.branches]
    alone = {branch: replace(embedding, branches=(branch,)) for branch in branches if len(branches) > 1}
    return {WHOLE: embedding, **alone}


def eigen_cam(F_G: Tensor) -> np.ndarray:
    """F_G (B, C, H, W) along its first principal component over cells, (B, H, W), at least 0.

    As pytorch-grad-cam's, whose decomposition makes all C components (seconds for 2048 channels) and leaves the
    sign to chance: here the component points to where F_G is strong, as the paper's, which is not
    centred, does of itself where F_G has no negative values.
    """
    cells = F_G.detach().flatten(2).transpose(1, 2)  # (B, HW, C)
    centred = cells - cells.mean(1, keepdim=True)
    U, S, _ = torch.linalg.svd(centred, full_matrices=False)
    along = U[:, :, 0] * S[:, :1]  # (B, HW)
    strength = cells.norm(dim=2)
    sign = torch.where((along * (strength - strength.mean(1, keepdim=True))).sum(1) < 0, -1.0, 1.0)
    maps = (along * sign[:, None]).clamp(min=0).view(len(F_G), *F_G.shape[2:])
    return maps.float().cpu().numpy()


class _Unstretched:
    """Keeps a method's map as it is before pytorch-grad-cam stretches it to [0, 1] and loses its unit."""

    unstretched: np.ndarray

    def get_cam_image(self, *arguments: object) -> np.ndarray:
        self.unstretched = super().get_cam_image(*arguments)  # type: ignore[misc]
        return self.unstretched


def _unstretched(method: MethodName) -> type:
    # Here: with scikit-learn and all its other methods it takes seconds.
    from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM

    methods = {"grad-cam": GradCAM, "grad-cam++": GradCAMPlusPlus, "hires-cam": HiResCAM, "layer-cam": LayerCAM}
    return type(method, (_Unstretched, methods[method]), {})
