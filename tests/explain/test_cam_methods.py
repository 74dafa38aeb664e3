"""Score-CAM against its formula worked step by step."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ssrnet.explain.cam_methods import CamInput, score_cam
from ssrnet.model import EmbeddingSettings
from ssrnet.retrieval.alignment import Standardisation
from tests import tiny
from tests.explain import planted

ONLY_G = EmbeddingSettings(neck="before", branches=("G",))


@pytest.mark.parametrize("aligned", [False, True])
def test_each_channel_weighs_as_much_as_its_masked_image_gains(aligned):
    generator = torch.Generator().manual_seed(2)
    mean, deviation = torch.randn(1, 512, generator=generator), 0.5 + torch.rand(1, 512, generator=generator)
    if not aligned:
        mean, deviation = torch.zeros(1, 512), torch.ones(1, 512)
    model = tiny.network(**tiny.BASELINE).requires_grad_(False)
    image, reference = tiny.images(1), torch.randn(1, 512, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        feature_map = model.feature_map(image)
        chosen = feature_map.F_G[0].flatten(1).var(1).argsort(descending=True)[:3]
        empty = model.trace(torch.zeros_like(image)).embedding(ONLY_G)
        nothing = F.cosine_similarity((empty - mean) / deviation, reference)
        expected = torch.zeros(4, 4)
        for channel in chosen:
            A = feature_map.F_G[0, channel]
            mask = F.interpolate(((A - A.min()) / (A.max() - A.min()))[None, None], (64, 64), mode="bilinear")
            masked = model.trace(image * mask).embedding(ONLY_G)
            expected += (F.cosine_similarity((masked - mean) / deviation, reference) - nothing) * A
    standardisation = Standardisation(mean, deviation) if aligned else None
    given = CamInput(
        model, feature_map, reference, ONLY_G, images=image, score_channels=3, standardisation=standardisation
    )
    heatmap = score_cam(given, batch_size=2)[0]
    np.testing.assert_allclose(heatmap, expected.clamp(min=0), rtol=1e-3, atol=1e-6)


def test_a_map_without_any_change_over_cells_is_empty():
    model = tiny.network(**tiny.BASELINE).requires_grad_(False)
    model.backbone = planted.Patches()
    image = torch.ones(1, 3, 64, 64)
    heatmap = score_cam(CamInput(model, model.feature_map(image), torch.ones(1, 512), ONLY_G, images=image))
    assert heatmap.shape == (1, 4, 4) and not heatmap.any()


def test_warped_images_are_masked_where_the_cells_came_from():
    """theta shows the network the upper-left quarter alone: all masks lie there."""
    model = tiny.network(**tiny.BASELINE).requires_grad_(False)
    image = tiny.images(1)
    shown = []
    whole = model.trace
    model.trace = lambda x: shown.append(x.clone()) or whole(x)
    theta = torch.tensor([[[0.5, 0.0, -0.5], [0.0, 0.5, -0.5]]])
    feature_map = model.feature_map(image)._replace(theta=theta)
    score_cam(CamInput(model, feature_map, torch.ones(1, 512), ONLY_G, images=image, score_channels=2))
    masked = shown[-1]
    assert masked[:, :, :28, :28].abs().sum() > 0 == masked[:, :, 36:].abs().sum() == masked[:, :, :, 36:].abs().sum()
