"""The ten body types: the proportions that models of each type vary, in metres.

Stations (``cowl``, ``roof_rear`` ...) are measured rearwards from the nose, heights from the road.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np


@dataclass(frozen=True)
class BodyShape:
    """Proportions of one body. A box truck's shape is its cab; ``box_*`` describe the cargo box."""

    length: float
    width: float
    height: float
    wheelbase: float
    front_overhang: float
    clearance: float
    wheel_radius: float
    hood_height: float  # at the bonnet's leading edge
    cowl: float  # station of the windscreen's base
    cowl_height: float
    roof_front: float
    roof_rear: float
    tail_glass: float  # station of the rear window's base
    belt: float  # height of the side windows' lower edge at the front
    belt_rise: float  # how much higher it is at the rear
    deck_height: float  # boot lid, or the base of the tailgate's window
    tumble: float  # lean of the side glass, metres inward per metre of height
    nose_bow: float  # how far the corners of the front fall back
    tail_bow: float
    front_lean: float  # how far the bonnet's edge stands behind the bumper
    rear_lean: float
    roof_arc: float = 0.03
    tail_drop: float = 0.0  # a fastback's roof falls towards the rear window
    crease_height: float = 0.78  # of the belt
    crease_depth: float = 0.014
    flare: float = 0.018
    doors: int = 4
    bed: bool = False
    panel_sides: bool = False  # a delivery van: no glass behind the front doors
    box_length: float = 0.0
    box_height: float = 0.0
    box_width: float = 0.0

    @property
    def axles(self) -> tuple[float, ...]:
        """Stations of the axles under the body itself (a box truck's rear axle is under the box)."""
        rear = self.front_overhang + self.wheelbase
        return (self.front_overhang, rear) if rear < self.length else (self.front_overhang,)

    @property
    def total_length(self) -> float:
        """Length with a box truck's cargo box."""
        return self.length + (self.box_length + 0.12 if self.box_length else 0.0)

    @property
    def shift(self) -> float:
        """How far the body frame lies ahead of the whole vehicle's middle; 0 but for a box truck's cab."""
        return (self.total_length - self.length) / 2

    def x(self, station: float) -> float:
        """x of a station in the body frame."""
        return self.length / 2 - station

    @property
    def box_front(self) -> float:
        """Station of a box truck's cargo box."""
        return self.length + 0.10

    @property
    def box_floor(self) -> float:
        """Height of a box truck's cargo floor."""
        return self.wheel_radius * 2 + 0.16

    @property
    def well_radius(self) -> float:
        """Radius of a wheel well."""
        return self.wheel_radius + 0.045

    @property
    def tailgate(self) -> bool:
        """Whether the rear is one upright door (no boot lid, no bed)."""
        return not self.bed and not self.box_length and self.length - self.tail_glass < 0.40


WORKHORSES = ("van", "minibus", "bus", "box truck")


# fmt: off
BODY_TYPES: MappingProxyType[str, BodyShape] = MappingProxyType(
    {
        # length, width, height, wheelbase, front_overhang, clearance, wheel_radius, hood_height, cowl, cowl_height,
        # roof_front, roof_rear, tail_glass, belt, belt_rise, deck_height, tumble, nose_bow, tail_bow, front_lean,
        # rear_lean
        "sedan": BodyShape(
            4.72, 1.82, 1.46, 2.73, 0.90, 0.17, 0.325, 0.72, 1.30, 0.985,
            2.14, 3.20, 4.02, 0.925, 0.055, 1.055, 0.42, 0.17, 0.13, 0.05, 0.05,
            roof_arc=0.045,
        ),
        "hatchback": BodyShape(
            4.12, 1.76, 1.49, 2.56, 0.83, 0.17, 0.315, 0.76, 1.12,  1.00,
            1.86, 3.42, 3.95, 0.935, 0.085,  1.02, 0.34, 0.17, 0.10, 0.05, 0.03,
            roof_arc=0.03, tail_drop=0.02,
        ),
        "estate": BodyShape(
            4.76, 1.82, 1.49, 2.76, 0.90, 0.17, 0.325, 0.73, 1.30,  0.99,
            2.10, 4.12, 4.60,  0.93,  0.05,  1.04, 0.38, 0.17, 0.11, 0.05, 0.03,
            roof_arc=0.04, tail_drop=0.02,
        ),
        "suv": BodyShape(
            4.58, 1.88, 1.74, 2.70, 0.88, 0.23, 0.375, 0.97, 1.25,  1.15,
            1.90, 3.92, 4.42, 1.085,  0.05,  1.15, 0.27, 0.13, 0.09, 0.03, 0.03,
            roof_arc=0.03, flare=0.03,
        ),
        "coupe": BodyShape(
            4.52, 1.86, 1.35, 2.66, 0.92, 0.14, 0.340, 0.68, 1.42,  0.92,
            2.24, 2.86, 4.10, 0.885,  0.05,  1.00, 0.48, 0.20, 0.15, 0.07, 0.06,
            roof_arc=0.035, tail_drop=0.05, flare=0.032, doors=2,
        ),
        "pickup": BodyShape(
            5.30, 1.90, 1.80, 3.20, 0.92, 0.26, 0.385, 0.99, 1.36,  1.17,
            2.02, 3.34, 3.62,  1.11,  0.02,  1.10, 0.27, 0.11, 0.03, 0.02, 0.01,
            flare=0.032, bed=True,
        ),
        "van": BodyShape(
            4.95, 1.92, 1.96, 3.00, 0.88, 0.20, 0.335, 0.93, 0.72,  1.16,
            1.52, 4.72, 4.86,  1.13,  0.00,  1.12, 0.15, 0.16, 0.05, 0.06, 0.01,
            roof_arc=0.02, crease_depth=0.008, panel_sides=True,
        ),
        "minibus": BodyShape(
            5.85, 2.02, 2.42, 3.45, 1.02, 0.22, 0.355, 0.98, 0.62,  1.22,
            1.40, 5.60, 5.78,  1.20,  0.00,  1.20, 0.11, 0.14, 0.05, 0.05, 0.01,
            roof_arc=0.03, crease_depth=0.008,
        ),
        "bus": BodyShape(
            9.60, 2.46, 3.05, 5.00, 2.25, 0.28,  0.47, 1.06, 0.06,  1.22,
            0.42, 9.40, 9.52,  1.22,  0.00,  1.50, 0.04, 0.10, 0.05, 0.02, 0.01,
            roof_arc=0.02, crease_depth=0.0, flare=0.0,
        ),
        "box truck": BodyShape(
            1.92, 1.94, 2.22, 3.50, 1.02, 0.34,  0.41, 1.10, 0.10,  1.28,
            0.52, 1.80, 1.88,  1.24,  0.00,  1.24, 0.07, 0.10, 0.02, 0.03, 0.01,
            roof_arc=0.02, crease_depth=0.006, flare=0.0, doors=2, box_length=4.1, box_height=3.05, box_width=2.14,
        ),
    }
)
# fmt: on

TYPE_SHARES = MappingProxyType(
    {
        "sedan": 0.27,
        "hatchback": 0.13,
        "estate": 0.06,
        "suv": 0.23,
        "coupe": 0.04,
        "pickup": 0.06,
        "van": 0.08,
        "minibus": 0.04,
        "bus": 0.03,
        "box truck": 0.06,
    }
)


def vary(shape: BodyShape, rng: np.random.Generator) -> BodyShape:
    """Another model of the same type: every proportion varied a little."""

    def by(share: float) -> float:
        return 1 + share * rng.uniform(-1, 1)

    stretch = by(0.03)
    height = by(0.02)
    sizes = {
        "length": shape.length * stretch,
        "width": shape.width * by(0.015),
        "height": shape.height * height,
        "wheelbase": shape.wheelbase * stretch * by(0.008),
        "front_overhang": shape.front_overhang * by(0.04),
        "wheel_radius": shape.wheel_radius * by(0.03),
        "hood_height": shape.hood_height * height * by(0.025),
        "cowl_height": shape.cowl_height * height,
        "belt": shape.belt * height,
        "deck_height": shape.deck_height * height * by(0.015),
        "cowl": shape.cowl * by(0.05),
        "roof_front": shape.roof_front * by(0.025),
        "roof_rear": shape.roof_rear * stretch * by(0.012),
        "tail_glass": min(shape.tail_glass * stretch, shape.length * stretch - 0.03),
        "belt_rise": shape.belt_rise * rng.uniform(0.3, 1.5),
        "tumble": shape.tumble * by(0.15),
        "nose_bow": shape.nose_bow * rng.uniform(0.7, 1.3),
        "tail_bow": shape.tail_bow * rng.uniform(0.7, 1.3),
        "front_lean": shape.front_lean * rng.uniform(0.4, 1.8),
        "crease_height": shape.crease_height * by(0.10),
        "crease_depth": shape.crease_depth * rng.uniform(0.4, 1.5),
        "box_length": shape.box_length * by(0.12),
        "box_height": shape.box_height * by(0.05),
    }
    return replace(shape, **sizes)
