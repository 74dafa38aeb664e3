"""Score-CAM of a similarity (Wang et al., CVPR Workshops 2020): channels weighed by what the network says of them.

Each channel of F_G, stretched to [0, 1] and brought to the image, masks the image; the channel's weight is how
much more similar to the reference the masked image is than the empty one (their "increase of confidence"),
and the map is ReLU(sum_c weight_c A_c).

pytorch-grad-cam's own ScoreCAM masks whatever its module takes, which for a module that starts at F_G would be F_G
itself, whose cells have seen the whole image. And it passes the scores through a softmax: that of 2048 cosines is
flat, that of 2048 unnormalised lengths is one channel. The increases themselves, their Eq. 8, need no such scale.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.explain.attention import to_image_frame
from ssrnet.model import EmbeddingSettings, FeatureMap, SSRNet


def score_cam(
    model: SSRNet,
    images: Tensor,
    feature_map: FeatureMap,
    references: Tensor,
    embedding: EmbeddingSettings = EmbeddingSettings(),
    channels: int | None = 64,
    batch_size: int = 16,
) -> np.ndarray:
    """(B, H, W) float32 at least 0, on the cells of ``feature_map``, that of ``images`` (B, 3, h, w).

    references: (B, D); similarity is the cosine. ``channels`` are tried, those with the largest variance over cells
    (as Faster Score-CAM does, github.com/tabayashi0117/Score-CAM), or all for None: a forward pass each, so that
    64 take some 6 s an image on two cores, and 2048 three minutes. What a mask leaves out is ImageNet's mean
    colour, 0 in ``images``. The model is only asked, never differentiated or hooked.
    """
    maps = [
        _one(
            model,
            images[i],
            feature_map.F_G[i],
            None if feature_map.theta is None else feature_map.theta[i],
            references[i],
            embedding,
            channels,
            batch_size,
        )
        for i in range(len(images))
    ]
    return np.stack(maps)


@torch.no_grad()
def _one(
    model: SSRNet,
    image: Tensor,
    F_G: Tensor,
    theta: Tensor | None,
    reference: Tensor,
    embedding: EmbeddingSettings,
    channels: int | None,
    batch_size: int,
) -> np.ndarray:
    spread = F_G.flatten(1).var(dim=1)  # (C,)
    chosen = spread.topk(min(channels or len(spread), len(spread))).indices
    A = F_G[chosen[spread[chosen] > 0]]  # (n, H, W); a constant channel masks nothing

    def similarity(masks: Tensor) -> Tensor:
        """(n, h, w) masks -> (n,) cosines."""
        return F.cosine_similarity(model.trace(image * masks[:, None]).embedding(embedding), reference[None])

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
