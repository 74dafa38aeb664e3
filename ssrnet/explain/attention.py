"""Attention maps as the network has them, brought to the image's size."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.model import Trace


def spatial_attention(trace: Trace) -> np.ndarray | None:
    """M_s of Eq. 1 for each image of a trace, (B, H, W) in (0, 1); None where the model has no spatial attention."""
    return None if trace.M_s is None else trace.M_s[:, 0].detach().cpu().numpy()


def to_image_frame(maps: np.ndarray | Tensor, size: int, theta: Tensor | None = None) -> np.ndarray:
    """(B, H, W) maps of cells -> (B, size, size) over the input image, bilinear between cell centres.

    ``theta`` (B, 2, 3) is a spatial transformer's (see :class:`ssrnet.model.FeatureMap`): the maps are
    then in the warped image's frame and are laid back where they came from; what the warped image
    does not show gets 0.
    """
    cells = torch.as_tensor(maps, dtype=torch.float32)[:, None]  # (B, 1, H, W)
    pixels = F.interpolate(cells, size=(size, size), mode="bilinear", align_corners=False)
    if theta is not None:
        last_row = torch.tensor([0.0, 0.0, 1.0]).expand(len(theta), 1, 3)
        inverse = torch.linalg.inv(torch.cat([theta.detach().cpu().float(), last_row], dim=1))[:, :2]
        grid = F.affine_grid(inverse, list(pixels.shape), align_corners=False)
        pixels = F.grid_sample(pixels, grid, align_corners=False)
    return pixels[:, 0].numpy()


def stretch(heatmap: np.ndarray) -> np.ndarray:
    """One map stretched to [0, 1] for colouring; a constant map becomes 0. Its own range must be shown beside it."""
    low, high = float(heatmap.min()), float(heatmap.max())
    return np.zeros_like(heatmap) if high - low < 1e-12 else (heatmap - low) / (high - low)
