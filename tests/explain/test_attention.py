"""Maps in the image's frame."""

import numpy as np
import pytest
import torch

from ssrnet.explain.attention import spatial_attention, stretch, to_image_frame
from ssrnet.explain.overlay import overlay
from tests import tiny


def test_m_s_is_the_networks_own_and_absent_from_the_baseline():
    x = tiny.images()
    trace = tiny.network().trace(x)
    M_s = spatial_attention(trace)
    np.testing.assert_array_equal(M_s, trace.M_s[:, 0].detach().numpy())
    assert 0 < M_s.min() and M_s.max() < 1
    assert spatial_attention(tiny.network(**tiny.BASELINE).trace(x)) is None


def test_a_cell_lands_on_the_pixels_it_stands_for():
    maps = np.zeros((1, 4, 4), np.float32)
    maps[0, 1, 2] = 1
    pixels = to_image_frame(maps, 64)[0]
    y, x = np.unravel_index(pixels.argmax(), pixels.shape)
    assert 16 <= y < 32 and 32 <= x < 48
    assert pixels[20:28, 36:44].min() > pixels[:16].max()


def test_a_warped_map_goes_back_where_it_came_from():
    """theta scales by 1/2: the warped image shows the input's middle, so its corner lies a quarter in."""
    theta = torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])
    maps = np.zeros((1, 8, 8), np.float32)
    maps[0, 0, 0] = 1
    pixels = to_image_frame(maps, 64, theta)[0]
    y, x = np.unravel_index(pixels.argmax(), pixels.shape)
    assert 16 <= y < 22 and 16 <= x < 22
    assert pixels[:14].max() == 0, "what the warped image does not show has no value"


def test_stretch_spans_zero_to_one_and_survives_a_constant():
    np.testing.assert_allclose(stretch(np.array([[2.0, 3.0], [4.0, 2.0]])), [[0, 0.5], [1, 0]])
    assert not stretch(np.full((2, 2), 0.7)).any()


@pytest.mark.parametrize("opacity", (0.0, 0.5, 1.0))
def test_overlay_mixes_image_and_colours(opacity):
    image = np.full((2, 2, 3), 100, np.uint8)
    heatmap = np.array([[0.0, 1.0], [0.0, 1.0]])
    painted = overlay(image, heatmap, opacity)
    alone = overlay(image, heatmap, 1.0)
    assert painted.shape == image.shape and painted.dtype == np.uint8
    np.testing.assert_allclose(painted, np.rint((1 - opacity) * image + opacity * alone.astype(float)), atol=1)
    # blue low, red high
    assert alone[0, 0, 2] > alone[0, 0, 0] and alone[0, 1, 0] > alone[0, 1, 2]
