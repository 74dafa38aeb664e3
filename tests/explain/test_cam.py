"""CAMs of a similarity against formulas worked by hand and planted truths, and what they must leave as it was."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

from ssrnet.errors import SettingsError
from ssrnet.explain.cam import CAMS, CamSettings, each_branch, map_names, map_title, pair_cams, similarity_cam
from ssrnet.explain.cam_methods import SimilarityTarget, eigen_cam
from ssrnet.model import EmbeddingSettings, FeatureMap
from ssrnet.retrieval.alignment import Standardisation
from tests import tiny
from tests.explain import planted

METHODS = tuple(CAMS)
GRADIENTS = ("grad-cam", "grad-cam++", "hires-cam", "layer-cam")
ONLY_G = EmbeddingSettings(neck="before", branches=("G",))


def frozen(**changes):
    return tiny.network(**changes).requires_grad_(False)


def cam(model, feature_map, reference, embedding=EmbeddingSettings(), method="grad-cam", **more):
    images = more.pop("images", None)
    return similarity_cam(model, feature_map, reference, embedding, CamSettings(method, **more), images)


def of_two_cameras(dim: int = 1536) -> Standardisation:
    """Of two images, each by a camera of its own."""
    generator = torch.Generator().manual_seed(2)
    return Standardisation(torch.randn(2, dim, generator=generator), 0.5 + torch.rand(2, dim, generator=generator))


@pytest.fixture(scope="module")
def pooled():
    """F_G, its reference direction r (512,), and the gradient r_c / HW that GAP gives every cell of channel c."""
    generator = torch.Generator().manual_seed(0)
    F_G, reference = torch.rand(1, 512, 4, 4, generator=generator), torch.randn(512, generator=generator)
    r = (reference / reference.norm()).double().numpy()
    return F_G, reference, r / 16


@pytest.mark.parametrize("method", GRADIENTS)
def test_the_global_branch_is_explained_as_the_formula_says(method, pooled):
    F_G, reference, g = pooled
    A = F_G[0].double().numpy()
    alpha = 1 / (2 + A.sum((1, 2)) * g)  # Eq. 19 of Grad-CAM++, its fraction reduced by g^2
    weights = {
        "grad-cam": g,
        "hires-cam": g,
        "layer-cam": np.maximum(g, 0),
        "grad-cam++": 16 * np.maximum(g, 0) * alpha,
    }[method]
    expected = np.maximum(np.einsum("c,chw->hw", weights, A), 0)
    heatmap = cam(frozen(), FeatureMap(F_G), reference, ONLY_G, method)[0]
    np.testing.assert_allclose(heatmap, expected, rtol=1e-3, atol=1e-6)


def test_contributions_of_the_global_branch_add_up_to_the_projection(pooled):
    """Where all are positive, so that the ReLU cuts none."""
    F_G, reference, _ = pooled
    reference = reference.abs()
    for method in ("grad-cam", "hires-cam"):
        heatmap = cam(frozen(), FeatureMap(F_G), reference, ONLY_G, method)
        projection = F_G.mean((2, 3))[0] @ (reference / reference.norm())
        assert heatmap.sum() == pytest.approx(projection.item(), rel=1e-4)


def test_the_cosines_contributions_add_up_to_nothing():
    """It is unchanged by a longer embedding, so what speaks for the likeness and what against it are equal."""
    F_G = torch.rand(1, 512, 4, 4, generator=torch.Generator().manual_seed(0))
    f_G, reference = F_G.mean((2, 3))[0], torch.rand(512, generator=torch.Generator().manual_seed(1))
    cosine = f_G @ reference / f_G.norm() / reference.norm()
    weights = (reference / reference.norm() - cosine * f_G / f_G.norm()) / f_G.norm() / 16
    signed = torch.einsum("c,chw->hw", weights, F_G[0])
    assert abs(signed.sum()) < 1e-6 < signed.abs().max()
    heatmap = cam(frozen(), FeatureMap(F_G), reference, ONLY_G, target="cosine")[0]
    np.testing.assert_allclose(heatmap, signed.clamp(min=0), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("method", GRADIENTS)
def test_an_image_with_itself_has_a_map_by_projection_and_none_by_cosine(method):
    model = frozen()
    feature_map = model.feature_map(tiny.images(1))
    itself = model.head(feature_map).embedding()[0]
    assert cam(model, feature_map, itself, method=method).max() > 0
    assert not cam(model, feature_map, itself, method=method, target="cosine").any()


@pytest.mark.parametrize("method", [method for method in METHODS if method != "eigen-cam"])
def test_a_cell_that_alone_resembles_the_reference_is_found(method):
    image = planted.red_and_green()
    model = frozen(**tiny.BASELINE)
    model.backbone = planted.Patches()
    reference = torch.zeros(512)
    reference[1] = 1.0  # green
    heatmap = cam(model, model.feature_map(image), reference, ONLY_G, method, images=image, score_channels=None)[0]
    assert np.unravel_index(heatmap.argmax(), heatmap.shape) == (3, 3)
    assert heatmap.sum() == pytest.approx(heatmap[3, 3], rel=1e-4)


@pytest.mark.parametrize("method", ["hires-cam", "layer-cam", "score-cam"])
def test_a_network_that_sees_the_upper_left_crop_is_explained_by_it(method):
    model, image = planted.upper_left_alone(), planted.red_and_green()
    feature_map = model.feature_map(image)
    reference = model.head(feature_map).embedding(planted.ONLY_TOKEN)[0]
    heatmap = cam(model, feature_map, reference, planted.ONLY_TOKEN, method, images=image)[0]
    assert heatmap[:2, :2].sum() > 0.999 * heatmap.sum() > 0


def test_grad_cam_spreads_a_crops_channels_over_the_image():
    """Why it is not the reference for the relation branch: the same red outside of the crop, which counts nothing."""
    model, image = planted.upper_left_alone(), planted.red_and_green()
    image[0, 0, -16:, -16:] = 3
    feature_map = model.feature_map(image)
    reference = model.head(feature_map).embedding(planted.ONLY_TOKEN)[0]
    spread, exact = (cam(model, feature_map, reference, planted.ONLY_TOKEN, m)[0] for m in ("grad-cam", "hires-cam"))
    assert spread[3, 3] > 0 and spread[0, 0] > 0
    assert exact[3, 3] == 0 < exact[0, 0]


def test_branches_are_explained_apart():
    model = frozen()
    feature_map = model.feature_map(tiny.images())
    embeddings = each_branch(model)
    assert list(embeddings) == ["all", "G", "attn", "token"]
    assert embeddings["token"] == EmbeddingSettings(branches=("token",))
    maps = {}
    for branch, embedding in embeddings.items():
        other = model.head(feature_map).embedding(embedding).flip(0)
        maps[branch] = cam(model, feature_map, other, embedding, "hires-cam")
    assert len({one.tobytes() for one in maps.values()}) == 4
    assert list(each_branch(frozen(**tiny.BASELINE))) == ["all"]
    assert list(each_branch(model, EmbeddingSettings(branches=("G", "attn")))) == ["all", "G", "attn"]


@pytest.mark.parametrize("method", METHODS)
def test_both_directions_of_a_pair_in_one_call(method):
    model, images = frozen(), tiny.images()
    query, gallery = (model.feature_map(images[i : i + 1]) for i in (0, 1))
    settings = CamSettings(method, score_channels=4)
    pair = pair_cams(model, query, gallery, settings=settings, images=(images[:1], images[1:]))
    a, b = (model.head(one).embedding()[0] for one in (query, gallery))
    assert pair.similarity == pytest.approx(torch.nn.functional.cosine_similarity(a, b, dim=0).item(), abs=1e-6)
    for heatmap, feature_map, pixels, other in (
        (pair.query, query, images[:1], b),
        (pair.gallery, gallery, images[1:], a),
    ):
        assert heatmap.shape == (4, 4) and heatmap.min() >= 0
        alone = similarity_cam(model, feature_map, other, settings=settings, images=pixels)[0]
        np.testing.assert_allclose(heatmap, alone, rtol=1e-3, atol=1e-4 * alone.max())


@pytest.mark.parametrize("target", ["projection", "cosine"])
def test_grad_cam_of_aligned_embeddings_is_that_of_their_gradient(target):
    """((e - mean) / deviation) of each image's camera, differentiated by hand."""
    model, aligned = frozen(), of_two_cameras()
    feature_map = model.feature_map(tiny.images())
    F_G = feature_map.F_G.clone().requires_grad_()
    e = (model.head(feature_map._replace(F_G=F_G)).embedding() - aligned.mean) / aligned.deviation
    unit = torch.nn.functional.normalize(e)
    reference = unit.detach().flip(0)
    scores = ((e if target == "projection" else unit) * reference).sum(1)
    (g,) = torch.autograd.grad(scores.sum(), F_G)
    expected = torch.einsum("bc,bchw->bhw", g.mean((2, 3)), F_G).clamp(min=0).detach()
    pair = pair_cams(
        model,
        *(model.feature_map(image[None]) for image in tiny.images()),
        settings=CamSettings("grad-cam", target),
        standardisation=aligned,
    )
    assert pair.similarity == pytest.approx((unit[0] @ unit[1]).item(), abs=1e-6)
    raw = cam(model, feature_map, model.head(feature_map).embedding().flip(0), target=target)
    for i, heatmap in enumerate((pair.query, pair.gallery)):
        np.testing.assert_allclose(heatmap, expected[i], rtol=1e-3, atol=1e-3 * expected.max().item())
        assert np.abs(heatmap - raw[i]).max() > 0.1 * raw[i].max()


@pytest.mark.parametrize("method", METHODS)
def test_a_mean_of_0_and_a_deviation_of_1_change_no_map(method):
    model, images = frozen(), tiny.images()
    feature_map = model.feature_map(images)
    reference, settings = model.head(feature_map).embedding().flip(0), CamSettings(method, score_channels=3)
    nothing = Standardisation(torch.zeros(2, 1536), torch.ones(2, 1536))
    maps = [
        similarity_cam(model, feature_map, reference, settings=settings, images=images, standardisation=each)
        for each in (None, nothing)
    ]
    np.testing.assert_array_equal(*maps)


def test_a_pair_of_warped_images_keeps_both_warps():
    model, images = frozen(attention="stn"), tiny.images()
    query, gallery = (model.feature_map(images[i : i + 1]) for i in (0, 1))
    assert pair_cams(model, query, gallery, settings=CamSettings("layer-cam")).gallery.shape == (4, 4)


def test_eigen_cam_is_pytorch_grad_cams_with_its_sign_made_sure():
    F_G = torch.relu(torch.randn(3, 512, 4, 4, generator=torch.Generator().manual_seed(0)))
    theirs, ours = get_2d_projection(F_G.numpy()), eigen_cam(F_G)
    for one, other in zip(ours, theirs, strict=True):
        sides = [np.maximum(sign * other, 0) for sign in (1, -1)]
        # Two float32 decompositions: on some processors their last digits differ by a hundred-thousandth of the map.
        assert any(np.allclose(one, side, atol=1e-4 * one.max()) for side in sides)


@pytest.mark.parametrize("seed", range(4))
def test_eigen_cam_shows_where_the_features_are_strong(seed):
    F_G = 0.1 * torch.rand(1, 32, 4, 4, generator=torch.Generator().manual_seed(seed))
    F_G[0, :, 2, 1] += 1
    heatmap = eigen_cam(F_G)[0]
    assert np.unravel_index(heatmap.argmax(), heatmap.shape) == (2, 1)


@pytest.mark.parametrize("method", METHODS)
def test_the_shared_model_is_left_as_it_was(method):
    model, images = frozen(), tiny.images()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    feature_map = model.feature_map(images)
    F_G = feature_map.F_G.clone()
    cam(model, feature_map, model.head(feature_map).embedding(), method=method, images=images, score_channels=2)
    unchanged(model, before)
    assert torch.equal(feature_map.F_G, F_G) and feature_map.F_G.grad is None


def test_eight_threads_get_the_maps_of_one():
    model, images = frozen(), tiny.images()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    feature_map = model.feature_map(images)
    reference = model.head(feature_map).embedding().flip(0)
    tasks = [(method, target) for method in METHODS for target in ("projection", "cosine")] * 4

    def one(task):
        method, target = task
        return cam(model, feature_map, reference, method=method, target=target, images=images, score_channels=2)

    expected = [one(task) for task in tasks]
    with ThreadPoolExecutor(8) as threads:
        threaded = list(threads.map(one, tasks))
    for task, a, b in zip(tasks, threaded, expected, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=str(task))
    unchanged(model, before)


def unchanged(model, before):
    assert not any(module.training for module in model.modules())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(
        hooks
        for module in model.modules()
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    )


def test_hooks_go_where_the_head_fails():
    model = frozen()
    with pytest.raises(SettingsError, match="no branch wheels"):
        cam(model, FeatureMap(torch.rand(1, 512, 4, 4)), torch.ones(512), EmbeddingSettings(branches=("wheels",)))
    assert cam(model, FeatureMap(torch.rand(1, 512, 4, 4)), torch.ones(512), ONLY_G).shape == (1, 4, 4)


def test_feature_maps_made_in_inference_mode_will_do():
    model = frozen()
    with torch.inference_mode():
        feature_map = model.feature_map(tiny.images())
        reference = model.head(feature_map).embedding()
    for method in GRADIENTS:
        heatmap = cam(model, feature_map, reference, method=method)
        assert heatmap.shape == (2, 4, 4) and heatmap.dtype == np.float32 and heatmap.min() >= 0 < heatmap.max()


def test_a_model_in_training_is_refused():
    model = tiny.network()
    with pytest.raises(ValueError, match="eval mode"):
        similarity_cam(model, FeatureMap(torch.rand(1, 512, 4, 4)), torch.ones(1536))


def test_names_and_titles_come_from_the_table():
    assert map_names() == (*METHODS, "M_s", "F_attn", "F_G")
    assert [map_title(name) for name in ("grad-cam-cosine", "layer-cam", "F_attn", "centre")] == [
        "Grad-CAM of the cosine",
        "Layer-CAM",
        "|F_attn|",
        "centre",
    ]
    with pytest.raises(SettingsError, match="there is no CAM 'guess-cam'; choose one of grad-cam, .*, score-cam."):
        CamSettings("guess-cam")


def test_grad_cam_of_the_cosine_is_grad_cam_with_that_target(pooled):
    F_G, reference, _ = pooled
    row, target = (
        cam(frozen(), FeatureMap(F_G), reference, ONLY_G, method, target=target)
        for method, target in (("grad-cam-cosine", None), ("grad-cam", "cosine"))
    )
    np.testing.assert_array_equal(row, target)


def test_score_cam_needs_the_images():
    with pytest.raises(ValueError, match="masks the images"):
        cam(frozen(), FeatureMap(torch.rand(1, 512, 4, 4)), torch.ones(1536), method="score-cam")
    with pytest.raises(SettingsError, match="score_channels is 0; it must be at least 1."):
        CamSettings(score_channels=0)


def test_the_target_projects_on_the_reference_or_takes_the_cosine():
    reference, embedding = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0])
    assert SimilarityTarget(reference)(embedding).item() == pytest.approx(1 * 0.6 + 2 * 0.8)
    assert SimilarityTarget(reference, "cosine")(embedding).item() == pytest.approx(2.2 / 5**0.5)
