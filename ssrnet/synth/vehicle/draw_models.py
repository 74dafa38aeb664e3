"""Draws models at random: body, front, rear and wheels that fit together."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from ssrnet.synth.rng import choose, stream
from ssrnet.synth.vehicle.body_types import BODY_TYPES, TYPE_SHARES, WORKHORSES, vary
from ssrnet.synth.vehicle.specs import FrontFace, ModelSpec, RearFace, WheelSpec

CAR_FRONTS = {"slim": 0.3, "teardrop": 0.27, "box": 0.18, "split": 0.12, "round": 0.05, "tall": 0.08}
FRONT_LAMPS = MappingProxyType(
    {
        "suv": {"slim": 0.34, "box": 0.28, "split": 0.22, "teardrop": 0.16},
        "pickup": {"box": 0.6, "slim": 0.2, "split": 0.2},
        "van": {"tall": 0.6, "box": 0.25, "teardrop": 0.15},
        "minibus": {"tall": 0.7, "box": 0.3},
        "bus": {"low": 1.0},
        "box truck": {"low": 0.5, "box": 0.5},
    }
)
REAR_LAMPS = MappingProxyType(
    {
        "sedan": {"block": 0.42, "bar": 0.2, "hook": 0.2, "slim": 0.18},
        "coupe": {"slim": 0.3, "bar": 0.3, "round": 0.2, "block": 0.2},
        "hatchback": {"block": 0.4, "vertical": 0.4, "hook": 0.2},
        "estate": {"block": 0.4, "vertical": 0.35, "hook": 0.25},
        "suv": {"block": 0.35, "bar": 0.25, "hook": 0.2, "vertical": 0.2},
        "pickup": {"vertical": 1.0},
        "van": {"vertical": 1.0},
        "minibus": {"vertical": 0.8, "stack": 0.2},
        "bus": {"stack": 0.7, "vertical": 0.3},
        "box truck": {"low": 1.0},
    }
)
GRILLES = {"slot": 0.2, "trapezoid": 0.28, "hexagon": 0.18, "pair": 0.08, "slats": 0.1, "oval": 0.1, "none": 0.06}


def draw_model(seed: int, number: int, body_type: str | None = None) -> ModelSpec:
    """Model ``number`` of the city with this ``seed``; ``body_type`` fixes its type, which is drawn otherwise."""
    body_type = body_type or choose(stream(seed, "model type", number), dict(TYPE_SHARES))
    trim = stream(seed, "model trim", number)
    workhorse = body_type in WORKHORSES
    return ModelSpec(
        name=f"{body_type.replace(' ', '-')}-{number:04d}",
        body_type=body_type,
        shape=vary(BODY_TYPES[body_type], stream(seed, "model shape", number)),
        front=draw_front(body_type, stream(seed, "model front", number)),
        rear=draw_rear(body_type, stream(seed, "model rear", number)),
        wheel=draw_wheel(body_type, stream(seed, "model wheel", number)),
        cladding=bool(trim.random() < {"suv": 0.55, "pickup": 0.45, "hatchback": 0.12}.get(body_type, 0.03)),
        belt_chrome=bool(trim.random() < 0.35) and not workhorse,
        rub_strip=bool(trim.random() < (0.5 if workhorse else 0.2)) and body_type not in ("bus", "box truck"),
        antenna=choose(trim, {"fin": 0.35, "rod": 0.25, "none": 0.4}) if not workhorse else "none",
        dark_roof=bool(trim.random() < {"suv": 0.12, "hatchback": 0.12}.get(body_type, 0.0)),
    )


def draw_front(body_type: str, rng: np.random.Generator) -> FrontFace:
    """A front face that fits the body type."""
    lamp = choose(rng, FRONT_LAMPS.get(body_type, CAR_FRONTS))
    tall = body_type in ("suv", "pickup", *WORKHORSES)
    inner = {"slim": 0.50, "teardrop": 0.53, "box": 0.56, "round": 0.56, "split": 0.48, "tall": 0.62, "low": 0.66}[lamp]
    outer = {"slim": 1.28, "teardrop": 1.32, "box": 1.14, "round": 1.1, "split": 1.18, "tall": 1.16, "low": 1.0}[lamp]
    height = {"slim": 0.105, "teardrop": 0.17, "box": 0.165, "round": 0.18, "split": 0.06, "tall": 0.24, "low": 0.17}[
        lamp
    ]
    grille = choose(rng, {**GRILLES, "none": 0.5, "slot": 0.5} if body_type == "bus" else GRILLES)
    return FrontFace(
        lamp=lamp,
        grille=grille,
        lamp_inner=inner * rng.uniform(0.93, 1.08) + (0.18 if body_type == "bus" else 0),
        lamp_outer=outer * rng.uniform(0.95, 1.05) + (0.22 if body_type == "bus" else 0),
        lamp_height=height * rng.uniform(0.85, 1.25),
        lamp_slant=rng.uniform(-0.01, 0.05),
        lens=int(rng.choice([0, 1, 1, 2])),
        daytime_strip=bool(rng.random() < 0.4),
        grille_width=min(rng.uniform(0.34, 0.56), inner - 0.05),
        grille_height=rng.uniform(0.14, 0.26)
        * (1.25 if tall else 1.0)
        * (1.3 if grille in ("trapezoid", "hexagon") else 1.0),
        grille_bars=str(rng.choice(["horizontal", "vertical", "mesh"], p=[0.5, 0.2, 0.3])),
        chrome=bool(rng.random() < 0.45),
        surround=bool(rng.random() < 0.5),
        intake=choose(rng, {"wide": 0.4, "split": 0.3, "low": 0.3}),
        fog=bool(rng.random() < 0.5),
    )


def draw_rear(body_type: str, rng: np.random.Generator) -> RearFace:
    """A rear face that fits the body type."""
    lamp = choose(rng, dict(REAR_LAMPS[body_type]))
    big = body_type in WORKHORSES
    inner = {
        "block": 0.50,
        "bar": 0.5,
        "vertical": 0.52,
        "hook": 0.46,
        "round": 0.44,
        "slim": 0.48,
        "low": 0.55,
        "stack": 0.7,
    }[lamp]
    return RearFace(
        lamp=lamp,
        lamp_inner=inner * rng.uniform(0.9, 1.12)
        + {"bus": 0.24, "minibus": 0.1, "pickup": 0.04, "van": 0.04}.get(body_type, 0),
        lamp_height=rng.uniform(0.13, 0.22) * (1.7 if lamp == "vertical" else 1.0),
        lamp_lift=rng.uniform(0.0, 0.05)
        if not (lamp == "vertical" and body_type in ("hatchback", "estate", "suv"))
        else rng.uniform(0.05, 0.30),
        clear_band=float(rng.choice([0.0, rng.uniform(0.2, 0.8)], p=[0.3, 0.7])),
        plate_low=bool(rng.random() < 0.35),
        chrome=bool(rng.random() < 0.4) and not big,
        exhausts=int(rng.choice([0, 1, 2], p=[0.45, 0.4, 0.15])) if not big else 0,
    )


def draw_wheel(body_type: str, rng: np.random.Generator) -> WheelSpec:
    """A wheel that fits the body type."""
    if body_type in ("bus", "box truck"):
        return WheelSpec("steel", 5, rng.uniform(0.58, 0.62), False)
    plain = 0.75 if body_type in ("van", "minibus") else 0.22
    if rng.random() < plain:
        return WheelSpec("hubcap", int(rng.choice([4, 5, 6, 7])), rng.uniform(0.60, 0.66), False)
    style = choose(rng, {"five": 0.3, "twin": 0.25, "multi": 0.2, "mesh": 0.13, "star": 0.12})
    spokes = {"five": [5, 5, 6], "twin": [5, 5, 6], "multi": [7, 9, 10, 12], "mesh": [6, 7, 8], "star": [5, 6]}[style]
    return WheelSpec(style, int(rng.choice(spokes)), rng.uniform(0.64, 0.73), bool(rng.random() < 0.2))
