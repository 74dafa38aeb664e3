"""Grad-CAM of a similarity against planted truths, and what it must leave as it was."""

import numpy as np
import pytest
import torch

from ssrnet.explain.cam import SimilarityTarget, similarity_cam
from ssrnet.model import EmbeddingSettings, FeatureMap
from tests import tiny

ONLY_G = EmbeddingSettings(neck="before", branches=("G",))


def frozen(**changes):
    return tiny.network(**changes).requires_grad_(False)


def test_the_global_branch_is_explained_as_the_formula_says():
    """For GAP and a unit reference, the weight of channel c is r_c / HW, so the map is ReLU(sum_c r_c F_c)."""
    model = frozen()
    F_G = torch.rand(1, 512, 4, 4)
    reference = torch.randn(512)
    expected = np.maximum(np.einsum("c,chw->hw", (reference / reference.norm()).numpy(), F_G[0].numpy()), 0)
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    cam = similarity_cam(model, FeatureMap(F_G), reference, ONLY_G)[0]
    np.testing.assert_allclose(cam, expected, atol=1e-4)


def test_a_cell_that_alone_resembles_the_reference_is_found():
    model = frozen()
    F_G = torch.zeros(1, 512, 4, 4)
    F_G[0, 7, 1, 2] = 5.0  # the only cell with the channel that the reference has
    F_G[0, 9] = 1.0
    reference = torch.zeros(512)
    reference[7] = 1.0
    cam = similarity_cam(model, FeatureMap(F_G), reference, ONLY_G)[0]
    assert np.unravel_index(cam.argmax(), cam.shape) == (1, 2)
    assert cam.sum() == pytest.approx(cam.max(), rel=1e-3)


def test_the_shared_model_is_left_as_it_was():
    model = frozen()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    feature_map = model.feature_map(tiny.images())
    similarity_cam(model, feature_map, model.head(feature_map).embedding())
    assert not model.training
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def test_feature_maps_made_in_inference_mode_will_do():
    model = frozen()
    with torch.inference_mode():
        feature_map = model.feature_map(tiny.images())
        reference = model.head(feature_map).embedding()
    cam = similarity_cam(model, feature_map, reference)
    assert cam.shape[0] == 2 and 0 <= cam.min() and cam.max() == pytest.approx(1, abs=1e-4)


def test_a_model_in_training_is_refused():
    model = tiny.network()
    with pytest.raises(ValueError, match="eval mode"):
        similarity_cam(model, FeatureMap(torch.rand(1, 512, 4, 4)), torch.ones(1536))


def test_the_target_projects_on_the_reference():
    target = SimilarityTarget(torch.tensor([3.0, 4.0]))
    assert target(torch.tensor([1.0, 2.0])).item() == pytest.approx(1 * 0.6 + 2 * 0.8)
