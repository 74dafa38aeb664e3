"""Verification (are two images of the same vehicle?): error rates of a cosine threshold over a protocol's pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ssrnet.data.protocols import Split
from ssrnet.errors import ProtocolError
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import check_features, distance_blocks, judged_blocks

BINS = 4000
"""Bins of cosines from -1 to 1, so thresholds have a resolution of 0.0005; pairs are counted, never stored."""
EDGES = np.linspace(-1, 1, BINS + 1)
CENTRES = (EDGES[:-1] + EDGES[1:]) / 2
LEAST_BANDWIDTH = 0.005
"""Of a density: ten bins, and what a chart still shows as a curve."""


class ErrorRates(NamedTuple):
    """``false_match``: share of pairs of two vehicles accepted; ``false_non_match``: of one vehicle rejected; in [0, 1]."""

    false_match: float
    false_non_match: float


class EqualError(NamedTuple):
    """Equal error rate: the ``threshold`` at which both error rates are closest, and their mean there."""

    threshold: float
    rate: float


class Density(NamedTuple):
    """A kernel density estimate: ``density`` (n,) at cosines ``at`` (n,) from -1 to 1; ``bandwidth``: the kernel's deviation."""

    at: np.ndarray
    density: np.ndarray
    bandwidth: float


@dataclass(frozen=True)
class Verification:
    """Histograms over cosine of pairs of the ``same`` and of ``different`` vehicles, each (:data:`BINS`,) int64.

    A pair is accepted where its cosine is at least the threshold, which is rounded to the nearest bin edge.
    """

    same: np.ndarray
    different: np.ndarray

    def rates(self, threshold: float) -> ErrorRates:
        """Both error rates of a threshold in [-1, 1]."""
        at = int(np.clip(round((threshold + 1) / 2 * BINS), 0, BINS))
        return ErrorRates(
            float(self.different[at:].sum() / self.different.sum()), float(self.same[:at].sum() / self.same.sum())
        )

    def roc(self) -> tuple[np.ndarray, np.ndarray]:
        """False match rate and true match rate (BINS + 1,) at each edge as threshold, in descending order."""
        accepted = [
            np.concatenate([[0], np.cumsum(counts[::-1])]) / counts.sum() for counts in (self.different, self.same)
        ]
        return accepted[0], accepted[1]

    def equal_error(self) -> EqualError:
        false_match, true_match = self.roc()
        at = int(np.abs(false_match - (1 - true_match)).argmin())
        return EqualError(float(EDGES[BINS - at]), float((false_match[at] + 1 - true_match[at]) / 2))

    @cached_property
    def densities(self) -> tuple[Density, Density]:
        """Of pairs of one vehicle and of two over the cosine, each with the bandwidth of :func:`silverman`."""
        return smoothed(self.same), smoothed(self.different)


def smoothed(counts: np.ndarray, points: int = 401) -> Density:
    """counts: (:data:`BINS`,) -> their density by a Gaussian kernel, reflected at -1 and 1, where cosines end."""
    bandwidth = silverman(counts)
    held = np.flatnonzero(counts)
    at, cosines = np.linspace(-1, 1, points), CENTRES[held]
    shares = counts[held] / counts.sum()
    density = np.zeros(points)
    for places in (cosines, 2 - cosines, -2 - cosines):
        density += np.exp(-0.5 * ((at[:, None] - places) / bandwidth) ** 2) @ shares
    return Density(at, density / (bandwidth * math.sqrt(2 * math.pi)), bandwidth)


def silverman(counts: np.ndarray) -> float:
    """Silverman's rule (Density Estimation, 1986, Eq. 3.31), 0.9 min(deviation, IQR / 1.34) n^(-1/5), of binned cosines.

    At least :data:`LEAST_BANDWIDTH`, for pairs that hardly differ.
    """
    total = counts.sum()
    mean = CENTRES @ counts / total
    deviation = math.sqrt((CENTRES - mean) ** 2 @ counts / total)
    lower, upper = CENTRES[np.searchsorted(np.cumsum(counts), (0.25 * total, 0.75 * total))]
    spread = min(deviation, (upper - lower) / 1.34) or deviation
    return max(0.9 * spread * total**-0.2, LEAST_BANDWIDTH)


def verify(features: FeatureSet, split: Split) -> Verification:
    """Counts every pair of a query and a gallery image that is not junk.

    Costs what ranking costs. Raises :class:`ProtocolError` where the split has no pair of one vehicle or none of two,
    :class:`ssrnet.errors.DataError` for features that are missing or not finite.
    """
    query, gallery = features.rows(split.query), features.rows(split.gallery)
    check_features(query, gallery, split)
    counts = np.zeros((2, BINS), dtype=np.int64)
    for block in judged_blocks(distance_blocks(query, gallery, "cosine"), split, query.device):
        cosine = (1 - block.distance).clamp(-1, 1).cpu().numpy()
        same, junk = (flags.cpu().numpy() for flags in (block.same, block.junk))
        for row, pairs in enumerate((same & ~junk, ~same & ~junk)):
            counts[row] += np.histogram(cosine[pairs], EDGES)[0]
    if not counts.sum(1).all():
        raise ProtocolError(
            "verification needs pairs of one vehicle and pairs of two; this protocol's queries and gallery lack "
            f"{'the first' if not counts[0].sum() else 'the second'}; choose another protocol or more data."
        )
    return Verification(counts[0], counts[1])
