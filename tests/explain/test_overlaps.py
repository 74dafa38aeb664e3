import numpy as np
import pytest

from ssrnet.explain.gallery_graphs import distinct_ratios
from ssrnet.explain.overlaps import coverage, overlap, ratio_at_boxes, shared_cells
from ssrnet.model.regions import Box, region_boxes


def test_regions_of_two_cells_on_a_three_by_three_map_by_hand():
    # ul 0-2 x 0-2, ur 1-3 x 0-2, mid as ul (half a cell up and left), dl 0-2 x 1-3, dr 1-3 x 1-3
    boxes = region_boxes(3, 3, 2 / 3)
    assert boxes[2] == boxes[0] == Box(0, 0, 2, 2)
    assert shared_cells(boxes).tolist() == [
        [4, 2, 4, 2, 1],
        [2, 4, 2, 1, 2],
        [4, 2, 4, 2, 1],
        [2, 1, 2, 4, 2],
        [1, 2, 1, 2, 4],
    ]
    assert overlap(boxes)[0].tolist() == pytest.approx([1, 2 / 6, 1, 2 / 6, 1 / 7])
    assert coverage(boxes, 3, 3).tolist() == [[2, 3, 1], [3, 5, 2], [1, 2, 1]]


def test_boxes_that_do_not_meet_share_nothing_even_where_both_sides_are_apart():
    boxes = (Box(0, 0, 2, 2), Box(3, 3, 5, 4), Box(2, 0, 3, 2))
    assert np.array_equal(overlap(boxes), np.eye(3))


def test_half_the_side_is_where_corners_begin_to_overlap():
    corners = [0, 1, 3, 4]
    apart = shared_cells(region_boxes(16, 16, 1 / 2))[np.ix_(corners, corners)]
    assert np.array_equal(apart, 64 * np.eye(4))
    assert (shared_cells(region_boxes(16, 16, 9 / 16))[np.ix_(corners, corners)] > 0).all()


@pytest.mark.parametrize(("ratio", "cells"), [(2 / 3, 10), (0.6251, 10), (0.99, 15), (1.0, 16), (1 / 8, 2)])
def test_a_ratio_between_two_sides_has_the_lower_ones_boxes(ratio, cells):
    assert ratio_at_boxes(distinct_ratios(16, 16), 16, 16, ratio) == cells / 16
