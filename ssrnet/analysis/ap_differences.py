"""How the change of AP from one model to the other is spread over the queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEP = 0.05


@dataclass(frozen=True)
class DeltaHistogram:
    """``centres`` (n,) of bins of one width from -1 to 1, the middle one around 0; ``queries`` (n,) int64 in each.

    ``worse``, ``same`` and ``better`` count queries whose AP fell, did not change at all, and rose.
    """

    centres: np.ndarray
    queries: np.ndarray
    width: float
    worse: int
    same: int
    better: int


def delta_histogram(delta_ap: np.ndarray, width: float = STEP) -> DeltaHistogram:
    """delta_ap: (Q,) in [-1, 1], NaN for queries without a match, which are left out."""
    known = delta_ap[~np.isnan(delta_ap)]
    half = round(1 / width)
    places = np.rint(known / width).astype(np.int64)
    queries = np.bincount(places + half, minlength=2 * half + 1)
    centres = np.arange(-half, half + 1) * width
    return DeltaHistogram(
        centres, queries, width, int((known < 0).sum()), int((known == 0).sum()), int((known > 0).sum())
    )
