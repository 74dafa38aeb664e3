from pathlib import Path

import pytest
import torch

from ssrnet.analysis.camera_facts import MIN_DISTINCT, CameraFacts, camera_facts, cautions, distinct_pictures
from ssrnet.data.records import VehicleImage


def image(camera: str | None, kind: str | None = "car") -> VehicleImage:
    return VehicleImage(Path("/nowhere"), "x.jpg", "7", camera, {"type": kind} if kind else {})


def test_alike_pictures_count_as_one():
    x, y, z = [1.0, 0, 0], [0.0, 2, 0], [0.0, 0, 3]
    assert distinct_pictures(torch.tensor([x, y, z])) == pytest.approx(3)
    assert distinct_pictures(torch.tensor([x, x, x, y])) == pytest.approx(2)
    assert distinct_pictures(torch.tensor([x, [1.0, 0.1, 0]]), alike=0.999) == pytest.approx(2)
    # y is like both neighbours, which are not like each other: 1/2 + 1/3 + 1/2.
    chain = torch.tensor([[1.0, 0, 0], [1.0, 1, 0], [0.0, 1, 0]])
    assert distinct_pictures(chain, alike=0.7) == pytest.approx(4 / 3)
    assert distinct_pictures(torch.zeros(2, 3)) == 2  # a zero vector is like nothing but itself


def test_facts_of_each_named_camera():
    images = [image("b"), image("b", "bus"), image("a"), image(None), image("")]
    facts = camera_facts(images, torch.eye(5))
    assert facts == [CameraFacts("a", 1, 1.0, pytest.approx(0.2)), CameraFacts("b", 2, 2.0, pytest.approx(0.3))]
    without = camera_facts([*images, image("a", None)], torch.eye(6))
    assert [one.mix for one in without] == [None, None]


def test_cautions():
    def of(images: int, distinct: float) -> tuple[str, ...]:
        return cautions([CameraFacts(name, images, distinct, None) for name in "abc"])

    assert of(40, 30) == of(40, MIN_DISTINCT) == ()
    assert "at most 3 images" in of(3, 3)[0] and "different pictures" not in of(3, 3)[0]
    assert "worth at most 4.0 different ones" in of(40, 4)[0]
    assert cautions([]) == ()
