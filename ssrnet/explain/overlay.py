"""Heatmaps painted over images."""

from __future__ import annotations

import numpy as np


def overlay(image: np.ndarray, heatmap: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """``heatmap`` (H, W) in [0, 1], blue to red, over ``image`` (H, W, 3) uint8 RGB; ``opacity`` in [0, 1].

    pytorch-grad-cam's own painter rescales each picture to its brightest pixel, so that two models'
    pictures of one image would differ in brightness; this one does not.
    """
    import cv2  # here, so that a page can be drawn before it, and say what is wrong with an installation

    colours = cv2.applyColorMap(np.uint8(np.round(heatmap * 255)), cv2.COLORMAP_TURBO)  # BGR
    return cv2.addWeighted(image, 1 - opacity, cv2.cvtColor(colours, cv2.COLOR_BGR2RGB), opacity, 0)
