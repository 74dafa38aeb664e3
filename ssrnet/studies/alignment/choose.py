"""Chooses the settings of camera alignment, and the rule for caution, from the results of drawn data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ssrnet.studies.alignment.draws import IMAGES, MIXES
from ssrnet.studies.alignment.measure import ALIKE, PRIORS, DrawResult

HARM = 0.005
"""A draw is harmed where alignment lowers mAP by more than this."""
USEFUL = 0.5
"""A fact enters the rule where the share of harmed draws that it flags exceeds that of the others by at least this."""


@dataclass(frozen=True)
class Threshold:
    """Flags draws on one side of ``value``: below it, or above it for ``mix``.

    flagged: share of harmed draws flagged, and of the others, in [0, 1].
    """

    fact: str
    value: float
    flagged: tuple[float, float]

    @property
    def separation(self) -> float:
        """Youden's J, in [-1, 1]."""
        return self.flagged[0] - self.flagged[1]


@dataclass(frozen=True)
class Choice:
    """prior and min_images of :class:`ssrnet.retrieval.alignment.AlignmentSettings`; alike and min_distinct of
    :mod:`ssrnet.analysis.camera_facts`; harmed: share of draws harmed, for each of :data:`PRIORS`; thresholds: the best
    of each fact, those of ``distinct`` named by their cosine.
    """

    prior: float
    min_images: int
    alike: float
    min_distinct: float
    harmed: tuple[float, ...]
    thresholds: tuple[Threshold, ...]


def choose(results: Sequence[DrawResult]) -> Choice:
    """prior: the one that harms the fewest draws; among equals the one with the largest mean gain.

    min_images: the smallest number of images a camera at which, with all vehicles, the mean gain is above 0 for every mix
    and model. alike, min_distinct: those that separate harmed draws from the others best.
    """
    gains = np.array([one.gains for one in results])  # (R, priors)
    harmed = (gains < -HARM).mean(0)
    at = min(range(len(PRIORS)), key=lambda i: (harmed[i], -gains[:, i].mean()))
    bad = gains[:, at] < -HARM
    thresholds = [best_threshold("images", [one.images for one in results], bad)]
    thresholds += [
        best_threshold(f"distinct at {alike:g}", [one.distinct[i] for one in results], bad)
        for i, alike in enumerate(ALIKE)
    ]
    if all(one.mix is not None for one in results):
        thresholds.append(best_threshold("mix", [one.mix or 0.0 for one in results], bad, above=True))
    distinct = thresholds[1 : 1 + len(ALIKE)]
    best = max(range(len(ALIKE)), key=lambda i: distinct[i].separation)
    return Choice(
        PRIORS[at],
        _fewest_images(results, at),
        ALIKE[best],
        distinct[best].value,
        tuple(harmed.tolist()),
        tuple(thresholds),
    )


def best_threshold(fact: str, values: Sequence[float], bad: np.ndarray, above: bool = False) -> Threshold:
    """The threshold of the largest separation, the more lenient of equals; values: (R,), bad: (R,) bool.

    Candidates are halves, or twentieths for ``mix``.
    """
    v, step = np.array(values), 0.05 if above else 0.5
    candidates = [
        Threshold(fact, t, shares(v > t if above else v < t, bad)) for t in np.arange(0, v.max() + step, step)
    ]
    ordered = candidates[::-1] if above else candidates
    found = max(ordered, key=lambda one: round(one.separation, 6))
    return Threshold(fact, round(float(found.value), 2), found.flagged)


def shares(flagged: np.ndarray, bad: np.ndarray) -> tuple[float, float]:
    """The share of ``bad`` draws that are ``flagged``, and that of the others; 0 where there is none. Both (R,) bool."""
    return tuple(float(flagged[some].mean()) if some.any() else 0.0 for some in (bad, ~bad))


def is_flagged(result: DrawResult, choice: Choice) -> bool:
    """Whether the rule advises caution."""
    return result.distinct[ALIKE.index(choice.alike)] < choice.min_distinct


def _fewest_images(results: Sequence[DrawResult], at: int) -> int:
    def gain(kept: Callable[[DrawResult], bool]) -> float:
        return float(np.mean([one.gains[at] for one in results if kept(one)] or [0.0]))

    models = sorted({one.model for one in results})
    whole = [one for one in results if one.draw.vehicles is None]
    for images in (count for count in IMAGES if count is not None):
        cells = [
            gain(
                lambda one, m=m, mix=mix: (
                    one in whole and (one.model, one.draw.mix, one.draw.images) == (m, mix, images)
                )
            )
            for m in models
            for mix in MIXES
        ]
        if min(cells) > 0:
            return images
    return max(count for count in IMAGES if count is not None)
