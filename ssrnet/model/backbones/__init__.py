"""The backbones to choose from. A new family is a file beside ``resnet.py`` and its names in ``BACKBONES``."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ssrnet.model.backbones.base import IMAGENET, Backbone, PixelStatistics, PublishedWeights, StridePosition
from ssrnet.model.backbones.resnet import ResNet

__all__ = [
    "BACKBONES",
    "IMAGENET",
    "Backbone",
    "BackboneName",
    "Choice",
    "PixelStatistics",
    "PublishedWeights",
    "StridePosition",
]


class Choice(NamedTuple):
    """A backbone's name in headings, and the family that builds it."""

    title: str
    family: type[Backbone]


BACKBONES: dict[str, Choice] = {
    "resnet18": Choice("ResNet-18", ResNet),
    "resnet34": Choice("ResNet-34", ResNet),
    "resnet50": Choice("ResNet-50", ResNet),
    "resnet101": Choice("ResNet-101", ResNet),
}

BackboneName = Literal[tuple(BACKBONES)]
"""For the command line, whose choices follow the table."""
