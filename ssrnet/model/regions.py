"""The five overlapping regions of the relation branch (paper Sec. 3.4, Eq. 2)."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

from ssrnet.errors import SettingsError

REGION_NAMES = ("ul", "ur", "mid", "dl", "dr")
"""The paper's f_ul, f_ur, f_mid, f_dl, f_dr, in that order everywhere."""


class Box(NamedTuple):
    """A rectangle in cells of the feature map, ``left`` and ``top`` inside, ``right`` and ``bottom`` outside."""

    left: int
    top: int
    right: int
    bottom: int

    def scaled(self, x: float, y: float) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) with x pixels a column and y pixels a row."""
        return self.left * x, self.top * y, self.right * x, self.bottom * y


def region_boxes(height: int, width: int, crop_ratio: float) -> tuple[Box, ...]:
    """Boxes of the regions ul, ur, mid, dl, dr on a height x width map.

    Eq. 2: H_L = floor(ratio * H), W_L = floor(ratio * W). The middle box is centred, half a cell up
    and left where the rest is odd. Raises :class:`SettingsError` for a ratio outside (0, 1], or one
    whose box has no cell.
    """
    if not 0 < crop_ratio <= 1:
        raise SettingsError(f"crop ratio is {crop_ratio:g}; it must lie in (0, 1], 2/3 in the paper.")
    # 2/3 * 24 is 15.999...: a side that is whole but for rounding must not lose a cell.
    H_L = math.floor(crop_ratio * height + 1e-9)
    W_L = math.floor(crop_ratio * width + 1e-9)
    if H_L < 1 or W_L < 1:
        raise SettingsError(
            f"crop ratio {crop_ratio:g} leaves no cell of a {height}x{width} feature map; "
            f"use at least {math.ceil(1000 / min(height, width)) / 1000:.3f}."
        )
    bottom, right = height - H_L, width - W_L
    middle = (bottom // 2, right // 2)
    corners = {"ul": (0, 0), "ur": (0, right), "mid": middle, "dl": (bottom, 0), "dr": (bottom, right)}
    return tuple(Box(left, top, left + W_L, top + H_L) for top, left in (corners[name] for name in REGION_NAMES))


def pool_regions(F_attn: Tensor, boxes: tuple[Box, ...]) -> list[Tensor]:
    """GAP of each box: a list of (B, C), one a box."""
    rows = F_attn.movedim(1, -1)  # (B, H, W, C)
    # One dimension at a time and channels last, as they lie in memory: PyTorch takes ten times as long over a part of
    # a map in two dimensions at once.
    bands = {side: rows[:, slice(*side)].mean(1) for side in dict.fromkeys((box.top, box.bottom) for box in boxes)}
    return [bands[box.top, box.bottom][:, box.left : box.right].mean(1) for box in boxes]
