"""ResNet without its pooling and classifier (He et al., CVPR 2016), from torchvision."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ssrnet.errors import SettingsError
from ssrnet.model.backbones.base import Backbone, PublishedWeights, StridePosition


class ResNet(Backbone):
    """torchvision's ResNet-18 to 152; parameter names are torchvision's.

    ``last_stride`` 1 keeps layer4 at a sixteenth of the image (16x16 at 256x256), the reading that
    meets the paper's budget of 8.11 G multiply-adds (Table 7).

    ``stride_position`` says which convolution of a bottleneck halves the map: ``conv2`` is
    torchvision's ResNet (v1.5), ``conv1`` is He et al.'s v1. Weights trained with one do not fit
    the other, although every shape agrees. Basic blocks (resnet18/34) have it on conv1 in both.
    """

    stages = {
        "stem": ("conv1", "bn1", "relu", "maxpool"),
        "layer1": ("layer1",),
        "layer2": ("layer2",),
        "layer3": ("layer3",),
        "layer4": ("layer4",),
    }
    non_negative = True

    def __init__(self, name: str = "resnet50", last_stride: int = 1, stride_position: StridePosition = "conv2") -> None:
        super().__init__()
        full = torchvision_resnet(name, last_stride, stride_position)
        for modules in self.stages.values():
            for module in modules:
                setattr(self, module, getattr(full, module))
        self.name, self.channels, self.stride_position = name, full.fc.in_features, stride_position

    def published_weights(self) -> PublishedWeights:
        """torchvision's IMAGENET1K_V1, of the paper's time; trained with the stride on conv2."""
        if self.stride_position != "conv2":
            raise SettingsError(
                "torchvision's ImageNet weights were trained with the stride on conv2; set stride_position to conv2."
            )
        from torchvision.models import get_model_weights  # here, since it takes seconds that reading a file need not

        weights = get_model_weights(self.name)["IMAGENET1K_V1"]
        return PublishedWeights(f"torchvision {weights}", weights.get_state_dict(progress=False))

    def backbone_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}

    def warning(self, metadata: Mapping[str, str]) -> str:
        if "layer2-4[0].conv1" in metadata.get("architecture", "") and self.stride_position != "conv1":
            return "trained with the stride on conv1; this model has it on conv2"
        return ""

    @property
    def variant(self) -> str:
        return f"stride on {self.stride_position}"


def torchvision_resnet(name: str, last_stride: int, stride_position: StridePosition) -> nn.Module:
    """torchvision's network with random weights, pooling and classifier, but with these strides."""
    from torchvision.models import resnet as networks  # takes seconds, and settings and ranking need no network

    full = getattr(networks, name)(weights=None)
    bottleneck = isinstance(full.layer4[0], networks.Bottleneck)
    if last_stride == 1:
        _set_stride(full.layer4[0], "conv2" if bottleneck else "conv1", 1)
    if stride_position == "conv1" and bottleneck:
        for stage in (full.layer2, full.layer3, full.layer4):
            stride = stage[0].conv2.stride[0]
            stage[0].conv2.stride = (1, 1)
            stage[0].conv1.stride = (stride, stride)
    return full


def _set_stride(block: nn.Module, convolution: str, stride: int) -> None:
    getattr(block, convolution).stride = (stride, stride)
    block.downsample[0].stride = (stride, stride)
