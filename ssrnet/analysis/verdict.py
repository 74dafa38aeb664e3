"""Which of two models is better under a protocol, by how much, and whether that is more than chance: in a sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.query_slices import FEW_VEHICLES
from ssrnet.data.protocols import Split
from ssrnet.retrieval.evaluation import Evaluation, query_scores
from ssrnet.retrieval.metric_intervals import Estimate, differences

MINUS = "−"


@dataclass(frozen=True)
class Verdict:
    """The model ``second`` minus ``first``, by metric, as ``ssrnet compare`` computes it; both are titles.

    ``vehicles``: query vehicles with a match. ``one_match``: no query has more than one.
    ``same_features``: both are one checkpoint with one alignment.
    """

    first: str
    second: str
    differences: Mapping[str, Estimate]
    vehicles: int
    one_match: bool = False
    same_features: bool = False

    @property
    def few(self) -> bool:
        """Whether there are too few query vehicles for the intervals to be trusted."""
        return self.vehicles < FEW_VEHICLES

    @property
    def label(self) -> str:
        """The difference in short, as "SSR-Net − Baseline"."""
        first, second = short_titles(self.first, self.second)
        return f"{second} {MINUS} {first}"

    @property
    def sentence(self) -> str:
        """What the differences of mAP and rank-1 say; beyond chance is a difference whose interval excludes 0."""
        first, second = short_titles(self.first, self.second)
        if self.same_features:
            return f"{first} and {second} are the same checkpoint, so no number differs."
        precision, at_first = (self.differences[metric] for metric in ("mAP", "rank-1"))
        both = f"mAP {in_points(precision)}, rank-1 {in_points(at_first)}"
        if self.few:
            vehicles = f"{self.vehicles} query vehicle{'s' * (self.vehicles != 1)}"
            return f"{second} against {first}, with {vehicles}, too few to tell a difference from chance: {both}."
        more, sooner = direction(precision), direction(at_first)
        finds = f"{second} {self._finds(more)} (mAP {in_points(precision)})"
        often = f"{_often(sooner)} lists {{}} first (rank-1 {in_points(at_first)})"
        if more and sooner:
            return f"{finds}{' and' if more == sooner else ', but'} {often.format('it' if self.one_match else 'one of them')}."
        if more:
            return f"{finds}; at rank 1 the two do not differ beyond chance ({in_points(at_first)})."
        if sooner:
            rest = f"in mAP the two do not differ beyond chance ({in_points(precision)})"
            return f"{second} {often.format('an image of the vehicle')}; {rest}."
        return f"{second} and {first} do not differ beyond chance: {both}."

    @property
    def sentence_against(self) -> str:
        """:attr:`sentence` with the first model's title in any case, for several verdicts below each other."""
        names_both = self.few or self.same_features
        if names_both or not any(direction(self.differences[metric]) for metric in ("mAP", "rank-1")):
            return self.sentence
        return f"Against {short_titles(self.first, self.second)[0]}, {self.sentence}"

    def _finds(self, more: int) -> str:
        if self.one_match:
            return f"ranks each query's one match {'higher' if more > 0 else 'lower'}"
        return f"finds {'more' if more > 0 else 'fewer'} of each vehicle's images"


def compare_evaluations(titles: tuple[str, str], a: Evaluation, b: Evaluation) -> Verdict | None:
    """``b`` minus ``a``, with the draws of ``ssrnet compare``; None where no query has a match.

    Raises :class:`ssrnet.errors.ProtocolError` where the two did not rank the same queries and gallery.
    """
    Comparison(a, b)
    scores = query_scores(a), query_scores(b)
    vehicles = len(set(scores[0].vehicles.tolist()))
    if not vehicles:
        return None
    made_of = [(one.record.features.get("checkpoint_hash"), one.record.camera_alignment) for one in (a, b)]
    return Verdict(
        *titles,
        differences([scores[0]], [scores[1]]),
        vehicles,
        one_match=_has_one_match(a.split),
        same_features=made_of[0][0] is not None and made_of[0] == made_of[1],
    )


def direction(difference: Estimate) -> int:
    """1 for a rise and -1 for a fall beyond chance, whose interval excludes 0; else 0."""
    return int(difference.low > 0) - int(difference.high < 0)


def in_points(difference: Estimate) -> str:
    """A difference in percentage points with its interval, as "+3.6, 2.4 to 4.9".

    Two decimals where one would round an end of the interval to 0.
    """
    decimals = 2 if any(0 < abs(100 * end) < 0.05 for end in (difference.low, difference.high)) else 1
    return f"{signed(100 * difference.value, decimals)}, {interval(difference, decimals)}"


def interval(difference: Estimate, decimals: int) -> str:
    """The ends of the interval in percentage points, as "2.4 to 4.9"."""
    return f"{_number(100 * difference.low, decimals)} to {_number(100 * difference.high, decimals)}"


def signed(value: float, decimals: int) -> str:
    """The number with its sign, 0 without one."""
    text = _number(value, decimals)
    return text if text.startswith(MINUS) or not float(text) else f"+{text}"


def short_titles(first: str, second: str) -> tuple[str, str]:
    """The titles without what is in brackets, where that still tells them apart."""
    shorter = tuple(re.sub(r" \(.*\)", "", title) for title in (first, second))
    return (first, second) if shorter[0] == shorter[1] else shorter


def _has_one_match(split: Split) -> bool:
    """Whether no query has more than one gallery image of its vehicle that is not junk."""
    of_vehicle = Counter(image.vehicle_id for image in split.gallery)
    by_camera = Counter((image.vehicle_id, image.camera_id) for image in split.gallery if split.same_camera_is_junk)
    return all(
        of_vehicle[image.vehicle_id] - by_camera[image.vehicle_id, image.camera_id] <= 1 for image in split.query
    )


def _often(sooner: int) -> str:
    return "more often" if sooner > 0 else "less often"


def _number(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if not float(text) else text.replace("-", MINUS)
