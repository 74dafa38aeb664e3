"""Draws the fleet at random: which vehicles exist, which of them are siblings, and the split of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ssrnet.synth.rng import choose, stream
from ssrnet.synth.settings import SynthSettings
from ssrnet.synth.vehicle.body_types import WORKHORSES
from ssrnet.synth.vehicle.draw_marks import draw_marks, draw_sibling_marks
from ssrnet.synth.vehicle.draw_models import draw_model
from ssrnet.synth.vehicle.specs import IdentitySpec, ModelSpec, Paint

# linear RGB, metallic, roughness of the base coat, share of the vehicles
PAINTS = MappingProxyType(
    {
        "white": ((0.72, 0.72, 0.70), 0.0, 0.12, 0.27),
        "silver": ((0.48, 0.49, 0.50), 0.75, 0.24, 0.15),
        "grey": ((0.15, 0.155, 0.16), 0.6, 0.22, 0.14),
        "black": ((0.010, 0.010, 0.012), 0.1, 0.10, 0.17),
        "red": ((0.36, 0.014, 0.014), 0.05, 0.12, 0.07),
        "blue": ((0.022, 0.06, 0.22), 0.35, 0.18, 0.08),
        "brown": ((0.12, 0.062, 0.036), 0.5, 0.22, 0.03),
        "gold": ((0.42, 0.31, 0.15), 0.6, 0.24, 0.02),
        "green": ((0.022, 0.10, 0.055), 0.3, 0.18, 0.02),
        "yellow": ((0.72, 0.40, 0.015), 0.0, 0.12, 0.02),
        "orange": ((0.60, 0.16, 0.012), 0.0, 0.12, 0.01),
        "champagne": ((0.48, 0.42, 0.33), 0.6, 0.24, 0.02),
    }
)


@dataclass(frozen=True)
class Fleet:
    """Every identity in id order; ``split_of`` maps vehicle_id to "train" or "test"."""

    identities: tuple[IdentitySpec, ...]
    split_of: MappingProxyType[int, str]

    def groups(self) -> dict[int, list[IdentitySpec]]:
        """Sibling groups by number; single vehicles are left out."""
        groups: dict[int, list[IdentitySpec]] = {}
        for identity in self.identities:
            if identity.sibling_group >= 0:
                groups.setdefault(identity.sibling_group, []).append(identity)
        return groups


def draw_fleet(settings: SynthSettings) -> Fleet:
    """The fleet of ``settings.seed``.

    More identities only add vehicles: the first ones stay as they are, and the last sibling group may be
    cut short, down to one. Vehicles come in units, a sibling group or one vehicle alone. A unit is never
    split between train and test, and the two splits draw from separate pools of models, so no test model
    is ever seen in training.
    """
    identities: list[IdentitySpec] = []
    split_of: dict[int, str] = {}
    unit, group = 0, 0
    while len(identities) < settings.identities:
        seed = settings.seed
        shape = stream(seed, "unit", unit)
        share = settings.sibling_share  # of vehicles; a group brings four on average
        together = shape.random() < share / (4 - 3 * share)
        size = int(shape.integers(3, 6)) if together else 1
        split = "train" if stream(seed, "split", unit).random() < settings.train_share else "test"
        first = len(identities) + 1
        left = settings.identities - len(identities)
        for member in _unit(seed, unit, split, size, first, group if together else -1)[:left]:
            identities.append(member)
            split_of[member.vehicle_id] = split
        group += together
        unit += 1
    return Fleet(tuple(identities), MappingProxyType(split_of))


def _unit(seed: int, unit: int, split: str, size: int, first_id: int, group: int) -> list[IdentitySpec]:
    model = _model(seed, unit, split)
    paint = draw_paint(stream(seed, "paint", unit), model)
    members = []
    for k in range(size):
        trim = stream(seed, "trim", unit, 0)  # siblings share even the trim: marks alone tell them apart
        tint = float(trim.uniform(0.18, 0.72))
        seat = np.array([0.06, 0.055, 0.05]) * trim.uniform(0.4, 3.0)
        box_color = tuple(
            float(x)
            for x in (
                np.array(
                    trim.choice(
                        [
                            (0.68, 0.69, 0.68),
                            (0.66, 0.66, 0.62),
                            (0.16, 0.26, 0.42),
                            (0.30, 0.36, 0.32),
                            (0.5, 0.12, 0.1),
                        ]
                    )
                )
                * trim.uniform(0.85, 1.05)
            )
        )
        members.append(
            IdentitySpec(
                vehicle_id=first_id + k,
                model=model,
                paint=paint,
                tint=tint,
                rim_dark=model.wheel.dark,
                dirt=float(stream(seed, "dirt", unit).choice([0.1, 0.2, 0.35, 0.6])),
                seat=tuple(float(x) for x in seat),
                box_color=box_color,
                sibling_group=group,
            )
        )
    if group < 0:
        return [replace(members[0], marks=draw_marks(members[0], stream(seed, "marks", unit)))]
    return draw_sibling_marks(members, stream(seed, "sibling marks", unit))


def _model(seed: int, unit: int, split: str) -> ModelSpec:
    """The model of a unit. A third of the units reuse an earlier number, so that models recur in other paints;
    train and test number their models apart.
    """
    rng = stream(seed, "model pick", unit)
    number = unit
    if rng.random() < 0.33 and unit > 4:
        number = int(rng.integers(0, unit))
    pool = 0 if split == "train" else 1
    return draw_model(seed, 2 * number + pool)


def draw_paint(rng: np.random.Generator, model: ModelSpec) -> Paint:
    """A paint from ``PAINTS``, slightly varied; workhorses are often white."""
    name = choose(rng, {name: share for name, (*_, share) in PAINTS.items()})
    if model.body_type in WORKHORSES and rng.random() < 0.5:
        name = "white"
    rgb, metallic, roughness, _ = PAINTS[name]
    shade = rng.uniform(0.85, 1.12)
    hue = 1 + rng.normal(0, 0.03, 3)
    return Paint(name, tuple(float(min(0.8, c)) for c in np.array(rgb) * shade * hue), metallic, roughness)
