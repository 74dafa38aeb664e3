"""Overlap of the five regions of Eq. 2, from their boxes alone; no network is needed.

The paper wants overlap (Sec. 3.4, lambda > 1/2). Too much of it makes regions alike and leads to over-smoothing
(Sec. 4.4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssrnet.model.regions import Box, region_boxes


def shared_cells(boxes: Sequence[Box]) -> np.ndarray:
    """(n, n) int64: the number of cells that two boxes share; on the diagonal each box's size."""
    left, top, right, bottom = (side[:, None] for side in np.array(boxes, dtype=np.int64).T)
    width = np.minimum(right, right.T) - np.maximum(left, left.T)
    height = np.minimum(bottom, bottom.T) - np.maximum(top, top.T)
    return np.clip(width, 0, None) * np.clip(height, 0, None)


def overlap(boxes: Sequence[Box]) -> np.ndarray:
    """(n, n) in [0, 1]: intersection over union of each two boxes, 1 on the diagonal."""
    shared = shared_cells(boxes)
    size = shared.diagonal()
    return shared / (size[:, None] + size - shared)


def coverage(boxes: Sequence[Box], height: int, width: int) -> np.ndarray:
    """(height, width) int64: the number of boxes that contain each cell of the map."""
    count = np.zeros((height, width), dtype=np.int64)
    for box in boxes:
        count[box.top : box.bottom, box.left : box.right] += 1
    return count


def ratio_at_boxes(ratios: Sequence[float], height: int, width: int, crop_ratio: float) -> float:
    """The one of ``ratios``, from ``distinct_ratios``, whose boxes are those of ``crop_ratio``."""
    boxes = region_boxes(height, width, crop_ratio)
    return next(ratio for ratio in ratios if region_boxes(height, width, ratio) == boxes)
