"""Cells that show pictures of any shape whole."""

import numpy as np
import pytest
from PIL import Image, ImageColor

from ssrnet.analysis.picture_cells import GROUND, RATIOS, cell_ratio, on_ground
from tests.tiny import edged, edges_shown


def test_the_ratio_is_the_medians_within_bounds():
    assert cell_ratio([(30, 20), (10, 10), (60, 10)]) == 1.5
    assert cell_ratio([(10, 90)] * 2) == RATIOS[0] and cell_ratio([(90, 10)]) == RATIOS[1]
    assert cell_ratio([]) == 1


@pytest.mark.parametrize("size", [(40, 90), (90, 40), (200, 40), (64, 64)])
@pytest.mark.parametrize("cell", [(120, 100), (60, 100)])
def test_all_four_edges_of_a_picture_are_in_its_cell(size, cell):
    shown = on_ground(edged(size), cell)
    assert shown.size == cell and edges_shown(np.asarray(shown)) == 4
    pixels = np.asarray(shown)
    inside = (pixels != ImageColor.getrgb(GROUND)).any(2)
    high, wide = inside.any(1).sum(), inside.any(0).sum()
    assert wide / high == pytest.approx(size[0] / size[1], rel=0.12), "not stretched"
    assert wide == cell[0] or high == cell[1], "as large as fits"


def test_a_cut_picture_would_lack_an_edge():
    assert edges_shown(np.asarray(edged((90, 40)).crop((20, 0, 70, 40)))) == 2
    assert edges_shown(np.asarray(Image.new("RGB", (9, 9)))) == 0
