"""Pixels to tensors: resizing and normalising, and the augmentation of training images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import InterpolationMode, v2

from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError, SettingsError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class AugmentSettings:
    """Augmentation of training images. The paper says "random flipping and cropping" (Sec. 4.2)."""

    flip: float = 0.5
    """Probability of a horizontal flip."""
    pad: int = 10
    """Pixels of black padding on each side before a random crop back to size; 0 for no crop."""
    erase: float = 0.0
    """Probability of random erasing (Zhong et al., AAAI 2020); not in the paper."""
    colour: float = 0.0
    """Strength of brightness, contrast and saturation jitter, 0 to 1; not in the paper."""

    def __post_init__(self) -> None:
        for name in ("flip", "erase", "colour"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"augment.{name} is {getattr(self, name):g}; it must lie in [0, 1].")
        if self.pad < 0:
            raise SettingsError(f"augment.pad is {self.pad}; it must be at least 0.")


def test_transform(size: int) -> Callable[[Image.Image], Tensor]:
    """PIL RGB image -> (3, size, size) float32, stretched to a square (paper: 256x256) and normalised."""
    return v2.Compose([v2.ToImage(), _resize(size), *_normalise()])


def train_transform(size: int, augment: AugmentSettings = AugmentSettings()) -> Callable[[Image.Image], Tensor]:
    """As :func:`test_transform`, with random flip, padded crop, colour and erasing."""
    steps: list[v2.Transform] = [v2.ToImage(), _resize(size), v2.RandomHorizontalFlip(augment.flip)]
    if augment.pad:
        steps += [v2.Pad(augment.pad), v2.RandomCrop(size)]
    if augment.colour:
        steps.append(v2.ColorJitter(augment.colour, augment.colour, augment.colour))
    steps += _normalise()
    if augment.erase:
        steps.append(v2.RandomErasing(augment.erase, scale=(0.02, 0.4), value=0))
    return v2.Compose(steps)


def _resize(size: int) -> v2.Transform:
    return v2.Resize((size, size), interpolation=InterpolationMode.BILINEAR, antialias=True)


def _normalise() -> list[v2.Transform]:
    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD), v2.ToPureTensor()]


class ImageTensors(Dataset):
    """Images as (tensor (3, size, size), position in the list); what a DataLoader reads."""

    def __init__(self, images: Sequence[VehicleImage], transform: Callable[[Image.Image], Tensor]) -> None:
        self.images = images
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(read_image(self.images[index].path)), index


def read_batches(loader: DataLoader) -> Iterator[list[Tensor]]:
    """The batches of a loader of :class:`ImageTensors`; a bad image's :class:`DataError` is one sentence from anywhere.

    A worker process can only send text, so PyTorch raises the error anew with the worker's traceback as message.
    """
    try:
        yield from loader
    except DataError as error:
        marker = f"{DataError.__module__}.{DataError.__name__}: "
        raise DataError(str(error).rpartition(marker)[2].strip()) from error
