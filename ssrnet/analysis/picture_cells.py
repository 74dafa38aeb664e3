"""Equal cells for pictures of any shape, each shown whole: a cut edge may be what decided a match."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

RATIOS = (0.6, 1.7)
"""Width over height of the narrowest and of the widest cell."""
GROUND = "#e9eaec"
"""On paper, beside a picture that is narrower or flatter than its cell."""


def cell_ratio(sizes: Sequence[tuple[int, int]]) -> float:
    """Width over height of the cells for pictures of these (width, height): the median, within :data:`RATIOS`."""
    return float(np.clip(np.median([width / height for width, height in sizes]), *RATIOS)) if sizes else 1.0


def on_ground(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The whole picture, as large as fits into ``size`` (width, height) pixels, in the middle of :data:`GROUND`."""
    return ImageOps.pad(picture, size, Image.Resampling.LANCZOS, color=GROUND)
