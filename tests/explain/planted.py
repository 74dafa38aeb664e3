"""Networks built so that the right map is known."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssrnet.model import EmbeddingSettings, SSRNet
from tests import tiny

CELL = 16
ONLY_TOKEN = EmbeddingSettings(neck="before", branches=("token",))


class Patches(nn.Module):
    """A backbone whose cells see only their pixels: the mean red, green and blue of 16x16 pixels, then zeros."""

    channels = 512

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        cells = self.gain * F.relu(F.avg_pool2d(x, CELL))  # (B, 3, h / 16, w / 16)
        return F.pad(cells, (0, 0, 0, 0, 0, self.channels - 3))


def upper_left_alone() -> SSRNet:
    """A network whose token sees the upper-left crop, a quarter of the image, and nothing else."""
    model = tiny.network(attention_branch=False, crop_ratio=0.5).requires_grad_(False)
    model.backbone = Patches()
    token, ul = model.graph.nodes.index("token"), model.graph.nodes.index("ul")
    model.graph.A.zero_()
    model.graph.A[token, ul] = 1
    return model


def red_and_green() -> Tensor:
    """(1, 3, 64, 64): a red cell in the upper left, a green one in the lower right."""
    image = torch.zeros(1, 3, 64, 64)
    image[0, 0, :CELL, :CELL] = 3
    image[0, 1, -CELL:, -CELL:] = 3
    return image
