"""Verification (are two images of the same vehicle?): error rates of a cosine threshold over a protocol's pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssrnet.data.protocols import Split
from ssrnet.errors import ProtocolError
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import check_features, distance_blocks, judged_blocks

BINS = 4000
"""Bins of cosines from -1 to 1, so thresholds have a resolution of 0.0005; pairs are counted, never stored."""
EDGES = np.linspace(-1, 1, BINS + 1)


class ErrorRates(NamedTuple):
    """``false_match``: share of pairs of two vehicles accepted; ``false_non_match``: of one vehicle rejected; in [0, 1]."""

    false_match: float
    false_non_match: float


class EqualError(NamedTuple):
    """Equal error rate: the ``threshold`` at which both error rates are closest, and their mean there."""

    threshold: float
    rate: float


class Densities(NamedTuple):
    """``centres`` (n,) of bins from -1 to 1, and the densities (n,) of pairs of one vehicle and of two there."""

    centres: np.ndarray
    same: np.ndarray
    different: np.ndarray


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

    def densities(self, bins: int = 100) -> Densities:
        """Both kinds of pairs as densities over the cosine; ``bins`` must divide :data:`BINS`."""
        centres = EDGES[:-1].reshape(bins, -1)[:, 0] + 1 / bins
        same, different = (counts.reshape(bins, -1).sum(1) for counts in (self.same, self.different))
        return Densities(centres, *(counts / counts.sum() * bins / 2 for counts in (same, different)))


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
