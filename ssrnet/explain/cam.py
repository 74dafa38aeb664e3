"""Grad-CAM of a similarity: where in an image its likeness to another comes from.

Class activation maps need a class, and a vehicle met for the first time has none. Here the number
that is explained is the similarity of two embeddings instead, so no classifier is needed.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssrnet.model import EmbeddingSettings, FeatureMap, SSRNet


class HeadOnly(nn.Module):
    """The network from F_G on, as the module that pytorch-grad-cam hooks.

    Its hooks sit on ``tap``, an identity of this object, and gradients flow to F_G alone: the shared
    model keeps its mode, its gradients and its hooks, and F_G is computed once for any number of maps.
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
        return self._model[0].head(FeatureMap(self.tap(F_G), self.theta)).embedding(self.embedding)


class SimilarityTarget:
    """Projection of an embedding (D,) on the direction of a reference (D,).

    For two images it has the gradient of their cosine but for the part that only changes the
    embedding's length; for an image with itself it is that length, whose gradient, unlike the
    cosine's, is not zero.
    """

    def __init__(self, reference: Tensor) -> None:
        self.direction = F.normalize(reference.detach(), dim=0)

    def __call__(self, embedding: Tensor) -> Tensor:
        return embedding @ self.direction


def similarity_cam(
    model: SSRNet,
    feature_map: FeatureMap,
    reference: Tensor,
    embedding: EmbeddingSettings = EmbeddingSettings(),
) -> np.ndarray:
    """Grad-CAM (Selvaraju et al., ICCV 2017; pytorch-grad-cam) on F_G, (B, H, W) in [0, 1].

    model: in evaluation mode and asking for no gradients, as ``load_checkpoint`` gives it; it stays as
    it is. feature_map: of B images, from ``model.feature_map``. reference: (B, D) or (D,), the
    embeddings that the images are compared with. Each map is stretched to its own [0, 1]; a map of
    zeros means that no cell raises the similarity. Raises ValueError for a model in training.
    """
    from pytorch_grad_cam import GradCAM  # here: with scikit-learn and all its other methods it takes seconds

    if model.training or any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("similarity_cam needs a model in eval mode with requires_grad_(False), or it would change it")
    F_G = feature_map.F_G.detach().clone()  # a clone can be differentiated even if made in inference mode
    references = reference.expand(len(F_G), -1)
    head = HeadOnly(model, embedding, feature_map.theta)
    with torch.enable_grad(), GradCAM(head, [head.tap]) as cam:
        cam.compute_input_gradient = True  # its input is F_G, and nothing else here asks for a gradient
        return cam(F_G, targets=[SimilarityTarget(row) for row in references])
