"""The report's numbers and verdicts, computed from the rows: which maps are faithful to their network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ssrnet.analysis.mean_intervals import Interval, difference, interval, mean, ratio, spearman
from ssrnet.data.parts import NOT_VEHICLE
from ssrnet.data.probes import AS_IT_IS, MOVED, REMOVED
from ssrnet.explain.faithfulness import Curve, Curves
from ssrnet.studies.explanations.measure import CENTRE, CONTROLS, RANDOM
from ssrnet.studies.explanations.measurements import ModelMeasurements, Row
from ssrnet.studies.verdicts import MapVerdict, ModelVerdicts

MOST_LIKE_TRAINED = 0.5
"""A map fails if its rank correlation with the trained network's stays above this under random weights: our choice."""
FEWEST = 5
"""The fewest photographs for reporting a part's share, and the fewest vehicles for a test."""

TESTS = ("faithful", "finds the change", "depends on training")


@dataclass(frozen=True)
class MethodSummary:
    """One map's numbers; None where it was not measured.

    gain: area under insertion minus deletion, after the two areas; over_random and over_centre: gain minus the
    controls' on the same photographs. vehicle: share of the map's mass on the vehicle, which is not a test, since a
    blob in the middle has the largest. hits: pointing game. marks: mass on marks over their area; parts: the same by
    label. pair_share: mass on a pair's mark over its area; pair_change: the same of the maps' difference; agreement:
    rank correlation, over pairs, of the mass on the mark with the change of the similarity by its removal (large
    marks have more of both: compare with the controls'). randomised: rank correlation with the trained map by stage;
    other: with another photograph's.
    """

    name: str
    insertion: Interval | None
    deletion: Interval | None
    gain: Interval | None
    over_random: Interval | None
    over_centre: Interval | None
    vehicle: Interval | None
    hits: Interval | None
    marks: Interval | None
    parts: dict[str, float]
    pair_share: Interval | None
    pair_change: Interval | None
    agreement: Interval | None
    randomised: dict[str, Interval]
    other: Interval | None

    @property
    def is_control(self) -> bool:
        return self.name in CONTROLS

    @property
    def tests(self) -> dict[str, bool | None]:
        """By the names in :data:`TESTS`; None where too few vehicles were measured."""
        over_controls = _enough(self.over_random), _enough(self.over_centre)
        faithful = None if None in over_controls else all(gain.is_positive for gain in over_controls)
        change, last = _enough(self.pair_change), _enough(self.untrained)
        finds, depends = change and change.low > 1, last and last.high < MOST_LIKE_TRAINED
        return dict(zip(TESTS, (faithful, finds, depends), strict=True))

    @property
    def untrained(self) -> Interval | None:
        """The correlation once all weights are random."""
        return list(self.randomised.values())[-1] if self.randomised else None

    @property
    def is_trusted(self) -> bool:
        """Whether it passed every test that was possible, the curves among them."""
        return not self.is_control and self.tests["faithful"] is True and False not in self.tests.values()


@dataclass(frozen=True)
class ModelSummary:
    """``methods`` in the order measured, controls last; ``chance``: of the pointing game, on the same photographs.

    removed, moved: change of the similarity when a mark is removed or moved; fell: share of removals that lower the
    similarity. siblings_only: marks and pointing cover vehicles with look-alikes alone.
    """

    title: str
    methods: tuple[MethodSummary, ...]
    chance: Interval | None
    removed: Interval | None
    moved: Interval | None
    fell: Interval | None
    siblings_only: bool

    def plain(self) -> dict[str, Any]:
        """Values for JSON, with the verdicts."""
        verdicts = {one.name: one.tests for one in self.methods if not one.is_control}
        return {**asdict(self), "tests": verdicts, "trusted": [one.name for one in self.trusted]}

    @property
    def trusted(self) -> list[MethodSummary]:
        """The trusted maps, the largest gain first."""
        return sorted((one for one in self.methods if one.is_trusted), key=lambda one: -one.gain.value)

    def verdicts(self, checkpoint_hash: str) -> ModelVerdicts:
        """The verdicts to publish."""
        return ModelVerdicts(self.title, checkpoint_hash, tuple(_verdict(one) for one in self.methods))


def summarise(model: ModelMeasurements, labels: Sequence[str]) -> ModelSummary:
    """All numbers of one network, with intervals over vehicles; ``labels``: the names of the masks' parts."""
    photographs, pairs, randomised = (model.rows.get(name, []) for name in ("photographs", "pairs", "randomised"))
    marked = [row for row in photographs if row["chance"] is not None]
    masked = [row for row in photographs if row["area"]] if NOT_VEHICLE[0] in labels else []
    siblings = [row for row in marked if row["sibling"]]
    marked = siblings or marked
    curves = [row for row in photographs if row["curves"]]
    names = _names(photographs, curves, pairs)
    gains = {name: {row["image"]: _curves(row, name) for row in curves if name in row["curves"]} for name in names}

    def of_method(name: str) -> MethodSummary:
        with_curve = [row for row in curves if name in row["curves"]]
        both = [gains[name][row["image"]] for row in with_curve]
        vehicles = [row["vehicle"] for row in with_curve]

        def over(control: str) -> Interval | None:
            if name in CONTROLS:
                return None
            gain_pairs = [(gains[name][row["image"]].gain, gains[control][row["image"]].gain) for row in with_curve]
            return interval(vehicles, np.array(gain_pairs), difference)

        def of(rows: Iterable[Row], values: Callable[[Row], object], statistic: Callable) -> Interval | None:
            shown = [row for row in rows if name in row["maps"]]
            return interval([row["vehicle"] for row in shown], np.array([values(row) for row in shown]), statistic)

        return MethodSummary(
            name,
            insertion=interval(vehicles, np.array([one.insertion.auc for one in both]), mean),
            deletion=interval(vehicles, np.array([one.deletion.auc for one in both]), mean),
            gain=interval(vehicles, np.array([one.gain for one in both]), mean),
            over_random=over(RANDOM),
            over_centre=over(CENTRE),
            vehicle=of(masked, lambda row: _on_vehicle(row["maps"][name]["mass"]), mean),
            hits=of(marked, lambda row: row["maps"][name]["hit"], mean),
            marks=of(marked, lambda row: (row["maps"][name]["marks"], row["marks"]), ratio),
            parts=_parts(photographs, name, labels),
            pair_share=of(pairs, lambda row: (row["maps"][name]["share"], row["area"]), ratio),
            pair_change=of(pairs, lambda row: (row["maps"][name]["change"], row["area"]), ratio),
            agreement=of(pairs, lambda row: (row["maps"][name]["share"], abs(_change(row, REMOVED))), spearman),
            randomised=_randomised(randomised, name),
            other=_correlation(randomised, lambda row: row["other"], name),
        )

    def change(to: str, statistic: Callable = mean, sign: bool = False) -> Interval | None:
        measured = [row for row in pairs if to in row["similarity"]]
        values = [_change(row, to) for row in measured]
        values = [value < 0 for value in values] if sign else values
        return interval([row["vehicle"] for row in measured], np.array(values), statistic)

    chance = interval([row["vehicle"] for row in marked], np.array([row["chance"] for row in marked]), mean)
    return ModelSummary(
        model.title,
        tuple(of_method(name) for name in names),
        chance,
        change(REMOVED),
        change(MOVED),
        change(REMOVED, sign=True),
        bool(siblings),
    )


def _verdict(one: MethodSummary) -> MapVerdict:
    gain = (None,) * 3 if one.gain is None else (one.gain.value, one.gain.low, one.gain.high)
    return MapVerdict(
        one.name,
        *gain,
        0 if one.gain is None else one.gain.rows,
        None if one.vehicle is None else one.vehicle.value,
        {} if one.is_control else one.tests,
        one.is_trusted,
    )


def _on_vehicle(mass: dict[str, float]) -> float:
    """The share of a map's mass on the vehicle, from its shares by label, which sum to 1."""
    return sum(share for label, share in mass.items() if label not in NOT_VEHICLE)


def _enough(interval: Interval | None) -> Interval | None:
    return interval if interval is not None and interval.vehicles >= FEWEST else None


def _names(photographs: list[Row], curves: list[Row], pairs: list[Row]) -> list[str]:
    names = [name for row in photographs + pairs for name in row["maps"]]
    names += [name for row in curves for name in row["curves"]]
    distinct = list(dict.fromkeys(names))
    return [name for name in distinct if name not in CONTROLS] + [name for name in CONTROLS if name in distinct]


def _curves(row: Row, name: str) -> Curves:
    scores = row["curves"][name]
    return Curves(Curve(np.array(scores["deletion"])), Curve(np.array(scores["insertion"])))


def _parts(photographs: list[Row], name: str, labels: Sequence[str]) -> dict[str, float]:
    """Mass over area by label, over the photographs that show it."""
    ratios = {}
    for label in labels:
        shown = [row for row in photographs if name in row["maps"] and label in row["area"]]
        if len(shown) >= FEWEST:
            mass = sum(row["maps"][name]["mass"][label] for row in shown)
            ratios[label] = mass / sum(row["area"][label] for row in shown)
    return ratios


def _change(row: Row, to: str) -> float:
    return row["similarity"][to] - row["similarity"][AS_IT_IS]


def _randomised(rows: list[Row], name: str) -> dict[str, Interval]:
    stages = list(rows[0]["stages"]) if rows else []
    by_stage = {stage: _correlation(rows, lambda row, stage=stage: row["stages"][stage], name) for stage in stages}
    return {stage: correlation for stage, correlation in by_stage.items() if correlation is not None}


def _correlation(rows: list[Row], values: Callable[[Row], dict[str, float]], name: str) -> Interval | None:
    measured = [row for row in rows if name in values(row)]
    return interval([row["vehicle"] for row in measured], np.array([values(row)[name] for row in measured]), mean)
