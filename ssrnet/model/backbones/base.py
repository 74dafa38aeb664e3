"""What a backbone is: the CNN that computes the global feature map F_G (paper Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ssrnet.errors import SettingsError

StridePosition = Literal["conv1", "conv2"]


class PixelStatistics(NamedTuple):
    """Mean and standard deviation of red, green and blue in [0, 1], by which inputs are normalised."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = PixelStatistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Every image enters a network normalised by these; :mod:`ssrnet.data.transforms` does it."""


class PublishedWeights(NamedTuple):
    """Weights that others trained: ``tensors`` by their names, and where they come from."""

    title: str
    tensors: dict[str, Tensor]


class Backbone(nn.Module):
    """Base of all families. A family subclasses it in a file of its own and has a line for each name in ``BACKBONES``.

    Its constructor takes (name, last_stride, stride_position) and builds the layers with random weights; it raises
    :class:`SettingsError` for a stride that the family does not have. The attributes below say the rest.
    """

    channels: int
    """Of F_G."""
    stages: Mapping[str, tuple[str, ...]]
    """Names of the submodules that an image passes, in order, by stage; at least one."""
    non_negative: bool
    """Whether F_G ends in a ReLU, so that cosines of pooled features lie in [0, 1]."""
    statistics: PixelStatistics = IMAGENET
    """Of the images that published weights were trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen_stages = 0

    def published_weights(self) -> PublishedWeights:
        """Downloads the weights that `--backbone-weights imagenet` names.

        Raises :class:`SettingsError` where there are none for this backbone, OSError where the download fails.
        """
        raise SettingsError(f"{type(self).__name__} has no published weights; give a file, or `none`.")

    def backbone_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a published file that belong to this module, without the classifier, by this module's names."""
        return dict(tensors)

    def warning(self, metadata: Mapping[str, str]) -> str:
        """Why the weights of a file with this metadata do not suit this backbone; empty where they do."""
        return ""

    @property
    def variant(self) -> str:
        """What distinguishes this backbone from others of its name, for records; may be empty."""
        return ""

    def stage(self, name: str) -> list[nn.Module]:
        """The modules of one of ``stages``."""
        return [getattr(self, module) for module in self.stages[name]]

    def freeze(self, count: int) -> None:
        """Keeps the first ``count`` stages as they are: no gradient, fixed batch-norm statistics.

        Raises :class:`SettingsError` for more stages than there are.
        """
        if not 0 <= count <= len(self.stages):
            raise SettingsError(
                f"cannot freeze {count} stages; this backbone has {len(self.stages)} ({', '.join(self.stages)})."
            )
        self.frozen_stages = count
        for module in self._frozen_modules():
            module.requires_grad_(False)
        self.train(self.training)

    def _frozen_modules(self) -> list[nn.Module]:
        return [module for name in list(self.stages)[: self.frozen_stages] for module in self.stage(name)]

    def train(self, mode: bool = True) -> Backbone:
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, h, w) images, normalised by :data:`IMAGENET` -> F_G, (B, C, H, W)."""
        if self.statistics != IMAGENET:
            pixels = x * x.new_tensor(IMAGENET.std).view(3, 1, 1) + x.new_tensor(IMAGENET.mean).view(3, 1, 1)
            mean, std = (x.new_tensor(values).view(3, 1, 1) for values in self.statistics)
            x = (pixels - mean) / std
        for number, name in enumerate(self.stages):
            # A frozen stage keeps no graph, unless the image itself needs its gradient.
            frozen = number < self.frozen_stages and not x.requires_grad
            with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
                for module in self.stage(name):
                    x = module(x)
        return x
