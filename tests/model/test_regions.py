import re

import pytest
import torch

from ssrnet.errors import SettingsError
from ssrnet.model.regions import REGION_NAMES, Box, pool_regions, region_boxes


def test_the_order_is_the_papers():
    assert REGION_NAMES == ("ul", "ur", "mid", "dl", "dr")


@pytest.mark.parametrize(
    ("height", "width", "ratio", "expected"),
    [
        # left, top, right, bottom of ul, ur, mid, dl, dr
        (16, 16, 2 / 3, [(0, 0, 10, 10), (6, 0, 16, 10), (3, 3, 13, 13), (0, 6, 10, 16), (6, 6, 16, 16)]),
        (16, 16, 1 / 2, [(0, 0, 8, 8), (8, 0, 16, 8), (4, 4, 12, 12), (0, 8, 8, 16), (8, 8, 16, 16)]),
        (16, 16, 1, [(0, 0, 16, 16)] * 5),
        (16, 16, 1 / 16, [(0, 0, 1, 1), (15, 0, 16, 1), (7, 7, 8, 8), (0, 15, 1, 16), (15, 15, 16, 16)]),
        (24, 24, 2 / 3, [(0, 0, 16, 16), (8, 0, 24, 16), (4, 4, 20, 20), (0, 8, 16, 24), (8, 8, 24, 24)]),
        # Sides of their own; the rest of 3 rows and 2 columns puts the middle a half cell up.
        (8, 6, 2 / 3, [(0, 0, 4, 5), (2, 0, 6, 5), (1, 1, 5, 6), (0, 3, 4, 8), (2, 3, 6, 8)]),
    ],
)
def test_boxes_by_hand(height, width, ratio, expected):
    assert region_boxes(height, width, ratio) == tuple(Box(*box) for box in expected)


@pytest.mark.parametrize("ratio", [0, -0.5, 1.2, 1.0000001, float("nan")])
def test_ratios_outside_0_to_1_are_refused(ratio):
    with pytest.raises(SettingsError, match=r"it must lie in \(0, 1\], 2/3 in the paper\.$"):
        region_boxes(16, 16, ratio)


@pytest.mark.parametrize("side", range(2, 33))
def test_a_ratio_without_a_cell_is_refused_and_the_advice_works(side):
    with pytest.raises(SettingsError, match=f"leaves no cell of a {side}x{side} feature map") as caught:
        region_boxes(side, side, 0.9 / side)
    advised = float(re.search(r"at least ([\d.]+)\.$", str(caught.value))[1])
    assert region_boxes(side, side, advised)[0] == Box(0, 0, 1, 1)


def test_the_smaller_side_decides():
    with pytest.raises(SettingsError, match="leaves no cell of a 16x2 feature map; use at least 0.5"):
        region_boxes(16, 2, 0.3)


def test_pooling_averages_each_box():
    F_attn = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).reshape(2, 3, 4, 4)
    pooled = pool_regions(F_attn, (Box(0, 0, 2, 1), Box(1, 2, 4, 4)))
    for b in range(2):
        for c in range(3):
            x = F_attn[b, c]
            assert pooled[0][b, c] == (x[0, 0] + x[0, 1]) / 2
            assert pooled[1][b, c] == (x[2, 1] + x[2, 2] + x[2, 3] + x[3, 1] + x[3, 2] + x[3, 3]) / 6


def test_a_box_in_pixels():
    assert Box(1, 2, 3, 4).scaled(10, 100) == (10, 200, 30, 400)
