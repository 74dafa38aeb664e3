"""Where one model gains most on another and where it gains least: a look at every slice of the queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ssrnet.analysis.inspection import Inspection
from ssrnet.analysis.query_slices import FEW_VEHICLES, Slice, Slicing
from ssrnet.analysis.slicings import slicing_rules

MOST = 3


class NamedSlice(NamedTuple):
    """A slice and the property that it is by, in words."""

    by: str
    slice: Slice

    @property
    def label(self) -> str:
        return f"{self.by}: {self.slice.title}"


class SliceExtremes(NamedTuple):
    """Slices by their difference of mAP: ``best`` with the largest first, ``worst`` with the smallest first.

    They are out of ``slices`` slices by ``properties`` properties; ``left_out`` have too few vehicles for an interval.
    """

    best: tuple[NamedSlice, ...]
    worst: tuple[NamedSlice, ...]
    slices: int
    properties: int
    left_out: int

    @property
    def sentence(self) -> str:
        """How many slices were looked at, which any of the differences has to be read with."""
        properties = f"{self.properties} propert{'y' if self.properties == 1 else 'ies'}"
        text = (
            f"The ends of a look at {self.slices} slices by {properties} of the query, each with at least {FEW_VEHICLES} "
            "vehicles. Each interval is for one slice alone: the more slices, the further the ends lie apart by chance."
        )
        return f"{text} Left out: {self.left_out} with fewer vehicles." if self.left_out else text


def slice_extremes(slicings: Mapping[str, Slicing], most: int = MOST) -> SliceExtremes:
    """The ends among the slices of ``slicings``, by the title of their property; at most ``most`` at each end.

    No slice is at both ends. A property of which one slice holds all placed queries parts nothing, and is left out.
    """
    parting = {by: one for by, one in slicings.items() if len(one.slices) > 1}
    all_slices = [NamedSlice(by, each) for by, one in parting.items() for each in one.slices]
    looked_at = [one for one in all_slices if not one.slice.few]
    ordered = sorted(looked_at, key=lambda one: -one.slice.difference["mAP"].value)
    ends = min(most, len(ordered) // 2)
    return SliceExtremes(
        tuple(ordered[:ends]),
        tuple(ordered[::-1][:ends]),
        len(looked_at),
        len({one.by for one in looked_at}),
        len(all_slices) - len(looked_at),
    )


def look_at_slices(a: Inspection, b: Inspection) -> SliceExtremes:
    """:func:`slice_extremes` of every property of the query that the protocol offers; ``b`` minus ``a``."""
    rules = slicing_rules(a.evaluation.split)
    return slice_extremes({rule.title: rule.make(a, b) for rule in rules.values() if rule.of_queries})
