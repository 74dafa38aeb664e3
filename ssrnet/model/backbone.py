"""The ResNet that computes the global feature map F_G (paper Sec. 3.2)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ssrnet.errors import SettingsError

BackboneName = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
StridePosition = Literal["conv1", "conv2"]


class Backbone(nn.Module):
    """torchvision's ResNet without its pooling and classifier; parameter names are torchvision's.

    ``last_stride`` 1 keeps layer4 at a sixteenth of the image (16x16 at 256x256), the reading that
    meets the paper's budget of 8.11 G multiply-adds (Table 7).

    ``stride_position`` says which convolution of a bottleneck halves the map: ``conv2`` is
    torchvision's ResNet (v1.5), ``conv1`` is He et al.'s v1. Weights trained with one do not fit
    the other, although every shape agrees. Basic blocks (resnet18/34) have it on conv1 in both.
    """

    def __init__(
        self, name: BackboneName = "resnet50", last_stride: int = 1, stride_position: StridePosition = "conv2"
    ) -> None:
        super().__init__()
        full = resnet(name, last_stride, stride_position)
        self.conv1, self.bn1, self.relu, self.maxpool = full.conv1, full.bn1, full.relu, full.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = full.layer1, full.layer2, full.layer3, full.layer4
        self.channels: int = full.fc.in_features
        self.frozen_stages = 0

    def freeze(self, stages: int) -> None:
        """Keep the first stages (stem, layer1 ... layer4) as they are: no gradient, fixed batch-norm statistics."""
        if not 0 <= stages <= 5:
            raise SettingsError(f"cannot freeze {stages} stages; a ResNet has 5 (stem, layer1 to layer4).")
        self.frozen_stages = stages
        for module in self._frozen_modules():
            module.requires_grad_(False)
        self.train(self.training)

    def _frozen_modules(self) -> list[nn.Module]:
        stages = ([self.conv1, self.bn1], [self.layer1], [self.layer2], [self.layer3], [self.layer4])
        return [module for stage in stages[: self.frozen_stages] for module in stage]

    def train(self, mode: bool = True) -> Backbone:
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def _stem(self, x: Tensor) -> Tensor:
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, h, w) normalised images -> F_G, (B, C, ceil(h/16), ceil(w/16)) at last stride 1."""
        stages = (self._stem, self.layer1, self.layer2, self.layer3, self.layer4)
        for number, stage in enumerate(stages):
            # A frozen stage keeps no graph, unless the image itself asks for its gradient.
            frozen = number < self.frozen_stages and not x.requires_grad
            with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
                x = stage(x)
        return x


def resnet(name: BackboneName, last_stride: int, stride_position: StridePosition) -> nn.Module:
    """torchvision's network with random weights, pooling and classifier, but with these strides.

    Raises :class:`SettingsError` for a ``last_stride`` other than 1 and 2.
    """
    from torchvision.models import resnet as networks  # takes seconds, and settings and ranking need no network

    if last_stride not in (1, 2):
        raise SettingsError(f"last_stride is {last_stride}; the last stage of a ResNet has stride 1 or 2.")
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


def set_padding(module: nn.Module, padding: Literal["zeros", "replicate", "reflect"]) -> None:
    """Makes every padded convolution in ``module`` see ``padding`` beyond the border of its map, in place.

    Strided convolutions of an even input apply zeros at the top and left alone, so that training can turn the
    upper left corner into a constant (Alsallakh et al., "Mind the Pad", ICLR 2021).
    """
    for convolution in module.modules():
        if isinstance(convolution, nn.Conv2d) and any(convolution.padding):
            convolution.padding_mode = padding


def _set_stride(block: nn.Module, convolution: str, stride: int) -> None:
    getattr(block, convolution).stride = (stride, stride)
    block.downsample[0].stride = (stride, stride)
