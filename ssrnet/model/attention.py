"""The attention module of the attention branch (paper Sec. 3.3, Eq. 1) and those it is compared with (Table 2).

A module maps F_G (B, C, H, W) to :class:`Attended`: the attended map of the same shape, and the
maps that made it, where it has any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

AttentionName = Literal["cbam", "se", "bilinear", "stn", "none"]


@dataclass(frozen=True)
class Attended:
    """``F_attn`` (B, C, H, W); ``M_c`` (B, C, 1, 1) and ``M_s`` (B, 1, H, W) in (0, 1), None where there is none."""

    F_attn: Tensor
    M_c: Tensor | None = None
    M_s: Tensor | None = None


def channel_mlp(channels: int, hidden: int) -> nn.Sequential:
    """(B, channels) -> (B, channels), close to 0 before training, so that M_c starts at one half everywhere.

    From PyTorch's own start its outputs reached +-11 in training, where the sigmoid passes on no gradient.
    """
    mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))
    nn.init.normal_(mlp[-1].weight, std=1e-3)
    nn.init.zeros_(mlp[-1].bias)
    return mlp


class CBAM(nn.Module):
    """Channel attention, then spatial attention (Woo et al., ECCV 2018; the paper's [64]).

    Reduction 16 and a 7x7 spatial kernel, that paper's own values; SSR-Net's text names none.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.mlp = channel_mlp(channels, hidden)
        self.spatial = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.spatial_bn = nn.BatchNorm2d(1)

    def forward(self, F_G: Tensor) -> Attended:
        """Eq. 1: F_c = M_c(F_G) * F_G; F_attn = M_s(F_c) * F_c."""
        pooled = self.mlp(F_G.mean((2, 3))) + self.mlp(F_G.amax((2, 3)))  # (B, C)
        M_c = torch.sigmoid(pooled)[:, :, None, None]  # (B, C, 1, 1)
        F_c = M_c * F_G
        summary = torch.cat([F_c.mean(1, keepdim=True), F_c.amax(1, keepdim=True)], dim=1)  # (B, 2, H, W)
        M_s = torch.sigmoid(self.spatial_bn(self.spatial(summary)))  # (B, 1, H, W)
        return Attended(M_s * F_c, M_c, M_s)


class SqueezeExcitation(nn.Module):
    """Channel attention alone (Hu et al., CVPR 2018; the paper's [22]), reduction 16."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.mlp = channel_mlp(channels, hidden)

    def forward(self, F_G: Tensor) -> Attended:
        M_c = torch.sigmoid(self.mlp(F_G.mean((2, 3))))[:, :, None, None]
        return Attended(M_c * F_G, M_c)


class NoAttention(nn.Module):
    """F_attn = F_G: the control in which the branch's head is all that differs from the baseline."""

    def forward(self, F_G: Tensor) -> Attended:
        return Attended(F_G)


class SpatialTransformer(nn.Module):
    """Warps the input image by a predicted affine map (Jaderberg et al., 2015; the paper's [23]).

    The paper puts it "after input images for simplicity" and says no more. Our reading: a small
    convolutional localiser on the image at 64x64, started at the identity. The whole network then
    sees the warped image, so its boxes and heatmaps must be mapped back with ``theta``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.localiser = nn.Sequential(
            nn.Conv2d(3, 16, 5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(32 * 8 * 8, 64),
            nn.ReLU(inplace=True),
        )
        self.affine = nn.Linear(64, 6)
        nn.init.zeros_(self.affine.weight)
        with torch.no_grad():
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, h, w) -> the warped images, same shape, and theta (B, 2, 3).

        theta maps the warped image's coordinates to the input's, both in [-1, 1], x before y.
        """
        small = F.interpolate(x, size=(64, 64), mode="bilinear", align_corners=False)
        theta = self.affine(self.localiser(small)).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=False), theta


class AttentionHead(nn.Module):
    """Embeds F_attn as f_attn (B, ``out``): 1x1 convolution with BN and ReLU, GAP, linear layer.

    The paper does not say how f_attn comes from F_attn. This head is inferred from its budget:
    with it SSR-Net adds 11.02 M parameters and 1.11 G multiply-adds to its baseline (Table 7: 11.0 M
    and 1.09 G).
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, out)

    def forward(self, F_attn: Tensor) -> Tensor:
        x = F.relu(self.bn(self.conv(F_attn)))  # (B, C, H, W)
        return self.fc(x.mean((2, 3)))  # (B, out)


class BilinearHead(nn.Module):
    """Bilinear pooling in place of attention (Lin et al., ICCV 2015; the paper's [34]).

    A bilinear CNN has no attention map, so F_attn stays F_G and only the branch's head differs:
    channels reduced to 64 by a 1x1 convolution (2048x2048 products would need 2 G weights after
    them), outer product averaged over positions, signed square root, L2 norm, linear layer.
    """

    def __init__(self, channels: int, out: int, reduced: int = 64) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, reduced, 1, bias=False), nn.BatchNorm2d(reduced), nn.ReLU(inplace=True)
        )
        self.fc = nn.Linear(reduced * reduced, out)

    def forward(self, F_attn: Tensor) -> Tensor:
        x = self.reduce(F_attn).flatten(2)  # (B, 64, HW)
        gram = (x @ x.transpose(1, 2) / x.shape[2]).flatten(1)  # (B, 64*64), never negative after the ReLU
        # The small constant keeps the root's gradient finite where a product is zero.
        return self.fc(F.normalize(torch.sqrt(gram + 1e-6)))


def build_attention(name: AttentionName, channels: int) -> nn.Module:
    """The module that makes F_attn. ``stn`` and ``bilinear`` act before and after it, so theirs is the identity."""
    if name == "cbam":
        return CBAM(channels)
    if name == "se":
        return SqueezeExcitation(channels)
    return NoAttention()
