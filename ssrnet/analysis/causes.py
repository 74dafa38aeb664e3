"""Causes of wrong first images: what each has in common with its query, or shows itself, and how often chance would.

Chance is a wrong first image drawn uniformly from the gallery images of other vehicles, none of which is junk, for each
query by itself. How many of the queries then show a cause is Poisson-binomial, and all its numbers here are exact.
Several queries of one vehicle often fail together, which independent draws leave out: bands are rather too narrow.

A cause is a property of the first image, or of the pair. What the query alone shows, as its own size, is the same for
every draw; :mod:`ssrnet.analysis.query_slices` compares queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssrnet.analysis.attributes import (
    CAMERA,
    COLOURS,
    SIBLING,
    angle_between,
    attribute_names,
    coded,
    day_or_night,
    grouped,
    in_words,
    numbers,
    values,
)
from ssrnet.analysis.confusions import Confusions
from ssrnet.analysis.csv_rows import Row, number
from ssrnet.analysis.duplicates import SAME_PHOTOGRAPH
from ssrnet.analysis.suspected_labels import SuspectedLabel, SuspectedPair
from ssrnet.data.images import pixel_count
from ssrnet.data.protocols import Split
from ssrnet.data.records import TYPES
from ssrnet.errors import DataError

FAR = 90.0
"""Degrees between two viewpoints from which the image shows the vehicle from another side than the query."""
HIDDEN = 0.02
"""Share of the vehicle from which something counts as standing in front of it."""
SMALLEST = 0.25
"""Share of the gallery that has few pixels."""
SIGNIFICANT = 0.05
"""A cause is beyond chance where its probability times the number of causes looked at (Bonferroni) is below this."""
NOT_LOOKED = "not looked for yet"

Shows = Callable[[int], np.ndarray]
"""Which gallery images show a cause for the query at this position: (G,) float64 of 1, 0, and NaN where unknown."""


@dataclass(frozen=True)
class LabelsAndCopies:
    """What :mod:`suspected_labels` suspects, and the difference hash of every test image by name."""

    labels: Sequence[SuspectedLabel]
    pairs: Sequence[SuspectedPair]
    hashes: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Cause:
    """One cause over the C wrong first images of :class:`Confusions`.

    ``words`` go on after "the first image shows". ``present`` (C,) float64: 1 where the first image shows it, 0 where
    not, NaN where that is unknown. ``chance`` (C,) is the share that shows it of the gallery images of other vehicles of
    which it is known. ``unknown`` says why the data cannot show the cause at all; then both are NaN.
    """

    name: str
    words: str
    present: np.ndarray
    chance: np.ndarray
    unknown: str = ""


class CauseCount(NamedTuple):
    """How many of ``queries``, of which it is known, show a cause: ``count``, against chance.

    By chance it would be ``expected`` in the mean and, in at least 95 % of draws, from ``low`` to ``high``.
    ``probability``, two-sided: of a count at least as far from chance, on twice the smaller tail. Without a query
    all but the count are NaN.
    """

    name: str
    words: str
    queries: int
    count: int
    expected: float
    low: float
    high: float
    probability: float

    @property
    def distance(self) -> float:
        """Between count and expectation, in units of the half band; at least one image, so that it is finite."""
        return abs(self.count - self.expected) / max((self.high - self.low) / 2, 1)


class Finding(NamedTuple):
    """The cause that is least likely by chance, of ``looked_at`` causes. ``beyond_chance``: by :data:`SIGNIFICANT`."""

    count: CauseCount
    looked_at: int
    beyond_chance: bool


@dataclass(frozen=True)
class Causes:
    """Every cause of one model's confusions, those that the data cannot show among them."""

    confusions: Confusions
    causes: tuple[Cause, ...]

    @property
    def known(self) -> tuple[Cause, ...]:
        return tuple(cause for cause in self.causes if not cause.unknown)

    @property
    def unknown(self) -> dict[str, str]:
        """Why, by the name of each cause that the data cannot show."""
        return {cause.name: cause.unknown for cause in self.causes if cause.unknown}

    def counts(self) -> tuple[CauseCount, ...]:
        """Each known cause against chance."""
        return tuple(count_cause(cause) for cause in self.known)

    def by_probability(self) -> list[CauseCount]:
        """The causes known of some query, the least likely by chance first; of equals the most distant."""
        counts = [count for count in self.counts() if count.queries]
        return sorted(counts, key=lambda count: (count.probability, -count.distance))

    def beyond_chance(self) -> list[CauseCount]:
        """Of :meth:`by_probability` those that remain with as many causes looked at (Bonferroni)."""
        counts = self.by_probability()
        return [count for count in counts if count.probability * len(counts) < SIGNIFICANT]

    def strongest(self) -> Finding | None:
        """The first of :meth:`by_probability`; None without a wrong first image, or where no cause is known."""
        counts = self.by_probability()
        return Finding(counts[0], len(counts), bool(self.beyond_chance())) if counts else None

    def of(self, i: int) -> list[str]:
        """Names of the causes that the first image of confusion ``i`` shows."""
        return [cause.name for cause in self.known if cause.present[i] == 1]

    def showing(self, name: str | None) -> np.ndarray:
        """Positions of the confusions that show the cause, lowest AP first; with None those that show no known cause."""
        present = [cause.present == 1 for cause in self.known if name is None or cause.name == name]
        chosen = np.any(present, axis=0) if present else np.zeros(len(self.confusions.query), bool)
        positions = np.flatnonzero(~chosen if name is None else chosen)
        return positions[np.argsort(self.confusions.average_precision[positions], kind="stable")]

    def rows(self) -> list[Row]:
        """The rows of the confusions, each with a column a cause: None where it is unknown."""
        return [
            row | {cause.name: number(cause.present[i]) for cause in self.causes}
            for i, row in enumerate(self.confusions.rows())
        ]

    def count_rows(self) -> list[Row]:
        """One row a cause with its count and chance, or why it is unknown."""
        rows: list[Row] = [{**count._asdict(), "unknown": None} for count in self.counts()]
        return rows + [{"name": name, "unknown": why} for name, why in self.unknown.items()]


def causes(confused: Confusions, looked: LabelsAndCopies | None = None) -> Causes:
    """The causes of one model's confusions; suspected labels and copies are unknown without ``looked``.

    Reads the header of each gallery image's file. Costs C x G comparisons a cause, a query at a time.
    """
    split = confused.split
    if not split.gallery:
        return Causes(confused, ())
    names = attribute_names((*split.query, *split.gallery))
    evidence = (
        _sibling(split, names),
        _same(split, names, "same camera", "the query's own camera", ((CAMERA,),)),
        _same(split, names, "same type and colour", "the query's {}", (TYPES, COLOURS)),
        _same(split, names, "same light and weather", "the query's {}", (("light",), ("weather",))),
        _far_view(split, names),
        _few_pixels(split),
        _night(split, names),
        _in_front(split, names),
        _suspected(split, looked),
        _copy(split, looked),
    )
    return Causes(confused, tuple(_measured(confused, *each) for each in evidence))


def count_cause(cause: Cause) -> CauseCount:
    """A cause against chance, over the confusions of which it is known."""
    known = ~np.isnan(cause.present) & ~np.isnan(cause.chance)
    queries, count = int(known.sum()), int(cause.present[known].sum())
    if not queries:
        return CauseCount(cause.name, cause.words, 0, 0, *[np.nan] * 4)
    shares = cause.chance[known]
    chances = poisson_binomial(shares)
    low, high = band(chances)
    tails = chances[: count + 1].sum(), chances[count:].sum()
    probability = min(1.0, 2 * float(min(tails)))
    return CauseCount(cause.name, cause.words, queries, count, float(shares.sum()), low, high, probability)


def poisson_binomial(probabilities: np.ndarray) -> np.ndarray:
    """(C + 1,) the probability that 0, 1, ..., C of independent events occur; probabilities: (C,), in [0, 1].

    By convolution, which adds positive numbers alone: small probabilities keep their digits.
    """
    parts = [np.array([1 - p, p]) for p in probabilities] or [np.ones(1)]
    while len(parts) > 1:  # neighbours in pairs, so that most products are of short polynomials
        paired = [np.convolve(*pair) for pair in zip(parts[::2], parts[1::2])]
        parts = paired + parts[2 * len(paired) :]
    return parts[0]


def band(chances: np.ndarray) -> tuple[int, int]:
    """The 2.5th and 97.5th percentile of :func:`poisson_binomial`: at least 95 % are within, both bounds included."""
    low, high = np.searchsorted(np.cumsum(chances), (0.025, 0.975))
    return int(low), int(high)


class _Evidence(NamedTuple):
    name: str
    words: str
    shows: Shows | None
    unknown: str = ""


def _measured(confused: Confusions, name: str, words: str, shows: Shows | None, unknown: str) -> Cause:
    present, chance = np.full((2, len(confused.query)), np.nan)
    if shows is not None:
        vehicles, of_query = _vehicles(confused.split)
        for i, (q, g) in enumerate(zip(confused.query, confused.first_image, strict=True)):
            row = shows(int(q))
            drawn = row[vehicles != of_query[q]]
            drawn = drawn[~np.isnan(drawn)]
            present[i], chance[i] = row[g], drawn.mean() if len(drawn) else np.nan
    return Cause(name, words, present, chance, unknown)


def _vehicles(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """The vehicle of each gallery image (G,) and of each query (Q,), as integers."""
    ids = np.array([image.vehicle_id for image in (*split.gallery, *split.query)], dtype=object)
    codes = coded(ids)[0]
    return codes[: len(split.gallery)], codes[len(split.gallery) :]


def _sibling(split: Split, names: Sequence[str]) -> _Evidence:
    """A vehicle without a group has no sibling: 0, not NaN."""
    title, words = "sibling", "a sibling of the query's vehicle"
    if SIBLING not in names:
        return _Evidence(title, words, None, f"the data has no column {SIBLING}")
    query, gallery = _codes(split, SIBLING)
    return _Evidence(title, words, lambda q: ((gallery == query[q]) & (query[q] >= 0)).astype(float))


def _same(split: Split, names: Sequence[str], title: str, words: str, columns: Sequence[Sequence[str]]) -> _Evidence:
    """Agreement in each of ``columns``, of which a data set may use one name or another, or have some alone."""
    found = [next((name for name in options if name in names), None) for options in columns]
    if found[0] is None:
        return _Evidence(title, words, None, f"the data has no column {columns[0][0]}")
    used = [name for name in found if name is not None]
    plain = [options[-1] for options, name in zip(columns, found) if name is not None]
    if len(used) < len(columns):
        title = f"same {in_words(plain[0])}"
    codes = [_codes(split, name) for name in used]

    def shows(q: int) -> np.ndarray:
        agrees = np.ones(len(split.gallery))
        for query, gallery in codes:
            agrees *= np.where((query[q] < 0) | (gallery < 0), np.nan, gallery == query[q])
        return agrees

    return _Evidence(title, words.format(" and ".join(map(in_words, plain))), shows)


def _far_view(split: Split, names: Sequence[str]) -> _Evidence:
    title, words = "far viewpoint", f"the vehicle from more than {FAR:.0f}° away from the query's viewpoint"
    angles = _numbers(split, names, "azimuth")
    if isinstance(angles, str):
        return _Evidence(title, words, None, angles)
    query, gallery = angles

    def shows(q: int) -> np.ndarray:
        apart = angle_between(query[q], gallery)
        return np.where(np.isnan(apart), np.nan, apart > FAR)

    return _Evidence(title, words, shows)


def _few_pixels(split: Split) -> _Evidence:
    title = "few pixels"
    pixels = np.array([pixel_count(image.path) or np.nan for image in split.gallery])
    if np.isnan(pixels).all():
        return _Evidence(title, title, None, "no gallery image's file can be read")
    least = float(np.nanquantile(pixels, SMALLEST))
    if not (pixels < least).any():
        return _Evidence(title, title, None, f"a quarter of the gallery images has the same {least:,.0f} pixels")
    few = np.where(np.isnan(pixels), np.nan, pixels < least)
    words = f"fewer than {least:,.0f} pixels, as {np.nanmean(few):.0%} of the gallery does"
    return _Evidence(title, words, lambda q: few)


def _night(split: Split, names: Sequence[str]) -> _Evidence:
    title, words = "night", "the vehicle at night"
    if "light" not in names:
        return _Evidence(title, words, None, "the data has no column light")
    light = grouped(values((*split.query, *split.gallery), "light")[len(split.query) :], day_or_night)
    night = np.array([np.nan if value is None else float(value == "night") for value in light])
    return _Evidence(title, words, lambda q: night)


def _in_front(split: Split, names: Sequence[str]) -> _Evidence:
    title, words = "something in front", f"something in front of the vehicle ({HIDDEN:.0%} of it hidden, or more)"
    hidden = _numbers(split, names, "occlusion")
    if isinstance(hidden, str):
        return _Evidence(title, words, None, hidden)
    in_front = np.where(np.isnan(hidden[1]), np.nan, hidden[1] >= HIDDEN)
    return _Evidence(title, words, lambda q: in_front)


def _suspected(split: Split, looked: LabelsAndCopies | None) -> _Evidence:
    """Where the query's own label is suspected, every first image shows it: such a query says nothing against chance."""
    title, words = "suspected label", "a label that is suspected to be wrong, its own or the query's"
    if looked is None:
        return _Evidence(title, words, None, NOT_LOOKED)
    labels = {one.image.name for one in looked.labels}
    pairs = {frozenset((one.a.name, one.b.name)) for one in looked.pairs}
    names = [image.name for image in split.gallery]

    def shows(q: int) -> np.ndarray:
        query = split.query[q].name
        suspected = [query in labels or name in labels or frozenset((query, name)) in pairs for name in names]
        return np.array(suspected, dtype=float)

    return _Evidence(title, words, shows)


def _copy(split: Split, looked: LabelsAndCopies | None) -> _Evidence:
    title, words = "near-duplicate", "the query's photograph once more"
    if looked is None:
        return _Evidence(title, words, None, NOT_LOOKED)
    gallery = np.stack([looked.hashes[image.name] for image in split.gallery])

    def shows(q: int) -> np.ndarray:
        different = (gallery != looked.hashes[split.query[q].name]).mean(1)
        return (different <= SAME_PHOTOGRAPH).astype(float)

    return _Evidence(title, words, shows)


def _codes(split: Split, attribute: str) -> tuple[np.ndarray, np.ndarray]:
    """The values of queries (Q,) and gallery (G,) as integers, -1 where unknown."""
    codes = coded(values((*split.query, *split.gallery), attribute))[0]
    return codes[: len(split.query)], codes[len(split.query) :]


def _numbers(split: Split, names: Sequence[str], attribute: str) -> tuple[np.ndarray, np.ndarray] | str:
    """The numbers of queries (Q,) and gallery (G,), NaN where unknown; else why there are none."""
    if attribute not in names:
        return f"the data has no column {attribute}"
    try:
        known = numbers((*split.query, *split.gallery), attribute)
    except DataError:
        return f"the column {attribute} has values that are no numbers"
    return known[: len(split.query)], known[len(split.query) :]
