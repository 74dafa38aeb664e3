"""Siblings can be told apart from every viewpoint, or the pair lists those from which they cannot."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from ssrnet.synth.camera.visibility import unresolvable_views, visible_marks
from ssrnet.synth.mesh import face_normals
from ssrnet.synth.settings import SynthSettings
from ssrnet.synth.vehicle.body_field import BodyField
from ssrnet.synth.vehicle.fleet import draw_fleet
from ssrnet.synth.vehicle.mark_geometry import mark_geometry
from ssrnet.synth.vehicle.specs import VIEWPOINTS


@pytest.fixture(scope="module")
def groups():
    return list(draw_fleet(SynthSettings(Path("city"), identities=60, seed=3)).groups().values())[:3]


def test_siblings_are_resolvable_from_every_view(groups):
    flagged = [
        (a.vehicle_id, b.vehicle_id, unresolvable_views(a, b))
        for members in groups
        for a, b in combinations(members, 2)
    ]
    shown = sum(4 - len(views) for *_, views in flagged)
    assert shown / (4 * len(flagged)) > 0.95, flagged


def test_a_side_mark_is_seen_from_its_side_only(groups):
    for identity in groups[0]:
        seen = {viewpoint: {mark.name for mark in visible_marks(identity, viewpoint)} for viewpoint in VIEWPOINTS}
        for mark in identity.marks:
            if mark.zone == "left" and mark.kind in ("decal", "stripe", "lettering", "hubcap"):
                assert mark.name in seen["left"] and mark.name not in seen["right"]


def test_removing_a_mark_leaves_the_others(groups):
    identity = groups[0][0]
    gone = identity.without(identity.marks[0].name)
    assert gone.marks == identity.marks[1:]
    assert gone.model == identity.model


def test_prints_and_scratches_face_outward(groups):
    for identity in groups[0]:
        field = BodyField(identity.model.shape)
        for mark in identity.marks:
            for piece in mark_geometry(mark, identity.model, field):
                if mark.kind in ("decal", "lettering", "stripe", "patch", "sticker", "scratch"):
                    flat = face_normals(piece.vertices, piece.faces)
                    outward = np.einsum("ij,ij->i", flat, piece.normals[piece.faces[:, 0]])
                    assert (outward > 0).mean() > 0.99, mark.name
