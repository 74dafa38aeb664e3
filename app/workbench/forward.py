"""Pictures through a network's backbone, together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from ssrnet.model import FeatureMap, SSRNet


@torch.no_grad()
def forward(model: SSRNet, pictures: Sequence[Image.Image], size: int) -> list[FeatureMap]:
    """F_G of each RGB picture, (1, C, H, W), squared to ``size`` pixels a side."""
    from ssrnet.data.transforms import test_transform  # imports torchvision, as the model has done by now

    pixels = torch.stack([test_transform(size)(picture) for picture in pictures])
    whole = model.feature_map(pixels.to(next(model.parameters()).device))
    thetas = [None] * len(pictures) if whole.theta is None else whole.theta.split(1)
    # clones, since a slice would keep all pictures' maps in memory
    return [FeatureMap(F_G.clone(), theta) for F_G, theta in zip(whole.F_G.split(1), thetas, strict=True)]


def joined(maps: Sequence[FeatureMap]) -> FeatureMap:
    """Several images' feature maps as one batch."""
    thetas = [each.theta for each in maps if each.theta is not None]
    return FeatureMap(torch.cat([each.F_G for each in maps]), torch.cat(thetas) if thetas else None)
