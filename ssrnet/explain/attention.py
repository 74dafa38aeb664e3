"""Attention maps that the network computes, and their resizing to the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.model import ModelSettings, Trace

WITHOUT_M_S = {
    "none": "its attention is switched off",
    "se": "its channel attention M_c weighs the channels of F_G, and no place",
    "bilinear": "bilinear pooling weighs products of channels, averaged over all places",
    "stn": "a spatial transformer warps the image in its place",
}
"""By attention, why it has no M_s."""


class StrongestChannels(NamedTuple):
    """``channels`` (B, n), ``weights`` M_c (B, n), ``maps`` (B, n, H, W) of F_c; the largest weight first."""

    channels: np.ndarray
    weights: np.ndarray
    maps: np.ndarray


def spatial_attention(trace: Trace) -> np.ndarray | None:
    """M_s of Eq. 1 for each image of a trace, (B, H, W) in (0, 1); None where the model has no spatial attention."""
    return None if trace.M_s is None else trace.M_s[:, 0].detach().cpu().numpy()


def channel_attention(trace: Trace) -> np.ndarray | None:
    """M_c of Eq. 1 for each image of a trace, (B, C) in (0, 1); None where the model has no channel attention."""
    return None if trace.M_c is None else trace.M_c[:, :, 0, 0].detach().cpu().numpy()


def attended_length(trace: Trace) -> np.ndarray:
    """|F_attn|: the length of F_attn's channels (L2 norm) at each cell, (B, H, W), at least 0.

    This is the output of the attention branch. The paper's Fig. 3 may show this and not M_s: it writes "attention maps"
    and gives no formula. It equals |F_G| (:func:`global_length`) where :func:`why_no_attended_length` has a sentence.
    """
    return trace.F_attn.detach().float().norm(dim=1).cpu().numpy()


def global_length(trace: Trace) -> np.ndarray:
    """|F_G|: the length of F_G's channels at each cell, (B, H, W), before any attention."""
    return trace.F_G.detach().float().norm(dim=1).cpu().numpy()


def strongest_channels(trace: Trace, count: int = 8) -> StrongestChannels | None:
    """The ``count`` channels that M_c lets through most, each with its map of F_c = M_c(F_G) * F_G (Eq. 1).

    None where the model has no channel attention.
    """
    if trace.M_c is None:
        return None
    weights, channels = trace.M_c[:, :, 0, 0].detach().topk(min(count, trace.M_c.shape[1]))  # (B, n)
    rows = torch.arange(len(channels), device=channels.device)[:, None]
    maps = trace.F_G.detach()[rows, channels] * weights[:, :, None, None]  # (B, n, H, W)
    return StrongestChannels(channels.cpu().numpy(), weights.cpu().numpy(), maps.cpu().numpy())


def why_no_spatial_attention(model: ModelSettings) -> str | None:
    """One sentence on why a model has no M_s, and what replaces it; None where it has one."""
    if model.attention_branch and model.attention == "cbam":
        return None
    reason = "it has no attention branch, and nothing weighs the places of its feature map"
    if model.attention_branch:
        reason = WITHOUT_M_S[model.attention]
    return f"{model.title} has no spatial attention map M_s: {reason}. A CAM shows where its answer comes from."


def why_no_attended_length(model: ModelSettings) -> str | None:
    """One sentence on why a model has |F_G| in place of |F_attn|; None where its attention changes F_G."""
    if not model.attention_branch:
        return f"{model.title} has no attention branch and so no F_attn; |F_G| stands in its place."
    if model.attention in ("cbam", "se"):  # the others leave F_G as it is
        return None
    return f"{model.title} has no F_attn but F_G itself, which its attention branch reads."


class NetworkMap(NamedTuple):
    """A map that a network makes of the image alone, without a reference.

    function: returns (B, H, W), at least 0. why_absent: one sentence on why a network has no such map, or None.
    """

    title: str
    function: Callable[[Trace], np.ndarray]
    why_absent: Callable[[ModelSettings], str | None]


NETWORK_MAPS: dict[str, NetworkMap] = {
    "M_s": NetworkMap("M_s", spatial_attention, why_no_spatial_attention),
    "F_attn": NetworkMap("|F_attn|", attended_length, why_no_attended_length),
    "F_G": NetworkMap("|F_G|", global_length, lambda model: None),
}
"""By the name that settings and files use."""


def to_image_frame(maps: np.ndarray | Tensor, size: int | tuple[int, int], theta: Tensor | None = None) -> np.ndarray:
    """(B, H, W) maps of cells -> (B, *size) over the input image, bilinear between cell centres.

    The outermost half cell has the border cell's value. ``size`` is a side or (height, width): the network's square
    input or the photograph's size, since the square is the stretched photograph. ``theta`` (B, 2, 3) comes from a
    spatial transformer (see :class:`ssrnet.model.FeatureMap`): the maps are then in the frame of the warped image and
    are warped back; what the warped image does not show gets 0.
    """
    size = (size, size) if isinstance(size, int) else size
    cells = torch.as_tensor(maps, dtype=torch.float32).cpu()[:, None]  # (B, 1, H, W)
    pixels = F.interpolate(cells, size=size, mode="bilinear", align_corners=False)
    if theta is not None:
        last_row = torch.tensor([0.0, 0.0, 1.0]).expand(len(theta), 1, 3)
        inverse = torch.linalg.inv(torch.cat([theta.detach().cpu().float(), last_row], dim=1))[:, :2]
        grid = F.affine_grid(inverse, list(pixels.shape), align_corners=False)
        pixels = F.grid_sample(pixels, grid, align_corners=False)
    return pixels[:, 0].numpy()


def warped(picture: np.ndarray, theta: Tensor) -> np.ndarray:
    """``picture`` (H, W, 3) uint8 as a spatial transformer with ``theta`` (1, 2, 3) hands it on, as large."""
    pixels = torch.as_tensor(picture).permute(2, 0, 1)[None].float()
    grid = F.affine_grid(theta.detach().cpu().float(), list(pixels.shape), align_corners=False)
    seen = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return seen[0].permute(1, 2, 0).round().byte().numpy()


def in_image(cells: np.ndarray, size: int | tuple[int, int], theta: Tensor | None = None) -> np.ndarray:
    """One map (H, W) of cells at the image's size, by :func:`to_image_frame`."""
    return to_image_frame(cells[None], size, theta)[0]
