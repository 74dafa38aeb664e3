import pytest
import torch
from torchvision.models import resnet18, resnet50

from ssrnet.errors import SettingsError
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.model.backbones.resnet import ResNet
from tests import tiny


@pytest.mark.parametrize(
    ("name", "channels"), [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048), ("resnet101", 2048)]
)
@pytest.mark.parametrize("position", ["conv1", "conv2"])
def test_every_backbone_gives_a_sixteenth_of_the_image(name, channels, position):
    with torch.device("meta"):
        F_G = ResNet(name, stride_position=position)(torch.zeros(1, 3, 64, 96))
    assert F_G.shape == (1, channels, 4, 6)


@pytest.mark.parametrize("last_stride", [1, 2])
@pytest.mark.parametrize(("position", "other"), [("conv1", "conv2"), ("conv2", "conv1")])
def test_the_stride_sits_on_the_convolution_that_was_asked_for(position, other, last_stride):
    with torch.device("meta"):
        backbone = ResNet("resnet50", last_stride, position)
    strides = {"layer2": 2, "layer3": 2, "layer4": last_stride}
    for stage, stride in strides.items():
        block = getattr(backbone, stage)[0]
        assert getattr(block, position).stride == (stride, stride)
        assert getattr(block, other).stride == (1, 1)
        assert block.downsample[0].stride == (stride, stride)


def test_the_stride_position_matters_to_the_same_weights():
    torch.manual_seed(0)
    first, second = ResNet("resnet50", stride_position="conv1").eval(), ResNet("resnet50").eval()
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        a, b = first(tiny.images(1, 32)), second(tiny.images(1, 32))
    assert a.shape == b.shape and not torch.allclose(a, b, rtol=0.1)


@pytest.mark.parametrize(("name", "original"), [("resnet18", resnet18), ("resnet50", resnet50)])
def test_with_last_stride_2_it_is_torchvisions_network(name, original):
    torch.manual_seed(0)
    theirs = original(weights=None).eval()
    ours = ResNet(name, last_stride=2).eval()
    assert {k for k in theirs.state_dict() if not k.startswith("fc.")} == set(ours.state_dict())
    ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")})
    with torch.no_grad():
        x = tiny.images(1, 32)
        pooled = theirs.fc(ours(x).mean((2, 3)))
        assert torch.allclose(pooled, theirs(x), rtol=1e-4, atol=1e-5)


def test_frozen_stages_get_no_gradient_and_keep_their_statistics():
    backbone = ResNet("resnet18")
    backbone.freeze(3)
    backbone.train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    backbone(tiny.images(4, 32)).square().mean().backward()
    after = backbone.state_dict()
    frozen = ("conv1", "bn1", "layer1", "layer2")
    for name, parameter in backbone.named_parameters():
        assert (parameter.grad is None) == name.startswith(frozen), name
        assert parameter.requires_grad != name.startswith(frozen), name
    for name in (name for name in after if "running" in name or "num_batches" in name):
        assert torch.equal(before[name], after[name]) == name.startswith(frozen), name


def test_freezing_survives_a_switch_to_evaluation_and_back():
    backbone = ResNet("resnet18")
    backbone.freeze(2)
    backbone.eval()
    backbone.train()
    assert not backbone.layer1.training and backbone.layer2.training


def test_a_frozen_backbone_still_lets_the_image_have_its_gradient():
    backbone = ResNet("resnet18").eval()
    backbone.freeze(5)
    x = tiny.images(1, 32).requires_grad_()
    backbone(x).sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("stages", [-1, 6])
def test_stages_that_there_are_not_cannot_be_frozen(stages):
    with pytest.raises(SettingsError, match=f"cannot freeze {stages} stages; this backbone has 5 .stem, layer1, "):
        ResNet("resnet18").freeze(stages)


def test_a_last_stride_that_there_is_not():
    with pytest.raises(SettingsError, match="last_stride is 3; .* stride 1 or 2"):
        ModelSettings(last_stride=3)


def border_length(padding: str, image: torch.Tensor) -> torch.Tensor:
    """|F_G| of a network with random weights at each cell, (H, W)."""
    torch.manual_seed(0)
    model = SSRNet(ModelSettings(backbone="resnet18", padding=padding)).eval()
    with torch.no_grad():
        return model.feature_map(image).F_G.norm(dim=1)[0]


@pytest.mark.parametrize("padding", ["replicate", "reflect"])
def test_only_zero_padding_tells_the_border_of_an_even_image(padding):
    image = torch.full((1, 3, 128, 128), 1.5)
    length = border_length(padding, image)
    assert torch.allclose(length, length.mean().expand_as(length), rtol=1e-4)
    zeros = border_length("zeros", image)
    assert zeros.std() > 0.05 * zeros.mean()


def test_padding_reaches_every_padded_convolution_and_no_parameter():
    models = {name: SSRNet(ModelSettings(backbone="resnet18", padding=name)) for name in ("zeros", "replicate")}
    for name, model in models.items():
        padded = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d) and any(m.padding)]
        assert model.attention.spatial in padded and model.backbone.conv1 in padded
        assert all(module.padding_mode == name for module in padded)
    shapes = [{key: value.shape for key, value in model.state_dict().items()} for model in models.values()]
    assert shapes[0] == shapes[1]


def test_a_padding_that_there_is_not():
    with pytest.raises(SettingsError, match="padding is 'circular'; choose one of zeros, replicate, reflect"):
        ModelSettings(padding="circular")
