"""Heatmaps in colours, alone or painted over images."""

from __future__ import annotations

import numpy as np


def coloured(heatmap: np.ndarray) -> np.ndarray:
    """``heatmap`` (H, W) in [0, 1] as colours (H, W, 3) uint8 RGB, blue lowest and red highest."""
    import cv2  # here, so that a page can open without it and report a broken installation

    colours = cv2.applyColorMap(np.uint8(np.round(heatmap * 255)), cv2.COLORMAP_TURBO)  # BGR
    return cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)


def overlay(image: np.ndarray, heatmap: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """``heatmap`` (H, W) in [0, 1], blue to red, over ``image`` (H, W, 3) uint8 RGB; ``opacity`` in [0, 1].

    pytorch-grad-cam's ``show_cam_on_image`` rescales each picture to its brightest pixel, so that two models'
    pictures of one image would differ in brightness; this one does not.
    """
    import cv2

    return cv2.addWeighted(image, 1 - opacity, coloured(heatmap), opacity, 0)


def outlined(image: np.ndarray, region: np.ndarray) -> np.ndarray:
    """``image`` (H, W, 3) uint8 with a white line around ``region`` (H, W) bool, and a black one around that."""
    drawn = image.copy()
    white = _grown(region)
    drawn[_grown(white) & ~white] = 0
    drawn[white & ~region] = 255
    return drawn


def _grown(region: np.ndarray) -> np.ndarray:
    """``region`` and the pixels that touch it."""
    padded = np.pad(region, 1)
    h, w = region.shape
    shifts = [padded[y : y + h, x : x + w] for y in range(3) for x in range(3)]
    return np.logical_or.reduce(shifts)
