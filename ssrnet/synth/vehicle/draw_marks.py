"""Draws marks at random: a few for a vehicle without siblings, a distinguishing set for each sibling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ssrnet.synth.vehicle.body_types import WORKHORSES
from ssrnet.synth.vehicle.specs import IdentitySpec, Mark, MarkKind, ModelSpec, Zone

PASSENGER = ("sedan", "hatchback", "estate", "suv", "coupe")


def draw_marks(identity: IdentitySpec, rng: np.random.Generator) -> tuple[Mark, ...]:
    """Marks of a vehicle without siblings, few or many."""
    model = identity.model
    marks: list[Mark] = []
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.15, 0.35, 0.3, 0.2]))):
        marks.append(_sticker(rng, "windscreen"))
    chances = {"front": 0.35, "rear": 0.6, "left": 0.5, "right": 0.5, "roof": 0.35}
    for view, chance in chances.items():
        if rng.random() < chance:
            kinds = candidates(view, model)
            marks.append(make_mark(*kinds[int(rng.integers(len(kinds)))], model, rng))
    return _named(marks)


def draw_sibling_marks(members: list[IdentitySpec], rng: np.random.Generator) -> list[IdentitySpec]:
    """The members of a group, each with one mark for the front, the rear and each side.

    No two members get the same kind for the same viewpoint while kinds last, so that a pair differs
    from every side by more than a few centimetres.
    """
    drawn: list[list[Mark]] = [[] for _ in members]
    for view in ("front", "rear", "left", "right"):
        kinds = candidates(view, members[0].model)
        order = rng.permutation(len(kinds))
        for k in range(len(members)):
            drawn[k].append(make_mark(*kinds[int(order[k % len(kinds)])], members[k].model, rng))
    if rng.random() < 0.3:  # one of them also gets a mark on its roof
        kinds = candidates("roof", members[0].model)
        drawn[int(rng.integers(len(members)))].append(
            make_mark(*kinds[int(rng.integers(len(kinds)))], members[0].model, rng)
        )
    for k in range(len(members)):  # inspection stickers, which every vehicle has
        drawn[k] += [_sticker(rng, "windscreen") for _ in range(int(rng.integers(1, 4)))]
    return [replace(member, marks=_named(marks)) for member, marks in zip(members, drawn, strict=True)]


def candidates(view: str, model: ModelSpec) -> list[tuple[MarkKind, Zone]]:
    """Marks (kind, zone) that a vehicle of ``model`` may have for a viewpoint, or for the roof."""
    kind = model.body_type
    if view == "front":
        marks: list[tuple[MarkKind, Zone]] = [
            ("sun strip", "windscreen"),
            ("ornament", "dashboard"),
            ("sticker", "windscreen"),
        ]
        if kind not in ("bus", "box truck"):
            marks += [("decal", "bonnet"), ("dent", "bonnet"), ("patch", "bonnet"), ("patch", "front")]
        if kind == "bus":
            marks += [("decal", "front"), ("patch", "front")]
        return marks
    if view == "rear":
        if kind == "box truck":
            return [
                ("decal", "rear"),
                ("lettering", "rear"),
                ("patch", "rear"),
                ("mud flap", "rear"),
                ("stripe", "rear"),
            ]
        marks = [
            ("sticker", "rear glass"),
            ("decal", "rear"),
            ("patch", "rear"),
            ("dent", "rear"),
            ("lettering", "rear"),
        ]
        if kind in PASSENGER or kind == "pickup":
            marks.append(("tow bar", "rear"))
        if kind in PASSENGER and kind != "estate":
            marks.append(("spoiler", "rear"))
        if kind in ("van", "minibus"):
            marks.append(("ladder", "rear"))
        if kind == "suv":
            marks.append(("spare wheel", "rear"))
        return marks
    if view in ("left", "right"):
        zone: Zone = "left" if view == "left" else "right"
        marks = [("decal", zone), ("stripe", zone), ("patch", zone), ("lettering", zone)]
        if kind != "box truck":
            marks += [("dent", zone), ("scratch", zone)]
        if kind in PASSENGER:
            marks.append(("hubcap", zone))
        return marks
    if kind in ("bus", "box truck"):
        return [("beacon", "roof")]
    marks = [("beacon", "roof")] if kind in ("van", "pickup") else [("sunroof", "roof"), ("sunroof", "roof")]
    if kind == "sedan":
        marks.append(("beacon", "roof"))
    if kind in ("suv", "estate", "hatchback", "minibus", "van"):
        marks += [("rack", "roof"), ("rack", "roof")]
    if kind in ("suv", "estate", "hatchback"):
        marks.append(("roof box", "roof"))
    return marks


def make_mark(kind: MarkKind, zone: Zone, model: ModelSpec, rng: np.random.Generator) -> Mark:
    """One mark of ``kind`` at a random place of ``zone``, large enough for a camera to see."""
    if kind == "sticker":
        return _sticker(rng, zone, large=True)
    u, v, seed = float(rng.uniform(0, 1)), float(rng.uniform(0.15, 0.85)), int(rng.integers(1 << 31))
    big = 1.5 if model.body_type in WORKHORSES else 1.0
    sizes: dict[str, tuple[float, float]] = {
        "decal": (rng.uniform(0.24, 0.42) * big, 0.0),
        "lettering": (rng.uniform(0.7, 1.05) * big, rng.uniform(0.16, 0.24) * big),
        "stripe": (rng.uniform(1.0, 1.5) * big, rng.uniform(0.09, 0.16)),
        "patch": (rng.uniform(0.30, 0.50), rng.uniform(0.20, 0.32)),
        "sun strip": (1.15, rng.uniform(0.12, 0.16)),
        "dent": (rng.uniform(0.12, 0.20), 0.0),
        "scratch": (rng.uniform(0.5, 0.9), rng.uniform(0.012, 0.022)),
        "sunroof": (0.84, rng.uniform(0.5, 0.9)),
    }
    size = sizes.get(kind, (0.3, 0.3))
    amount = {"dent": rng.uniform(0.035, 0.06), "scratch": rng.uniform(-0.12, 0.12), "rack": rng.random()}.get(
        kind, 0.0
    )
    if kind == "decal":
        size = (size[0], size[0] * rng.uniform(0.6, 1.0))
        amount = float(rng.normal(0, 0.12))
    if kind == "lettering" and zone == "rear":
        size = (0.62, 0.16)
    if kind == "sun strip":
        u, v = 0.5, 0.98
    if zone in ("bonnet", "front", "rear") and kind in ("decal", "patch", "dent", "lettering", "stripe"):
        u = 0.5 + (0.32 if u > 0.5 else -0.32) * (0.4 + 0.6 * abs(2 * u - 1))
    if zone in ("left", "right") and kind in ("lettering", "stripe"):
        u = 0.35 + 0.3 * u
    if zone == "bonnet":
        v = 0.35 + 0.5 * v
    if zone == "rear" and model.body_type not in ("box truck", "bus"):
        v = 0.25 + 0.4 * v
    return Mark("", kind, zone, u, v, (float(size[0]), float(size[1])), seed, float(amount))


def _sticker(rng: np.random.Generator, zone: Zone, large: bool = False) -> Mark:
    """An inspection sticker in an upper corner of the windscreen, or a ``large`` one anywhere."""
    side = rng.uniform(0.08, 0.12) if not large else rng.uniform(0.15, 0.22)
    u = float(rng.uniform(0.62, 0.97) if rng.random() < 0.75 else rng.uniform(0.05, 0.35))
    v = float(rng.uniform(0.72, 0.9)) if not large else float(rng.uniform(0.2, 0.8))
    return Mark(
        "",
        "sticker",
        zone,
        u,
        v,
        (side, side * rng.uniform(0.7, 1.0)),
        int(rng.integers(1 << 31)),
        float(rng.normal(0, 0.06)),
    )


def _named(marks: list[Mark]) -> tuple[Mark, ...]:
    """Names like ``decal-left-1`` that stay when a mark is moved."""
    count: dict[str, int] = {}
    named = []
    for mark in marks:
        stem = f"{mark.kind}-{mark.zone}".replace(" ", "-")
        count[stem] = count.get(stem, 0) + 1
        named.append(replace(mark, name=f"{stem}-{count[stem]}"))
    return tuple(named)
