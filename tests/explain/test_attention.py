"""Maps in the image's frame."""

import numpy as np
import pytest
import torch

from ssrnet.explain.attention import (
    attended_length,
    channel_attention,
    global_length,
    spatial_attention,
    strongest_channels,
    to_image_frame,
    warped,
    why_no_attended_length,
    why_no_spatial_attention,
)
from ssrnet.model import ModelSettings
from tests import tiny


def test_m_s_and_m_c_are_those_of_the_trace_and_absent_from_the_baseline():
    x = tiny.images()
    trace = tiny.network().trace(x)
    M_s, M_c = spatial_attention(trace), channel_attention(trace)
    np.testing.assert_array_equal(M_s, trace.M_s[:, 0].detach().numpy())
    np.testing.assert_array_equal(M_c, trace.M_c[:, :, 0, 0].detach().numpy())
    assert M_s.shape == (2, 4, 4) and M_c.shape == (2, 512)
    assert all(0 < weights.min() and weights.max() < 1 for weights in (M_s, M_c))
    baseline = tiny.network(**tiny.BASELINE).trace(x)
    assert spatial_attention(baseline) is channel_attention(baseline) is strongest_channels(baseline) is None


def test_m_s_and_m_c_make_f_attn():
    """Eq. 1, put together again from what is shown."""
    trace = tiny.network().trace(tiny.images())
    F_c = channel_attention(trace)[:, :, None, None] * trace.F_G.detach().numpy()
    np.testing.assert_allclose(spatial_attention(trace)[:, None] * F_c, trace.F_attn.detach().numpy(), rtol=1e-5)


def test_lengths_are_those_of_the_channels_of_a_cell():
    trace = tiny.network().trace(tiny.images())
    for length, tensor in ((attended_length(trace), trace.F_attn), (global_length(trace), trace.F_G)):
        np.testing.assert_allclose(length, np.sqrt((tensor.detach().numpy() ** 2).sum(1)), rtol=1e-5)
        assert length.shape == (2, 4, 4)
    # M_s comes after the channels are weighed, so it is a factor of the length
    F_c = (trace.M_c * trace.F_G).detach().norm(dim=1).numpy()
    np.testing.assert_allclose(attended_length(trace), spatial_attention(trace) * F_c, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (tiny.BASELINE, "Baseline (GB) has no attention branch and so no F_attn"),
        ({"attention": "none"}, "no F_attn but F_G itself"),
        ({"attention": "stn"}, "no F_attn but F_G itself"),
        ({"attention": "bilinear"}, "no F_attn but F_G itself"),
        ({"attention": "se"}, None),
        ({}, None),
    ],
)
def test_f_attn_is_called_f_g_where_it_is_f_g(changes, words):
    model = tiny.network(**changes)
    trace = model.trace(tiny.images())
    sentence = why_no_attended_length(model.settings)
    assert sentence is None if words is None else words in sentence
    assert np.array_equal(attended_length(trace), global_length(trace)) == (words is not None)


def test_the_strongest_channels_are_those_that_m_c_lets_through_most():
    trace = tiny.network().trace(tiny.images())
    strongest, M_c = strongest_channels(trace, 3), channel_attention(trace)
    assert strongest.channels.shape == (2, 3) and strongest.maps.shape == (2, 3, 4, 4)
    for image in range(2):
        expected = np.argsort(-M_c[image])[:3]
        np.testing.assert_array_equal(strongest.channels[image], expected)
        np.testing.assert_array_equal(strongest.weights[image], M_c[image, expected])
        F_c = M_c[image, expected, None, None] * trace.F_G[image, expected.copy()].detach().numpy()
        np.testing.assert_allclose(strongest.maps[image], F_c, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (tiny.BASELINE, "Baseline (GB) has no spatial attention map M_s: it has no attention branch"),
        ({"attention": "se"}, "M_c weighs the channels"),
        ({"attention": "stn"}, "warps the image"),
        ({"attention": "bilinear"}, "products of channels"),
        ({"attention": "none"}, "switched off"),
    ],
)
def test_a_model_without_m_s_says_why(changes, words):
    assert words in why_no_spatial_attention(ModelSettings(**changes))


def test_the_papers_model_has_m_s():
    assert why_no_spatial_attention(ModelSettings()) is None


def test_a_cell_lands_on_the_pixels_it_stands_for():
    maps = np.zeros((1, 4, 4), np.float32)
    maps[0, 1, 2] = 1
    pixels = to_image_frame(maps, 64)[0]
    y, x = np.unravel_index(pixels.argmax(), pixels.shape)
    assert 16 <= y < 32 and 32 <= x < 48
    assert pixels[20:28, 36:44].min() > pixels[:16].max()


def test_a_photographs_own_size_is_the_stretched_square():
    maps = np.random.default_rng(0).random((1, 4, 4), np.float32)
    wide = to_image_frame(maps, (64, 192))
    assert wide.shape == (1, 64, 192)
    np.testing.assert_allclose(wide[:, :, 1::3], to_image_frame(maps, 64), atol=1e-6)


def test_a_warped_map_goes_back_where_it_came_from():
    """theta scales by 1/2: the warped image shows the input's middle, so its corner lies a quarter in."""
    theta = torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])
    maps = np.zeros((1, 8, 8), np.float32)
    maps[0, 0, 0] = 1
    pixels = to_image_frame(maps, 64, theta)[0]
    y, x = np.unravel_index(pixels.argmax(), pixels.shape)
    assert 16 <= y < 22 and 16 <= x < 22
    assert pixels[:14].max() == 0, "what the warped image does not show has no value"


def test_a_picture_is_warped_as_the_network_warps_it():
    """theta scales by 1/2 and shifts to the left: the upper left quarter of the picture fills the frame."""
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4, :4] = 200
    theta = torch.tensor([[[0.5, 0.0, -0.5], [0.0, 0.5, -0.5]]])
    seen = warped(picture, theta)
    assert seen.shape == picture.shape and (seen[:7, :7] == 200).all() and (seen[7, 7] < 200).all()
    np.testing.assert_array_equal(warped(picture, torch.eye(2, 3)[None]), picture)
