"""The backbones to choose from. A new family is a file beside ``resnet.py`` and its names in ``BACKBONES``."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ssrnet.model.backbones.base import IMAGENET, Backbone, PixelStatistics, PublishedWeights, StridePosition
from ssrnet.model.backbones.resnet import ResNet

__all__ = [
    "BACKBONES",
    "IMAGENET",
    "Architecture",
    "Backbone",
    "BackboneName",
    "PixelStatistics",
    "PublishedWeights",
    "StridePosition",
]


class Architecture(NamedTuple):
    """A backbone's name in headings, and the family that builds it."""

    title: str
    family: type[Backbone]


BACKBONES: dict[str, Architecture] = {
    "resnet18": Architecture("ResNet-18", ResNet),
    "resnet34": Architecture("ResNet-34", ResNet),
    "resnet50": Architecture("ResNet-50", ResNet),
    "resnet101": Architecture("ResNet-101", ResNet),
}

BackboneName = Literal[tuple(BACKBONES)]
"""For the command line, whose choices follow the table."""
