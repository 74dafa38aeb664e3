"""Whether a network's attention looks at the image: measured on traces of some images, without labels.

An attention map that is the same for every image explains none of them. Training can end there: zero padding marks the
corners of F_G, M_c saturates, M_s learns places. The figures here tell, for any checkpoint, in one pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.model.ssrnet import Trace

SATURATED = 0.01
"""An entry of M_c this close to 0 or 1 counts as saturated: its sigmoid passes on less than a hundredth of a gradient."""


@dataclass(frozen=True)
class AttentionHealth:
    """Figures over ``images`` traces; None where the network has no such map.

    M_c_saturated: share of entries of M_c within 0.01 of 0 or 1. M_c_deviation: standard deviation of M_c over images,
    averaged over channels. M_s_position: share, in [0, 1], of the variance of M_s that its mean over images has, the
    same in all of them. border: length of F_G's channels at the strongest cell of the border, over the mean of the
    central quarter; around 1 or below where nothing marks the border. node_cosine: mean cosine between two nodes of an
    image, for H(0) to H(l).
    """

    images: int
    M_c_saturated: float | None
    M_c_deviation: float | None
    M_s_position: float | None
    border: float
    node_cosine: tuple[float, ...]


class HealthSums:
    """Collects traces, a batch at a time, without keeping their feature maps."""

    def __init__(self) -> None:
        self._M_c: list[Tensor] = []
        self._M_s: list[Tensor] = []
        self._length: list[Tensor] = []
        self._cosines: list[Tensor] = []

    def add(self, trace: Trace) -> None:
        self._length.append(trace.F_G.detach().float().norm(dim=1).cpu())  # (B, H, W)
        if trace.M_c is not None:
            self._M_c.append(trace.M_c[:, :, 0, 0].detach().float().cpu())  # (B, C)
        if trace.M_s is not None:
            self._M_s.append(trace.M_s[:, 0].detach().float().cpu())  # (B, H, W)
        if trace.H:
            self._cosines.append(torch.stack([_mean_cosine(H.detach().float()) for H in trace.H], dim=1).cpu())

    def result(self) -> AttentionHealth:
        """Of all that was added; at least one image."""
        length = torch.cat(self._length)
        M_c = torch.cat(self._M_c) if self._M_c else None
        M_s = torch.cat(self._M_s) if self._M_s else None
        saturated = deviation = position = None
        if M_c is not None:
            saturated = ((M_c < SATURATED) | (M_c > 1 - SATURATED)).float().mean().item()
            deviation = M_c.std(0, correction=0).mean().item()
        if M_s is not None:
            total = M_s.var(correction=0).item()
            # A map that is one number everywhere is the same in all images.
            position = M_s.mean(0).var(correction=0).item() / total if total > 1e-12 else 1.0
        cosines = torch.cat(self._cosines).mean(0).tolist() if self._cosines else []
        return AttentionHealth(
            len(length), saturated, deviation, position, _border_over_middle(length.mean(0)), tuple(cosines)
        )


@torch.inference_mode()
def attention_health(traces: Iterable[Trace]) -> AttentionHealth:
    """The figures over all images of ``traces``."""
    sums = HealthSums()
    for trace in traces:
        sums.add(trace)
    return sums.result()


def _border_over_middle(length: Tensor) -> float:
    """(H, W) mean lengths -> the largest of the outermost cells over the mean of the central quarter."""
    H, W = length.shape
    top, left = H // 4, W // 4
    middle = length[top : H - top, left : W - left].mean()
    border = torch.cat([length[0], length[-1], length[:, 0], length[:, -1]]).max()
    return (border / middle.clamp_min(1e-12)).item()


def _mean_cosine(H: Tensor) -> Tensor:
    """(B, n, C) -> (B,): the mean cosine over pairs of different nodes."""
    rows = F.normalize(H, dim=2)
    cosines = rows @ rows.transpose(1, 2)  # (B, n, n)
    n = H.shape[1]
    return (cosines.sum((1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(1)) / (n * (n - 1))
