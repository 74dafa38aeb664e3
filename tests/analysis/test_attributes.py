import math

import numpy as np
import pytest

from ssrnet.analysis.attributes import (
    angle_between,
    attribute_names,
    coded,
    day_or_night,
    grouped,
    numbers,
    same_vehicle,
    values,
)
from ssrnet.errors import DataError
from tests.analysis import toys

IMAGES = [
    toys.image("x", "1", "c1", light="led", azimuth="-10"),
    toys.image("y", "2", None, azimuth="1e2", type="car"),
    toys.image("z", "2", "c1", light="none"),
]


def test_other_images_of_a_vehicle_other_cameras_first():
    image, same_camera, other_camera = (
        toys.image(*each) for each in (("a", "1", "c1"), ("b", "1", "c1"), ("c", "1", "c2"))
    )
    images = [same_camera, image, toys.image("d", "2", "c2"), other_camera]
    assert same_vehicle(image, images) == [other_camera, same_camera]


def test_names_and_values_with_the_camera_among_them():
    assert attribute_names(IMAGES) == ("camera_id", "light", "azimuth", "type")
    assert attribute_names([toys.image("w", "1", None)]) == ()
    assert values(IMAGES, "light").tolist() == ["led", None, "none"]
    assert values(IMAGES, "camera_id").tolist() == ["c1", None, "c1"]
    assert grouped(values(IMAGES, "light"), day_or_night).tolist() == ["night", None, "day"]
    codes, known = coded(values(IMAGES, "light"))
    assert (codes.tolist(), known) == ([0, -1, 1], ["led", "none"])


def test_numbers():
    assert numbers(IMAGES, "azimuth") == pytest.approx([-10, 100, math.nan], nan_ok=True)


def test_the_smallest_angle_goes_either_way_round():
    a, b = np.array([350, 10, 0, 90, -90, 725, np.nan]), np.array([10, 350, 180, 270, 180, 0, 3])
    assert angle_between(a, b) == pytest.approx([20, 20, 180, 180, 90, 5, np.nan], nan_ok=True)


def test_what_is_not_there_or_no_number():
    with pytest.raises(DataError, match="no image has the attribute wheels; they have camera_id, light, azimuth, type"):
        values(IMAGES, "wheels")
    with pytest.raises(DataError, match="no image has the attribute camera_id; they have none"):
        values([toys.image("w", "1", None)], "camera_id")
    with pytest.raises(DataError, match="light of x is 'led', which is not a number; choose another attribute"):
        numbers(IMAGES, "light")
