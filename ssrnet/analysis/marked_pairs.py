"""A threshold of the cosine from pairs of pictures that somebody has marked, with its interval and its error rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssrnet.retrieval.metric_intervals import CONFIDENCE, SEED, percentile_interval

ASKED, LEAST = 20, 5
"""Marked pairs in all, and of each kind, below which there is no threshold."""
REPLICATES = 1000


@dataclass(frozen=True)
class ErrorRate:
    """``errors`` of ``pairs`` as a share with its exact 95 % interval (Clopper & Pearson, Biometrika 26, 1934), in [0, 1]."""

    errors: int
    pairs: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.errors / self.pairs

    @classmethod
    def of(cls, wrong: np.ndarray) -> ErrorRate:
        """wrong: (n,) bool, whether each pair is judged wrongly."""
        from scipy.stats import binomtest  # takes most of a second

        errors, pairs = int(wrong.sum()), len(wrong)
        low, high = binomtest(errors, pairs).proportion_ci(CONFIDENCE, "exact")
        return cls(errors, pairs, float(low), float(high))


@dataclass(frozen=True)
class MarkedThreshold:
    """The ``threshold`` at which both error rates of the marked pairs are closest, with its 95 % interval.

    false_match: pairs of two vehicles that are accepted; false_non_match: of one vehicle that are rejected.
    """

    threshold: float
    low: float
    high: float
    false_match: ErrorRate
    false_non_match: ErrorRate

    @property
    def pairs(self) -> int:
        return self.false_match.pairs + self.false_non_match.pairs

    def is_same(self, cosine: float) -> bool | None:
        """Whether a pair of this cosine is one vehicle; None within the threshold's interval, where other marks decide."""
        return None if self.low <= cosine <= self.high else cosine > self.high


def marked_threshold(
    cosines: np.ndarray, is_same: np.ndarray, pictures: np.ndarray, replicates: int = REPLICATES, seed: int = SEED
) -> MarkedThreshold | None:
    """None with fewer than :data:`ASKED` marked pairs, or fewer than :data:`LEAST` of a kind.

    cosines: (P,) of the marked pairs. is_same: (P,) bool, whether one vehicle. pictures: (P, 2) int, those of each pair,
    numbered from 0.

    Pairs that share a picture err together, so the interval is a percentile bootstrap over the pictures (pigeonhole
    bootstrap, Owen, Annals of Applied Statistics 1, 2007): a pair counts as often as the product of the times that its two
    pictures are drawn. It is rather too wide than too narrow. Each pair is judged by the threshold of the others, since by
    its own the rates would be too low; the exact intervals of the rates take pairs as independent, so they are too narrow
    where pictures recur.
    """
    same, different = cosines[is_same], cosines[~is_same]
    if len(cosines) < ASKED or min(len(same), len(different)) < LEAST:
        return None
    random, count = np.random.Generator(np.random.PCG64(seed)), pictures.max() + 1
    drawn: list[float] = []
    while len(drawn) < replicates:
        times = np.bincount(random.integers(count, size=count), minlength=count)[pictures].prod(axis=1)  # (P,)
        kinds = [np.repeat(cosines[kind], times[kind]) for kind in (is_same, ~is_same)]
        if all(map(len, kinds)):  # else there is no threshold
            drawn.append(equal_error_threshold(*kinds))
    low, high = percentile_interval(np.array(drawn))
    accepted = [cosine >= equal_error_threshold(same, np.delete(different, i)) for i, cosine in enumerate(different)]
    rejected = [cosine < equal_error_threshold(np.delete(same, i), different) for i, cosine in enumerate(same)]
    rates = ErrorRate.of(np.array(accepted)), ErrorRate.of(np.array(rejected))
    return MarkedThreshold(equal_error_threshold(same, different), float(low), float(high), *rates)


def equal_error_threshold(same: np.ndarray, different: np.ndarray) -> float:
    """The threshold, midway between two cosines, at which the error rates are closest; of two alike the one with fewer errors."""
    cosines = np.unique(np.concatenate([same, different]))
    thresholds = np.concatenate([cosines[:1], (cosines[1:] + cosines[:-1]) / 2])
    false_match = 1 - np.searchsorted(np.sort(different), thresholds) / len(different)
    false_non_match = np.searchsorted(np.sort(same), thresholds) / len(same)
    apart = np.abs(false_match - false_non_match).round(9)
    return float(thresholds[np.lexsort((false_match + false_non_match, apart))[0]])


def next_pair(cosines: np.ndarray, marked: np.ndarray) -> int | None:
    """The pair to mark next, so that the marked ones are spread over the cosines; None once all are marked.

    cosines: (P,) of all pairs. marked: (P,) bool. The most similar pair comes first, then the one whose cosine is farthest
    from those of the marked pairs.
    """
    if marked.all():
        return None
    if not marked.any():
        return int(cosines.argmax())
    near = np.sort(cosines[marked])
    at = np.searchsorted(near, cosines).clip(1, len(near) - 1) if len(near) > 1 else np.ones(len(cosines), int)
    distance = np.abs(cosines - near[at - 1])
    if len(near) > 1:
        distance = np.minimum(distance, np.abs(cosines - near[at]))
    return int(np.where(marked, -1, distance).argmax())
