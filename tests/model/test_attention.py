import numpy as np
import pytest
import torch

from ssrnet.model.attention import CBAM, BilinearHead, SpatialTransformer, SqueezeExcitation, build_attention
from tests import tiny


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def mlp(module, x):
    """Two linear layers with a ReLU between them, x (C,)."""
    first, _, second = module
    hidden = np.maximum(first.weight.numpy() @ x + first.bias.numpy(), 0)
    return second.weight.numpy() @ hidden + second.bias.numpy()


@torch.no_grad()
def test_cbam_is_equation_1_written_out():
    torch.manual_seed(1)
    cbam = CBAM(32, reduction=8).eval()
    cbam.spatial_bn.running_mean.fill_(0.3)
    cbam.spatial_bn.running_var.fill_(1.7)
    cbam.spatial_bn.weight.fill_(1.2)
    cbam.spatial_bn.bias.fill_(-0.1)
    F_G = torch.randn(2, 32, 5, 4)
    attended = cbam(F_G)
    kernel = cbam.spatial.weight.numpy()[0]  # (2, 7, 7)
    for b in range(2):
        x = F_G[b].numpy()
        M_c = sigmoid(mlp(cbam.mlp, x.mean((1, 2))) + mlp(cbam.mlp, x.max((1, 2))))
        F_c = M_c[:, None, None] * x
        summary = np.pad(np.stack([F_c.mean(0), F_c.max(0)]), ((0, 0), (3, 3), (3, 3)))
        response = np.array([[(summary[:, i : i + 7, j : j + 7] * kernel).sum() for j in range(4)] for i in range(5)])
        M_s = sigmoid((response - 0.3) / np.sqrt(1.7 + cbam.spatial_bn.eps) * 1.2 - 0.1)
        assert np.allclose(attended.M_c[b, :, 0, 0], M_c, atol=1e-6)
        assert np.allclose(attended.M_s[b, 0], M_s, atol=1e-6)
        assert np.allclose(attended.F_attn[b], M_s * F_c, atol=1e-5)
    assert attended.M_c.shape == (2, 32, 1, 1) and attended.M_s.shape == (2, 1, 5, 4)


@torch.no_grad()
@pytest.mark.parametrize("module", [CBAM, SqueezeExcitation])
def test_channel_attention_starts_at_one_half_whatever_the_image(module):
    torch.manual_seed(0)
    M_c = module(256)(10 * torch.randn(4, 256, 6, 6).relu()).M_c
    assert (M_c - 0.5).abs().max() < 0.05 and M_c.std(0).max() > 0  # close to it, and able to learn


def test_cbams_reduction_is_16_and_its_kernel_7():
    cbam = CBAM(64)
    assert cbam.mlp[0].weight.shape == (4, 64) and cbam.spatial.weight.shape == (1, 2, 7, 7)


@torch.no_grad()
def test_squeeze_and_excitation_weighs_channels_alone():
    torch.manual_seed(1)
    se = SqueezeExcitation(32)
    F_G = torch.randn(1, 32, 3, 3)
    attended = se(F_G)
    M_c = sigmoid(mlp(se.mlp, F_G[0].numpy().mean((1, 2))))
    assert np.allclose(attended.F_attn[0], M_c[:, None, None] * F_G[0].numpy(), atol=1e-5)
    assert attended.M_s is None


@pytest.mark.parametrize("name", ["none", "stn", "bilinear"])
def test_attention_that_acts_elsewhere_leaves_the_map_alone(name):
    F_G = torch.randn(1, 32, 3, 3)
    attended = build_attention(name, 32)(F_G)
    assert attended.F_attn is F_G and attended.M_c is None and attended.M_s is None


@torch.no_grad()
def test_bilinear_pooling_is_an_averaged_outer_product():
    torch.manual_seed(1)
    head = BilinearHead(16, 5, reduced=4).eval()
    x = torch.randn(1, 16, 3, 2)
    r = head.reduce(x)[0].numpy().reshape(4, 6)
    gram = sum(np.outer(r[:, i], r[:, i]) for i in range(6)) / 6
    root = np.sqrt(gram.ravel() + 1e-6)
    expected = head.fc.weight.numpy() @ (root / np.linalg.norm(root)) + head.fc.bias.numpy()
    assert np.allclose(head(x)[0], expected, atol=1e-5)


def test_bilinear_pooling_of_an_empty_map_has_finite_gradients():
    head = BilinearHead(16, 5, reduced=4)
    head(torch.zeros(2, 16, 3, 2)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


@torch.no_grad()
def test_the_spatial_transformer_starts_at_the_identity():
    x = tiny.images()
    warped, theta = SpatialTransformer()(x)
    assert torch.allclose(warped, x, atol=1e-4)
    assert torch.equal(theta, torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(2, 2, 3))


@torch.no_grad()
def test_theta_maps_the_warped_image_to_the_input():
    transformer = SpatialTransformer()
    transformer.affine.bias.copy_(torch.tensor([1.0, 0, 0.5, 0, 1, 0]))  # a quarter of the width to the right
    x = torch.zeros(1, 3, 64, 64)
    x[:, :, 20, 40] = 1
    warped, _ = transformer(x)
    assert warped[0, 0].argmax() == 20 * 64 + 24


def test_the_spatial_transformer_learns():
    transformer = SpatialTransformer()
    warped, _ = transformer(tiny.images())
    warped.square().mean().backward()
    assert transformer.affine.weight.grad.abs().sum() > 0
