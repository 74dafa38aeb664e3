"""Whether a network's attention looks at the image: measured on traces of some images, without labels.

An attention map that is the same for every image explains none of them. Training can end there: zero padding marks the
corners of F_G, M_c saturates, M_s learns places. These figures show it for any checkpoint, in one pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.model.ssrnet import Trace

SATURATED = 0.01
"""An entry of M_c this close to 0 or 1 counts as saturated: its sigmoid passes on under a hundredth of a gradient."""
M_C_SAME = 0.01
"""Below this deviation M_c is the same for every image: a channel's weight, in (0, 1), then moves by a hundredth, no
more than what makes an entry saturated, and hardly more than before training (0.005 to 0.013). Measured on the city:
0.0003 where padding saturated M_c, 0.006 where M_c stayed near its start at one half, 0.12 where it came to differ."""
M_S_POSITION = 1 / 3
"""Above this share M_s is largely position: place alone then explains half as much of it as the image does, or more. By
chance, maps that share nothing reach 1/n over n images: 4 % over 24."""
BORDER = 2.0
"""Above this figure F_G marks its border: one cell there is twice as long as the middle, where the vehicle stands.
Before training on vehicles, at random or from ImageNet, the figure is 0.7; with marked corners it was 5.7 and 7.6."""


class Verdict(NamedTuple):
    """A sentence on one map, ``of`` "M_c", "M_s", "F_G" or "H"; ``passes`` is None where there is no limit."""

    of: str
    passes: bool | None
    sentence: str


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

    def verdicts(self) -> tuple[Verdict, ...]:
        """A sentence with its numbers for each map that the network has, good or bad; none for those it lacks."""
        verdicts = []
        if self.M_c_deviation is not None and self.M_c_saturated is not None:
            passes = self.M_c_deviation >= M_C_SAME
            finding = "differs between images" if passes else "is the same for every image"
            verdicts.append(
                Verdict(
                    "M_c",
                    passes,
                    (
                        f"M_c {finding}: its entries move by {self.M_c_deviation:.4f} (standard deviation), and "
                        f"{100 * self.M_c_saturated:.0f} % of them are saturated, within {SATURATED:g} of 0 or 1."
                    ),
                )
            )
        if self.M_s_position is not None:
            passes = self.M_s_position <= M_S_POSITION
            finding = "differs between images" if passes else "is largely position"
            share = f"{100 * self.M_s_position:.0f} % of its variance is position, the same in all images."
            verdicts.append(Verdict("M_s", passes, f"M_s {finding}: {share}"))
        passes = self.border <= BORDER
        finding = "does not mark its border" if passes else "marks its border"
        times = f"the strongest border cell is {self.border:.1f} times the middle."
        verdicts.append(Verdict("F_G", passes, f"F_G {finding}: {times}"))
        if self.node_cosine:
            layers = ", ".join(f"{_cosine(cosine)} at H({layer})" for layer, cosine in enumerate(self.node_cosine))
            sentence = f"Mean cosine between two nodes of an image: {layers}; at 1 all nodes point the same way."
            verdicts.append(Verdict("H", None, sentence))
        return tuple(verdicts)


class HealthSums:
    """Adds up traces, a batch at a time, without keeping their feature maps."""

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

    def extend(self, other: HealthSums) -> None:
        """Adds the traces that ``other`` has, of further images of the same network."""
        self._M_c += other._M_c
        self._M_s += other._M_s
        self._length += other._length
        self._cosines += other._cosines

    def result(self) -> AttentionHealth:
        """The figures over all traces that were added; at least one image."""
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


def _cosine(value: float) -> str:
    """Two digits, and three above 0.95, where two would hide the difference from 1."""
    return f"{value:.3f}" if value > 0.95 else f"{value:.2f}"
