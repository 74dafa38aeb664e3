"""Suspected label errors: images under a wrong vehicle, and one vehicle under two labels.

Distances differ in scale between models, so both rules look for outliers within the data set: beyond
:data:`CUT` robust standard deviations (1.4826 times the median absolute deviation from the median: Hampel's
identifier with the threshold of Leys et al., J. Exp. Soc. Psychol. 2013). Several models must agree, and the
lowest of their scores counts, so a second model finds fewer errors and raises fewer false alarms.

A suspicion is no proof. The bundled city's 835 labels are right, and yet untrained
ImageNet features (128 px) suspect 2 labels and 1 pair, those of a half-trained SSR-Net 6 and 4, nearly all siblings,
and both together 1 and 0; with 40 labels swapped at random, the two together find 26 of them among 32 suspects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssrnet.analysis.attributes import are_siblings
from ssrnet.analysis.csv_rows import Row
from ssrnet.analysis.neighbours import Neighbours
from ssrnet.data.records import VehicleImage

CUT = 2.5
ALIKE = 0.25
"""Two images may be one vehicle only if they are nearer than this quantile of all pairs of one vehicle."""
FLOOR = 1e-3
"""Smaller distances, as a share of their median, are raised to this, since copies would have the logarithm of 0."""


@dataclass(frozen=True)
class SuspectedLabel:
    """An image nearer to ``like``, of another vehicle, than to ``nearest_same``, the nearest of its labelled vehicle.

    Both neighbours are the first model's. The distances, one per model, are to the nearest image of the same and of
    any other vehicle. ``agreed``: all models name the same other vehicle. ``score``: robust standard
    deviations above the median image, the lowest of the models'.
    """

    image: VehicleImage
    like: VehicleImage
    nearest_same: VehicleImage
    same_distances: tuple[float, ...]
    other_distances: tuple[float, ...]
    agreed: bool
    score: float

    def row(self) -> Row:
        return {
            "image": self.image.name,
            "vehicle": self.image.vehicle_id,
            "like_vehicle": self.like.vehicle_id,
            "like_image": self.like.name,
            "nearest_same_image": self.nearest_same.name,
            "sibling": are_siblings(self.image, self.like),
            "agreed": self.agreed,
            "score": self.score,
            "same_distance": self.same_distances[0],
            "other_distance": self.other_distances[0],
        }


@dataclass(frozen=True)
class SuspectedPair:
    """Two images with different labels that look like one vehicle; ``distances``, one per model.

    ``nearer_than``: the share of all pairs of one vehicle that are farther apart, in [0, 1]. ``score``: robust
    standard deviations below the median image's distance to the nearest of another vehicle. Both are the lowest of
    the models'.
    """

    a: VehicleImage
    b: VehicleImage
    distances: tuple[float, ...]
    nearer_than: float
    score: float

    def row(self) -> Row:
        return {
            "image_a": self.a.name,
            "image_b": self.b.name,
            "vehicle_a": self.a.vehicle_id,
            "vehicle_b": self.b.vehicle_id,
            "sibling": are_siblings(self.a, self.b),
            "score": self.score,
            "nearer_than": self.nearer_than,
            "distance": self.distances[0],
        }


def suspected_labels(
    images: Sequence[VehicleImage], models: Sequence[Neighbours], cut: float = CUT
) -> tuple[SuspectedLabel, ...]:
    """Images that seem to have another vehicle's label, the most suspected first.

    ``models`` are the neighbours of the same ``images`` by one or more models. The margin of an image is the logarithm
    of the distance to the nearest image of the same vehicle over that to the nearest of another. Suspected is an image
    whose margin is, in every model, above 0 (it is nearer to another vehicle than to any image of its label) and
    ``cut`` robust standard deviations above the median margin. The only image of a vehicle cannot be judged.
    """
    with np.errstate(invalid="ignore"):  # inf - inf where an image has neither
        margins = [np.log(_floored(near.same_distance)) - np.log(_floored(near.other_distance)) for near in models]
    scores = np.min([outlying(margin) for margin in margins], axis=0)
    suspected = np.flatnonzero((np.min(margins, axis=0) > 0) & (scores > cut))
    labels = []
    for i in suspected[np.argsort(-scores[suspected], kind="stable")]:
        first = models[0]
        labels.append(
            SuspectedLabel(
                image=images[i],
                like=images[first.other[i]],
                nearest_same=images[first.same[i]],
                same_distances=tuple(float(near.same_distance[i]) for near in models),
                other_distances=tuple(float(near.other_distance[i]) for near in models),
                agreed=len({images[near.other[i]].vehicle_id for near in models}) == 1,
                score=float(scores[i]),
            )
        )
    return tuple(labels)


def suspected_pairs(
    images: Sequence[VehicleImage], models: Sequence[Neighbours], cut: float = CUT
) -> tuple[SuspectedPair, ...]:
    """Pairs of images that seem to show one vehicle under two labels, the most suspected first.

    Suspected are two images of different labels that are, in every model, each other's nearest neighbour, nearer than
    three quarters of all pairs of one vehicle, and nearer than different vehicles usually are: the distance's
    logarithm is ``cut`` robust standard deviations below the median image's to the nearest of another vehicle.
    """
    position, partner = np.arange(len(images)), models[0].other
    suspected = position < partner  # each pair once
    scores, nearer_than = np.full(len(images), np.inf), np.ones(len(images))
    for near in models:
        nearest = near.nearest
        suspected &= (near.other == partner) & (nearest == partner) & (nearest[nearest] == position)
        scores = np.minimum(scores, -outlying(np.log(_floored(near.other_distance))))
        nearer_than = np.minimum(nearer_than, _share_above(near.other_distance, near.same_pair_distances))
    positions = np.flatnonzero(suspected & (scores > cut) & (nearer_than > 1 - ALIKE))
    return tuple(
        SuspectedPair(
            a=images[i],
            b=images[partner[i]],
            distances=tuple(float(near.other_distance[i]) for near in models),
            nearer_than=float(nearer_than[i]),
            score=float(scores[i]),
        )
        for i in positions[np.argsort(-scores[positions], kind="stable")]
    )


def outlying(x: np.ndarray) -> np.ndarray:
    """(N,) robust standard deviations of each of ``x`` (N,) above their median.

    Values that are not finite are ignored and get NaN. All get 0 where more than half are equal or none is finite,
    since the spread is then unknown.
    """
    finite = x[np.isfinite(x)]
    median = np.median(finite) if len(finite) else np.nan
    spread = 1.4826 * np.median(np.abs(finite - median)) if len(finite) else 0.0
    if spread == 0:
        return np.zeros(len(x))
    return np.where(np.isfinite(x), x - median, np.nan) / spread


def _floored(distance: np.ndarray) -> np.ndarray:
    finite = distance[np.isfinite(distance)]
    least = FLOOR * float(np.median(finite)) if len(finite) else 0.0
    return np.maximum(distance, max(least, float(np.finfo(np.float32).tiny)))


def _share_above(x: np.ndarray, among: np.ndarray) -> np.ndarray:
    """(N,) the share of ``among`` (S,) greater than each of ``x`` (N,); 0 where ``among`` is empty."""
    if not len(among):
        return np.zeros(len(x))
    return 1 - np.searchsorted(np.sort(among), x, side="right") / len(among)
