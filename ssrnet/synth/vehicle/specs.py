"""What makes a vehicle: the model that siblings share, and the marks that tell them apart.

Specs are plain data without meshes or pixels: frozen, compared by value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ssrnet.data.parts import MarkName
from ssrnet.synth.vehicle.body_types import BodyShape

Zone = Literal["windscreen", "dashboard", "left", "right", "rear", "rear glass", "bonnet", "roof", "front"]
MarkKind = MarkName  # in the order of their values in a part mask
Viewpoint = Literal["front", "rear", "left", "right"]
VIEWPOINTS: tuple[Viewpoint, ...] = ("front", "rear", "left", "right")


@dataclass(frozen=True)
class FrontFace:
    """Lamps, grille and bumper, in metres. Heights are relative to the bonnet's edge, widths run along the girth.

    The girth runs from the middle of the nose outwards and around the corner
    (:attr:`~ssrnet.synth.vehicle.cutter.Surface.front_girth`), so that a lamp drawn in it wraps by itself.
    """

    lamp: str  # slim, teardrop, box, round, split, tall, low
    grille: str  # slot, trapezoid, hexagon, pair, slats, oval, none
    lamp_inner: float
    lamp_outer: float
    lamp_height: float
    lamp_slant: float
    lens: int  # 1 or 2 projectors, 0 a plain reflector
    daytime_strip: bool
    grille_width: float
    grille_height: float
    grille_bars: Literal["horizontal", "vertical", "mesh"]
    chrome: bool
    surround: bool
    intake: str  # wide, split, low
    fog: bool


@dataclass(frozen=True)
class RearFace:
    """Lamps, plate and trim, in metres. Heights are relative to the boot lid's edge or the tailgate window's base."""

    lamp: str  # block, bar, vertical, hook, round, slim, low, stack
    lamp_inner: float
    lamp_height: float
    lamp_lift: float
    clear_band: float  # height share of the white reversing band
    plate_low: bool
    chrome: bool
    exhausts: int


@dataclass(frozen=True)
class WheelSpec:
    """The wheels of a model."""

    style: str  # five, twin, multi, mesh, star, hubcap, steel
    spokes: int
    rim_share: float  # rim radius over tyre radius
    dark: bool


@dataclass(frozen=True)
class ModelSpec:
    """One model: the body, faces and standard trim that all its vehicles share."""

    name: str
    body_type: str
    shape: BodyShape
    front: FrontFace
    rear: RearFace
    wheel: WheelSpec
    cladding: bool
    belt_chrome: bool
    rub_strip: bool
    antenna: str  # fin, rod, none
    dark_roof: bool = False


@dataclass(frozen=True)
class Paint:
    """``name`` is the colour in a word; ``rgb`` is linear reflectance; ``roughness`` is the base coat's, in [0, 1]."""

    name: str
    rgb: tuple[float, float, float]
    metallic: float
    roughness: float


@dataclass(frozen=True)
class Mark:
    """One feature that only this vehicle has.

    ``u`` and ``v`` in [0, 1] place it inside its zone (u: towards the rear on the sides, towards the
    vehicle's left at front and rear; v: upwards). ``size`` is (width, height) in metres; ``print_seed``
    draws its printed texture. ``name`` identifies it in the manifest and stays the same when it moves.
    """

    name: str
    kind: MarkKind
    zone: Zone
    u: float
    v: float
    size: tuple[float, float]
    print_seed: int = 0
    amount: float = 0.0  # depth of a dent in metres, tilt of a print in radians, slant of a scratch


@dataclass(frozen=True)
class IdentitySpec:
    """One vehicle. Siblings, which only their marks tell apart, share ``sibling_group``; others have -1."""

    vehicle_id: int
    model: ModelSpec
    paint: Paint
    tint: float  # transmittance of the side glass
    rim_dark: bool
    dirt: float
    seat: tuple[float, float, float]
    box_color: tuple[float, float, float]
    marks: tuple[Mark, ...] = ()
    sibling_group: int = -1

    def without(self, name: str) -> IdentitySpec:
        """The counterfactual: the same vehicle without the mark called ``name``."""
        return replace(self, marks=tuple(mark for mark in self.marks if mark.name != name))
