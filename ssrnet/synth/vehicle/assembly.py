"""Builds a vehicle's meshes: panels, fittings, interior, wheels, cargo box and marks."""

from __future__ import annotations

from dataclasses import dataclass

from ssrnet.synth.mesh import Mesh
from ssrnet.synth.vehicle.body_field import BodyField
from ssrnet.synth.vehicle.cargo import cargo_box
from ssrnet.synth.vehicle.fittings import fittings
from ssrnet.synth.vehicle.interior import interior
from ssrnet.synth.vehicle.mark_geometry import dents_of, mark_pieces
from ssrnet.synth.vehicle.panels import cut_panels
from ssrnet.synth.vehicle.specs import IdentitySpec
from ssrnet.synth.vehicle.wheels import wheel


@dataclass(frozen=True)
class Vehicle:
    """A built vehicle in its own frame: x forward, y left, z up, origin on the road under its middle.

    ``fixed`` holds all meshes but wheels and people, which belong to a capture.
    """

    identity: IdentitySpec
    fixed: tuple[Mesh, ...]

    def wheels(self, phase: float) -> list[Mesh]:
        """All wheels at one roll angle ``phase`` (radians), in the vehicle frame."""
        model = self.identity.model
        s = model.shape
        wide = 0.225 if s.height < 2.0 else 0.27
        missing = {mark.zone + str(int(mark.u > 0.5)) for mark in self.identity.marks if mark.kind == "hubcap"}
        pieces = []
        axles = [s.front_overhang, s.front_overhang + s.wheelbase]
        for index, axle in enumerate(axles):
            for side, sign in (("left", 1), ("right", -1)):
                parts = wheel(model.wheel, s.wheel_radius, wide, phase + 0.7 * index, f"{side}{index}" in missing)
                out = s.width / 2 - wide / 2 - 0.015
                if s.box_length and index:
                    out = s.box_width / 2 - wide / 2 - 0.06
                for piece in parts:
                    turned = piece if sign > 0 else piece.mirrored()
                    pieces.append(turned.moved((s.x(axle) + s.shift, sign * out, s.wheel_radius)))
        return pieces


def build(identity: IdentitySpec, step_scale: float = 1.0) -> Vehicle:
    """The meshes of one vehicle; the same spec gives the same arrays on one machine.

    ``step_scale`` above 1 builds the body more coarsely, for extras in the background.
    """
    model = identity.model
    field = BodyField(model.shape, dents_of(identity))
    pieces = cut_panels(model, field, step_scale) + fittings(model, field) + interior(model)
    if model.shape.box_length:
        pieces += cargo_box(model)
    pieces += mark_pieces(identity, field)
    shift = model.shape.shift
    return Vehicle(identity, tuple(piece.moved((shift, 0, 0)) if shift else piece for piece in pieces))
