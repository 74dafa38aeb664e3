"""The methods in :data:`ssrnet.explain.cam.CAMS`, as functions of a :class:`CamInput`.

With F_G = A and the gradient g of the similarity (:class:`SimilarityTarget`), for a channel c and a cell p:

Grad-CAM
    ReLU(sum_c mean_p(g_c) A_c(p)); Selvaraju et al., ICCV 2017. A channel weighs the same everywhere. That is exact for
    the global branch. The relation branch crops F_G: there a channel that counts in one crop lights up outside it too.
Grad-CAM++
    Weights sum_p alpha_c(p) ReLU(g_c(p)), alpha of Eq. 19; Chattopadhay et al., WACV 2018. Their derivation takes
    exp(score) for the number explained and needs the score linear in A: the projection on the reference is, for the
    global branch; for the other branches and for the cosine it is an approximation.
HiResCAM
    ReLU(sum_c g_c(p) A_c(p)); Draelos and Carin, 2020. Where the score is linear in A, the cells before the ReLU add up
    to the score but for a constant, whatever a branch crops: the reference for the others.
Layer-CAM
    sum_c ReLU(g_c(p)) A_c(p); Jiang et al., TIP 2021. Weighs each place by itself, but counts only positive evidence.
Eigen-CAM
    F_G's first principal component; Muhammad and Yeasin, IJCNN 2020. It uses neither reference nor branch: a control.
Score-CAM
    ReLU(sum_c w_c A_c), w_c the similarity of the image masked by A_c; Wang et al., CVPR Workshops 2020. It needs no
    gradient, but forward passes of masked images.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssrnet.explain.attention import to_image_frame
from ssrnet.model import EmbeddingSettings, FeatureMap, SSRNet
from ssrnet.retrieval.alignment import Standardisation, standardised

TargetName = Literal["projection", "cosine"]

TAP_UNIT = 2.0**-20
"""pytorch-grad-cam's Grad-CAM++ adds 1e-6 to a sum of squared gradients that are themselves near 1e-8 here, since
each cell has a 256th of a mean's gradient: the constant, not the formula, would set the weights. Measured in
this unit F_G is smaller and its gradient larger, and each product of the two, which is all that the
methods use, stays as it is; a power of two rounds nothing."""

SAME = 1e-6
"""Cosines nearer to 1 are those of an image with itself."""

ONE_AT_A_TIME = threading.Lock()
"""Held while pytorch-grad-cam hooks, differentiates and unhooks. Each call hooks a wrapper of its own, so threads could
not meet there; but each map takes all cores and keeps F_G's graph in memory."""


@dataclass(frozen=True)
class CamInput:
    """What a CAM may use: B images, the embeddings they are compared with, and the network.

    feature_map: F_G (B, C, H, W) of the images. references: (B, D), made with ``embedding``, whose ``branches`` choose
    what is explained. target: the number explained, see :class:`SimilarityTarget`. images: (B, 3, h, w), normalised;
    None unless the method masks images. score_channels: how many channels such a method tries, None for all.
    standardisation: of the B images, where aligned embeddings are compared; the references are aligned then.
    """

    model: SSRNet
    feature_map: FeatureMap
    references: Tensor
    embedding: EmbeddingSettings = EmbeddingSettings()
    target: TargetName = "projection"
    images: Tensor | None = None
    score_channels: int | None = 64
    standardisation: Standardisation | None = None


class SimilarityTarget:
    """The number that a map explains: of an embedding (D,) and a reference (D,), a scalar.

    ``projection``, the default: the embedding's length along the reference, which is its cosine times its
    length. It is linear in the embedding, so that for the global branch the cells' contributions add up to it, and
    an image explained by itself has a map: what its embedding is made of. Of aligned embeddings they add up to it but for
    a constant, the camera's mean.

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


class HeadOnly(nn.Module):
    """The network from F_G on, as the module that pytorch-grad-cam hooks.

    Its hooks sit on ``tap``, an identity of this object, and gradients flow to F_G alone: the shared
    model keeps its mode, its gradients and its hooks, and F_G is computed once for any number of maps.
    It takes F_G in :data:`TAP_UNIT`, and gives aligned embeddings where there is a ``standardisation``.
    """

    def __init__(self, given: CamInput) -> None:
        super().__init__()
        self.tap = nn.Identity()
        # Not in an attribute of this module: its eval() and zero_grad() must not reach the shared model.
        self.given = given
        # pytorch-grad-cam computes on the device of the module's first parameter.
        device = next(given.model.parameters()).device
        self.place = nn.Parameter(torch.zeros((), device=device), requires_grad=False)

    def forward(self, F_G: Tensor) -> Tensor:
        given = self.given
        trace = given.model.head(FeatureMap(self.tap(F_G) / TAP_UNIT, given.feature_map.theta))
        return standardised(trace.embedding(given.embedding), given.standardisation)


def gradient_cam(class_name: str, given: CamInput) -> np.ndarray:
    """(B, H, W) float32, at least 0, by the class of that name in pytorch-grad-cam, without its stretch to [0, 1]."""
    import pytorch_grad_cam  # takes seconds: it loads scikit-learn and all its methods

    class Unstretched(getattr(pytorch_grad_cam, class_name)):
        """Stores the map as it is before pytorch-grad-cam stretches it to [0, 1] and loses its unit."""

        def get_cam_image(self, *arguments: object) -> np.ndarray:
            self.unstretched = super().get_cam_image(*arguments)
            return self.unstretched

    # A clone can be differentiated even if F_G was made in inference mode.
    F_G = given.feature_map.F_G.detach().clone() * TAP_UNIT
    head = HeadOnly(given)
    with ONE_AT_A_TIME, torch.enable_grad():
        cam = Unstretched(head, [head.tap])
        try:  # not "with cam": pytorch-grad-cam's context manager swallows an IndexError
            cam.compute_input_gradient = True  # its input is F_G, and nothing else here needs a gradient
            cam(F_G, targets=[SimilarityTarget(row, given.target) for row in given.references])
        finally:
            cam.activations_and_grads.release()
    maps = np.maximum(cam.unstretched, 0)
    if given.target == "cosine":
        same = F.cosine_similarity(cam.outputs.detach(), given.references) > 1 - SAME
        maps[same.cpu().numpy()] = 0  # what is left of the gradient is rounding, and a page would stretch it
    return maps


def eigen_cam(F_G: Tensor) -> np.ndarray:
    """F_G (B, C, H, W) along its first principal component over cells: (B, H, W) float32, at least 0.

    As pytorch-grad-cam's, whose decomposition makes all C components (seconds for 2048 channels) and leaves the
    sign to chance. Here the component points to where F_G is strong; the paper's component, which is not
    centred, does so by itself where F_G has no negative values.
    """
    cells = F_G.detach().flatten(2).transpose(1, 2)  # (B, HW, C)
    centred = cells - cells.mean(1, keepdim=True)
    U, S, _ = torch.linalg.svd(centred, full_matrices=False)
    along = U[:, :, 0] * S[:, :1]  # (B, HW)
    strength = cells.norm(dim=2)
    sign = torch.where((along * (strength - strength.mean(1, keepdim=True))).sum(1) < 0, -1.0, 1.0)
    maps = (along * sign[:, None]).clamp(min=0).view(len(F_G), *F_G.shape[2:])
    return maps.float().cpu().numpy()


def score_cam(given: CamInput, batch_size: int = 16) -> np.ndarray:
    """(B, H, W) float32, at least 0, by masking ``given.images``; always of the cosine.

    Each channel of F_G, stretched to [0, 1] and brought to the image, masks the image; the channel's weight is how
    much more similar to the reference the masked image is than the empty one (their "increase of confidence").
    ``given.score_channels`` are tried, those with the largest variance over cells (as Faster Score-CAM does,
    github.com/tabayashi0117/Score-CAM). Each costs a forward pass: 64 take some 6 s an image on two cores, 2048 three
    minutes. What a mask leaves out is ImageNet's mean colour, 0 in ``images``. Raises ValueError without images.

    pytorch-grad-cam's ScoreCAM masks whatever its module takes, which for a module that starts at F_G would be F_G
    itself, whose cells have seen the whole image. And it passes the scores through a softmax: that of 2048 cosines is
    flat, that of 2048 unnormalised lengths is one channel. The increases themselves, their Eq. 8, need no such scale.
    """
    if given.images is None:
        raise ValueError("score-cam masks the images: pass them beside their feature map")
    return np.stack([_score_cam(given, row, batch_size) for row in range(len(given.images))])


@torch.no_grad()
def _score_cam(given: CamInput, row: int, batch_size: int) -> np.ndarray:
    """(H, W): the map of one of the images."""
    image, F_G, reference = given.images[row], given.feature_map.F_G[row], given.references[row]
    theta = None if given.feature_map.theta is None else given.feature_map.theta[row]
    standardisation = None if given.standardisation is None else given.standardisation[row : row + 1]
    spread = F_G.flatten(1).var(dim=1)  # (C,)
    chosen = spread.topk(min(given.score_channels or len(spread), len(spread))).indices
    A = F_G[chosen[spread[chosen] > 0]]  # (n, H, W); a constant channel masks nothing

    def similarity(masks: Tensor) -> Tensor:
        """(n, h, w) masks -> (n,) cosines."""
        masked = given.model.trace(image * masks[:, None]).embedding(given.embedding)
        return F.cosine_similarity(standardised(masked, standardisation), reference[None])

    empty = similarity(torch.zeros(1, *image.shape[1:], device=image.device))
    weights = []
    for some in A.split(batch_size):
        low, high = some.amin((1, 2), keepdim=True), some.amax((1, 2), keepdim=True)
        stretched = (some - low) / (high - low)
        warped = None if theta is None else theta.expand(len(some), 2, 3)
        masks = torch.from_numpy(to_image_frame(stretched, tuple(image.shape[1:]), warped)).to(image.device)
        weights.append(similarity(masks) - empty)
    if not weights:
        return np.zeros(F_G.shape[1:], np.float32)
    return torch.einsum("c,chw->hw", torch.cat(weights), A).clamp(min=0).float().cpu().numpy()
