"""Bodies are closed and face outward; panels cover the shell; dents stay on their side."""

import numpy as np
import pytest

from ssrnet.synth.mesh import box, ellipsoid, lathe, split, tube, volume
from ssrnet.synth.rng import stream
from ssrnet.synth.vehicle.body_field import BodyField, Dent
from ssrnet.synth.vehicle.body_types import BODY_TYPES, vary
from ssrnet.synth.vehicle.draw_models import draw_model
from ssrnet.synth.vehicle.interior import liner
from ssrnet.synth.vehicle.isosurface import polygonise
from ssrnet.synth.vehicle.panels import cut_panels, shell_of
from ssrnet.synth.vehicle.specs import WheelSpec
from ssrnet.synth.vehicle.wheels import wheel


def is_closed(vertices: np.ndarray, faces: np.ndarray, decimals: int = 7) -> bool:
    """Whether faces use every edge as often in one direction as in the other, equal positions welded."""
    _, weld = np.unique(np.round(vertices, decimals), axis=0, return_inverse=True)
    welded = weld.reshape(-1)[faces]
    edges = np.concatenate([welded[:, [0, 1]], welded[:, [1, 2]], welded[:, [2, 0]]])
    edges = edges[edges[:, 0] != edges[:, 1]]
    low, high = edges.min(axis=1), edges.max(axis=1)
    key = low.astype(np.int64) * (int(welded.max()) + 1) + high
    _, group = np.unique(key, return_inverse=True)
    balance = np.bincount(group, weights=np.where(edges[:, 0] < edges[:, 1], 1.0, -1.0))
    return bool(np.all(balance == 0))


@pytest.mark.parametrize("body_type", list(BODY_TYPES))
@pytest.mark.parametrize("number", range(2))
def test_shell_is_closed_and_faces_outward(body_type, number):
    shape = vary(BODY_TYPES[body_type], stream(1, body_type, number))
    shell = shell_of(BodyField(shape), step_scale=1.6)
    assert is_closed(shell.vertices, shell.faces)
    size = shape.length * shape.width * shape.height
    assert 0.3 * size < volume(shell.vertices, shell.faces) < 0.95 * size
    outward = np.einsum("ij,ij->i", shell.normals[shell.faces[:, 0]], _normals(shell))
    assert (outward > 0).mean() > 0.99


def test_panels_together_are_the_shell():
    model = draw_model(1, 3, "sedan")
    panels = cut_panels(model, BodyField(model.shape), step_scale=2.0)
    shell = shell_of(BodyField(model.shape), step_scale=2.0)
    whole = sum(_area(panel) for panel in panels)
    assert whole == pytest.approx(_area(shell), rel=1e-6)
    parts = {panel.part for panel in panels}
    assert {
        "windscreen",
        "side glass",
        "rear glass",
        "front lamp",
        "rear lamp",
        "roof",
        "bonnet",
        "door",
        "bumper",
    } <= parts


@pytest.mark.parametrize(
    "solid",
    [
        box((1, 2, 3), (1, 2, 3), "paint", "body", pitch=0.3, yaw=1.0),
        ellipsoid((0, 0, 1), (0.3, 0.2, 0.1), "paint", "body", square=0.6),
        tube(np.array([[0, 0, 0], [1, 0, 0.2], [2, 1, 0.4]]), 0.1, "pole", "body"),
        lathe([(0.0, -0.1), (0.3, -0.1), (0.3, 0.1), (0.0, 0.1)], "rim", "wheel"),
        wheel(WheelSpec("five", 5, 0.66, False), 0.32, 0.22, 0.0)[0],
    ],
    ids=["box", "ellipsoid", "tube", "lathe", "tyre"],
)
def test_solids_are_closed_and_face_outward(solid):
    assert is_closed(solid.vertices, solid.faces)
    assert volume(solid.vertices, solid.faces) > 0
    mirror = solid.mirrored()
    assert volume(mirror.vertices, mirror.faces) == pytest.approx(volume(solid.vertices, solid.faces))


def test_sphere_is_exact():
    def sphere(points):
        return np.linalg.norm(points, axis=-1) - 1.0

    vertices, faces = polygonise(sphere, np.full(3, -1.2), np.full(3, 1.2), 0.1)
    assert np.abs(np.linalg.norm(vertices, axis=1) - 1).max() < 1e-4
    assert volume(vertices, faces) == pytest.approx(4 / 3 * np.pi, rel=0.01)


# Least and most square metres of windscreen, rear window and side windows (both sides).
GLASS_AREAS = {
    "sedan": ((0.6, 1.2), (0.5, 1.0), (0.8, 1.6)),
    "hatchback": ((0.6, 1.2), (0.35, 0.8), (0.9, 1.9)),
    "estate": ((0.6, 1.2), (0.32, 0.8), (1.3, 2.4)),
    "suv": ((0.8, 1.4), (0.5, 1.0), (1.5, 2.7)),
    "coupe": ((0.6, 1.2), (0.6, 1.3), (0.4, 1.1)),
    "pickup": ((0.8, 1.4), (0.6, 1.0), (1.0, 2.0)),
    "van": ((1.1, 1.9), (0.8, 1.4), (0.9, 1.6)),
    "minibus": ((1.7, 2.6), (1.3, 2.2), (7.0, 10.5)),
    "bus": ((2.5, 3.7), (1.5, 2.3), (26.0, 34.0)),
    "box truck": ((1.2, 1.9), (0.0, 0.0), (0.9, 1.9)),
}


@pytest.mark.parametrize("body_type", list(BODY_TYPES))
@pytest.mark.parametrize("unit", range(6))
def test_every_model_has_its_windows(body_type, unit):
    model = draw_model(11, unit, body_type)
    panels = cut_panels(model, BodyField(model.shape), step_scale=2.0)
    for material, (least, most) in zip(("windscreen", "rear glass", "glass"), GLASS_AREAS[body_type], strict=True):
        assert least <= sum(_area(panel) for panel in panels if panel.material == material) <= most, material


@pytest.mark.parametrize("body_type", ["sedan", "coupe", "hatchback", "estate", "suv"])
def test_roof_has_no_hollow(body_type):
    """From the top of the windscreen to the rear window's base the profile never turns up again."""
    shape = vary(BODY_TYPES[body_type], stream(2, body_type, 0))
    stations = np.arange(shape.roof_front, shape.tail_glass - 0.1, 0.05)
    above = np.stack([shape.length / 2 - stations, 0 * stations, 0 * stations + 2.2], 1)
    _, normals, _ = BodyField(shape).project(above, (0, 0, -1))
    assert np.diff(normals[:, 0]).max() < 0.02


@pytest.mark.parametrize("body_type", list(BODY_TYPES))
def test_liner_stays_inside(body_type):
    model = draw_model(4, 1, body_type)
    field = BodyField(model.shape)
    for piece in liner(model, field):
        assert len(piece.faces) and field(piece.vertices).max() < -0.01


def test_panels_share_no_unused_vertices():
    model = draw_model(1, 2, "suv")
    for panel in cut_panels(model, BodyField(model.shape), step_scale=2.0):
        assert len(np.unique(panel.faces)) == len(panel.vertices) == len(panel.normals)


def test_split_keeps_area_and_sides():
    model = draw_model(1, 0, "suv")
    shell = shell_of(BodyField(model.shape), step_scale=2.5)
    above, below = split(shell, shell.vertices[:, 2] - 0.9)
    assert _area(above) + _area(below) == pytest.approx(_area(shell), rel=1e-9)
    assert above.vertices[:, 2].min() > 0.9 - 1e-6 and below.vertices[:, 2].max() < 0.9 + 1e-6


def test_a_dent_is_on_one_side_only():
    shape = BODY_TYPES["sedan"]
    plain = BodyField(shape)
    point, _, _ = plain.project(np.array([[0.0, 1.2, 0.6]]), (0, -1, 0))
    dented = BodyField(shape, (Dent(tuple(point[0]), 0.15, 0.05),))
    left = dented.project(np.array([[0.0, 1.2, 0.6]]), (0, -1, 0))[0][0, 1]
    right = dented.project(np.array([[0.0, -1.2, 0.6]]), (0, 1, 0))[0][0, 1]
    assert left < point[0, 1] - 0.02
    assert right == pytest.approx(-point[0, 1], abs=1e-3)


def test_no_wheel_well_opens_into_the_pickup_bed():
    shape = BODY_TYPES["pickup"]
    field = BodyField(shape)
    axle_x = shape.length / 2 - shape.axles[1]
    above = np.array([[axle_x, y, shape.deck_height + 0.2] for y in np.linspace(-0.75, 0.75, 31)])
    surface, _, hit = field.project(above, (0, 0, -1))
    assert hit.all()
    assert surface[:, 2].min() > 2 * shape.wheel_radius - 0.2


def _normals(mesh):
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def _area(mesh):
    return np.linalg.norm(_normals(mesh), axis=1).sum() / 2
