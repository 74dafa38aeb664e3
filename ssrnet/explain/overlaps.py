"""How much the five regions of Eq. 2 share, from their boxes alone; no network is needed.

The paper's Sec. 3.4 asks for overlap (lambda > 1/2), and its Sec. 4.3 names the price of too much: regions that are
like the whole map, and over-smoothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssrnet.model.regions import Box, region_boxes


def shared_cells(boxes: Sequence[Box]) -> np.ndarray:
    """(n, n) int64: the cells that two boxes have in common; on the diagonal each box's own."""
    left, top, right, bottom = (side[:, None] for side in np.array(boxes, dtype=np.int64).T)
    width = np.minimum(right, right.T) - np.maximum(left, left.T)
    height = np.minimum(bottom, bottom.T) - np.maximum(top, top.T)
    return np.clip(width, 0, None) * np.clip(height, 0, None)


def overlap(boxes: Sequence[Box]) -> np.ndarray:
    """(n, n) in [0, 1]: intersection over union of each two boxes, 1 on the diagonal."""
    shared = shared_cells(boxes)
    own = shared.diagonal()
    return shared / (own[:, None] + own - shared)


def coverage(boxes: Sequence[Box], height: int, width: int) -> np.ndarray:
    """(height, width) int64: how many of the boxes each cell of the map lies in."""
    count = np.zeros((height, width), dtype=np.int64)
    for box in boxes:
        count[box.top : box.bottom, box.left : box.right] += 1
    return count


def ratio_at_boxes(ratios: Sequence[float], height: int, width: int, crop_ratio: float) -> float:
    """The one of ``ratios`` with the same boxes as ``crop_ratio``, as ``distinct_ratios`` lists one a set of boxes."""
    boxes = region_boxes(height, width, crop_ratio)
    return next(ratio for ratio in ratios if region_boxes(height, width, ratio) == boxes)
