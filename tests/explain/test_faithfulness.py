"""Measures of maps against images small enough to work out by hand, and against planted truths."""

import numpy as np
import pytest
import torch

from ssrnet.explain.attention import in_image
from ssrnet.explain.cam import CamSettings, similarity_cam
from ssrnet.explain.faithfulness import (
    blurred,
    centre_map,
    deletion_insertion,
    part_shares,
    pixel_order,
    pointing_game,
    random_map,
    region_share,
    replaced,
)
from tests.explain import planted


def test_shares_of_parts():
    """2x2: the map's mass is 1, 2, 3, 4 of 10; label 0 has one pixel, label 2 three, label 1 none."""
    shares = part_shares(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0, 2], [2, 2]]), parts=3)
    np.testing.assert_allclose(shares.mass, [0.1, 0, 0.9])
    np.testing.assert_allclose(shares.area, [0.25, 0, 0.75])


def test_a_map_without_mass_prefers_no_part():
    mask = np.array([[0, 1], [1, 1]])
    shares = part_shares(np.zeros((2, 2)), mask, parts=2)
    np.testing.assert_allclose(shares.mass, shares.area)
    assert region_share(np.zeros((2, 2)), mask == 0) == 0.25


def test_negative_masses_are_refused():
    with pytest.raises(ValueError, match="negative"):
        part_shares(np.array([[1.0, -1.0]]), np.array([[0, 1]]), parts=2)


def test_the_share_of_a_region():
    assert region_share(np.array([[1.0, 1.0], [2.0, 4.0]]), np.array([[True, False], [False, True]])) == 5 / 8


def test_pointing_hits_within_a_sixteenth_of_the_side():
    region = np.zeros((32, 64), bool)
    region[16, 32] = True
    near, far = np.zeros((2, 32, 64))
    near[18, 32] = 1  # 2/32 of the height
    far[19, 32] = 1
    assert pointing_game(near, region).hit and not pointing_game(far, region).hit
    sideways = np.zeros((32, 64))
    sideways[16, 36] = 1  # 4/64 of the width
    assert pointing_game(sideways, region).hit
    # an ellipse with half axes of 2 rows and 4 columns: rows of 1, 7, 9, 7 and 1 pixels
    assert pointing_game(near, region).chance == pytest.approx((1 + 7 + 9 + 7 + 1) / region.size)


def test_pointing_takes_the_middle_of_a_flat_maximum_and_none_of_a_flat_map():
    heatmap = np.zeros((33, 33))
    heatmap[10:15, 10:15] = 1
    region = np.zeros((33, 33), bool)
    region[12, 12] = True
    assert pointing_game(heatmap, region, tolerance=0).hit
    assert not pointing_game(np.ones((33, 33)), np.ones((33, 33), bool)).hit
    with pytest.raises(ValueError, match="empty"):
        pointing_game(heatmap, np.zeros((33, 33), bool))


def test_pixels_go_highest_first_and_ties_by_the_other_map():
    heatmap, ties = np.array([[0.0, 5.0], [0.0, 0.0]]), np.array([[0.1, 0.0], [0.3, 0.2]])
    assert pixel_order(heatmap, ties).tolist() == [1, 2, 3, 0]


def test_pixels_are_replaced_in_order():
    start, other = torch.zeros(3, 2, 2), torch.ones(3, 2, 2)
    frames = replaced(start, other, np.array([3, 0, 2, 1]), steps=4)
    assert frames.shape == (5, 3, 2, 2)
    assert frames[:, 1].flatten(1).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 1], [1, 0, 1, 1], [1, 1, 1, 1]]


def test_a_blur_keeps_the_mean_colour_and_spreads_a_point_as_a_gaussian():
    image = torch.zeros(3, 64, 64)
    image[0, 32, 32] = 1
    soft = blurred(image)
    assert soft[0].sum().item() == pytest.approx(1, abs=1e-4) and not soft[1:].any()
    assert (soft[0, 32, 36] / soft[0, 32, 32]).item() == pytest.approx(np.exp(-1 / 2), abs=1e-4)  # one sigma: 4 pixels
    assert soft[0, 32, 36] == pytest.approx(soft[0, 36, 32].item())
    assert torch.allclose(blurred(torch.full((3, 32, 32), 0.7)), torch.tensor(0.7))


def left_half(images):
    """An embedding (m, 1): m is the mean red of the left half."""
    m = images[:, 0, :, : images.shape[3] // 2].mean((1, 2))
    return torch.stack([m, torch.ones_like(m)], dim=1)


def test_curves_of_a_network_that_sees_the_left_half():
    """4x4 red pixels. Taken from the left, half the pixels leave m = 0; from the right, the first half leaves m = 1.

    The cosine to the reference (1, 0) is m / sqrt(m^2 + 1).
    """
    image = torch.zeros(3, 4, 4)
    image[0] = 1
    left = np.repeat(np.array([[4.0, 3.0, 2.0, 1.0]]), 4, axis=0)
    curves = deletion_insertion(
        left_half, image, {"left": left, "right": left[:, ::-1]}, torch.tensor([1.0, 0.0]), np.zeros((4, 4)), steps=4
    )

    def score(*m):
        return np.array([value / (value**2 + 1) ** 0.5 for value in m])

    np.testing.assert_allclose(curves["left"].deletion.scores, score(1, 0.5, 0, 0, 0), atol=1e-6)
    np.testing.assert_allclose(curves["right"].deletion.scores, score(1, 1, 1, 0.5, 0), atol=1e-6)
    assert curves["left"].deletion.auc == pytest.approx((score(1)[0] / 2 + score(0.5)[0]) / 4)
    # blurred red stays red, so that nothing is gained by bringing it back
    np.testing.assert_allclose(curves["left"].insertion.scores, score(1, 1, 1, 1, 1), atol=1e-6)
    assert curves["left"].gain > curves["right"].gain > 0


def test_insertion_brings_the_named_pixels_back():
    image = torch.zeros(3, 16, 16)
    image[0, :, :8] = torch.tensor([4.0, -4.0]).repeat(16, 4)  # stripes, which the blur wipes out

    def contrast(images):
        stripes = images[:, 0, :, 1:7].std((1, 2))
        return torch.stack([stripes, torch.ones_like(stripes)], dim=1)

    left = np.repeat(np.linspace(2, 1, 16)[None], 16, axis=0)
    maps = {"left": left, "right": left[:, ::-1]}
    curves = deletion_insertion(contrast, image, maps, torch.tensor([1.0, 0.0]), np.zeros((16, 16)), steps=4)
    assert curves["left"].insertion.scores[2] > 0.95 > 0.7 > curves["right"].insertion.scores[2]
    assert curves["left"].insertion.auc > curves["right"].insertion.auc


def test_a_true_map_beats_the_controls_on_a_network_that_sees_one_crop():
    model = planted.upper_left_alone()
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) + 0.5
    image[0, :, :32, :32] *= torch.tensor([3.0, 0.2, 0.2])[:, None, None]

    def embed(images):
        return model.trace(images).embedding(planted.ONLY_TOKEN)

    with torch.no_grad():
        reference = embed(image)[0]
    cells = similarity_cam(model, model.feature_map(image), reference, planted.ONLY_TOKEN, CamSettings("hires-cam"))[0]
    controls = {"random": random_map(np.random.default_rng(0), (4, 4)), "centre": centre_map((4, 4))}
    maps = {"true": cells, "opposite": cells.max() - cells, **controls}
    sized = {name: in_image(one, 64) for name, one in maps.items()}
    curves = deletion_insertion(embed, image[0], sized, reference, sized["random"])
    left = {name: one.deletion.auc for name, one in curves.items()}
    assert left["true"] < min(left["random"], left["centre"]) and left["opposite"] > left["random"]


def test_controls():
    a, b = (random_map(np.random.default_rng(3), (16, 16)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert 0 <= a.min() and a.max() < 1
    middle = centre_map((16, 8))
    np.testing.assert_allclose(middle, middle[::-1, ::-1])
    assert middle.shape == (16, 8) and middle[7, 3] == middle.max()
    assert middle[7, 0] == pytest.approx(middle[7, 3] * np.exp(-((3.5 / 2) ** 2 - 0.25**2) / 2), rel=1e-5)
