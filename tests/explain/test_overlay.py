"""Colours of heat maps: order, scale, and mixing with the photograph."""

import cv2
import numpy as np
import pytest

from ssrnet.explain.overlay import COLOUR_MAPS, DEFAULT_COLOURS, Scale, coloured, coloured_image, overlay, scale_of

RAMP = np.linspace(0, 1, 256)[None]
DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
"""Of linear RGB: Machado et al., A physiologically-based model for simulation of color vision deficiency, 2009."""


def lightness(colours: np.ndarray) -> np.ndarray:
    """L* in [0, 100] of RGB in [0, 1], (1, n, 3)."""
    return cv2.cvtColor(colours.astype(np.float32), cv2.COLOR_RGB2LAB)[0, :, 0]


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_lightness_rises_from_low_to_high_also_without_green_receptors(name):
    colours = coloured(RAMP, name) / 255
    seen = lightness(colours)
    assert (np.diff(seen) > -0.5).all(), "8 bits a channel round"
    assert (np.diff(seen[::8]) > 0).all() and seen[-1] - seen[0] > 60
    simulated = np.clip(colours**2.2 @ DEUTERANOPIA.T, 0, 1) ** (1 / 2.2)
    assert (np.diff(lightness(simulated)[::16]) > 0).all()


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_an_image_with_a_palette_has_the_same_pixels(name):
    heatmap = np.random.default_rng(0).random((9, 40))
    heatmap[0, :2] = 0, 1
    np.testing.assert_array_equal(np.asarray(coloured_image(heatmap, name).convert("RGB")), coloured(heatmap, name))


def test_the_ends_are_what_their_words_say():
    low, high = coloured(RAMP)[0, [0, -1]].astype(int)
    assert DEFAULT_COLOURS == "inferno" and COLOUR_MAPS["inferno"][1:] == ("black", "pale yellow")
    assert low.max() < 10 and high[:2].min() > 240 > high[2]
    for name in ("cividis", "viridis"):
        low, high = coloured(RAMP, name)[0, [0, -1]].astype(int)
        assert low[2] == low.max() and COLOUR_MAPS[name].high == "yellow" and high[:2].min() > 2 * high[2]


def test_a_scale_spans_all_its_maps_and_cuts_what_lies_beyond():
    maps = np.array([[2.0, 3.0], [4.0, 2.0]]), np.array([[1.0, 2.5]])
    assert scale_of(maps) == Scale(1.0, 4.0)
    np.testing.assert_allclose(scale_of(maps[:1]).fractions(maps[0]), [[0, 0.5], [1, 0]])
    np.testing.assert_allclose(Scale(2.0, 3.0).fractions(np.array([0.0, 2.5, 9.0])), [0, 0.5, 1])
    assert not Scale(0.7, 0.7).fractions(np.full((2, 2), 0.7)).any()


@pytest.mark.parametrize("opacity", (0.0, 0.5, 1.0))
@pytest.mark.parametrize("colours", COLOUR_MAPS)
def test_overlay_mixes_image_and_colours(opacity, colours):
    image = np.full((2, 2, 3), 100, np.uint8)
    heatmap = np.array([[0.0, 1.0], [0.0, 1.0]])
    painted = overlay(image, heatmap, opacity, colours)
    alone = coloured(heatmap, colours)
    assert painted.shape == image.shape and painted.dtype == np.uint8
    np.testing.assert_allclose(painted, np.rint((1 - opacity) * image + opacity * alone.astype(float)), atol=1)
