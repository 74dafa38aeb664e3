"""A second family of backbones, made here and registered in one place, through all that meets a backbone."""

import pytest
import torch
from torch import nn

from ssrnet.data import transforms
from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.errors import SettingsError
from ssrnet.explain.cam import similarity_cam
from ssrnet.explain.sanity import cascade
from ssrnet.model import BACKBONES, ModelSettings, SSRNet
from ssrnet.model.backbones import IMAGENET, Architecture, Backbone, PixelStatistics
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.extraction import ExtractSettings, extract
from ssrnet.train import train
from ssrnet.training.checkpoint import load_backbone, load_checkpoint
from tests import tiny


class Toy(Backbone):
    """Two stages, signed features, weights for pixels in [-1, 1]."""

    channels = 32
    stages = {"stem": ("conv", "norm"), "body": ("body",)}
    non_negative = False
    statistics = PixelStatistics((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    def __init__(self, name, last_stride, stride_position):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, stride=4, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.body = nn.Sequential(nn.SiLU(), nn.Conv2d(16, self.channels, 3, stride=2 * last_stride, padding=1))


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(BACKBONES, "toy", Architecture("Toy", Toy))


def test_it_trains_evaluates_and_is_explained(city, tmp_path):
    settings = tiny.training(city, tmp_path / "run", model=ModelSettings("toy"), max_steps=2, holdout=2)
    torch.manual_seed(settings.seed)
    start = SSRNet(settings.model, 4).state_dict()
    checkpoint = load_checkpoint(train(settings))
    model, dataset = checkpoint.model, open_dataset(city)
    end = model.state_dict()
    assert isinstance(model.backbone, Toy) and model.settings.backbone == "toy"
    assert torch.equal(end["backbone.conv.weight"], start["backbone.conv.weight"])  # frozen_stages is 1
    assert not torch.equal(end["backbone.body.1.weight"], start["backbone.body.1.weight"])

    features = extract(model, dataset.test, ExtractSettings(), 32, torch.device("cpu"))
    metrics = evaluate(features, dataset, Protocol("cross_camera"), made_by={}, top_k=1).metrics
    assert metrics.queries == 4 and 0 < metrics.mAP <= 1

    with torch.no_grad():
        cached = model.feature_map(tiny.images(2, 32))
        embedding = model.head(cached).embedding()
    assert cached.F_G.shape == (2, 32, 4, 4) and cached.F_G.min() < 0
    maps = similarity_cam(model, cached, embedding[0])
    assert maps.shape == (2, 4, 4) and maps.min() >= 0 and maps.max() > 0
    assert [name for name, _ in cascade(model)] == ["heads", "attention", "body", "stem"]


def test_its_images_are_normalised_by_its_statistics():
    assert IMAGENET == (transforms.IMAGENET_MEAN, transforms.IMAGENET_STD)
    pixels = torch.rand(1, 3, 32, 32)
    backbone = Toy("toy", 1, "conv2").eval()
    with torch.no_grad():
        expected = backbone.body(backbone.norm(backbone.conv(2 * pixels - 1)))
        assert torch.allclose(backbone(transforms.normalise(pixels)), expected, atol=1e-5)


def test_its_stages_are_named_where_too_many_are_to_be_frozen():
    with pytest.raises(SettingsError, match=r"cannot freeze 3 stages; this backbone has 2 \(stem, body\)"):
        SSRNet(ModelSettings("toy")).backbone.freeze(3)


def test_without_published_weights():
    with pytest.raises(SettingsError, match="Toy has no published weights; give a file, or `none`"):
        load_backbone(SSRNet(ModelSettings("toy")), "imagenet")
