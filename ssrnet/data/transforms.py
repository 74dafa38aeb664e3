"""Pixels to tensors: resizing and normalising, and reading images with several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import InterpolationMode, v2

from ssrnet.data.damaged import find_damaged
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DamagedImagesError, DataError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def test_transform(size: int) -> Callable[[Image.Image], Tensor]:
    """PIL RGB image -> (3, size, size) float32, stretched to a square (paper: 256x256) and normalised."""
    return v2.Compose([*_square(size), v2.ToDtype(torch.float32, scale=True), normalise])


def pixel_transform(size: int) -> Callable[[Image.Image], Tensor]:
    """PIL RGB image -> (size, size, 3) uint8, stretched to a square: the input of augmentation and extraction."""
    return v2.Compose([*_square(size), _channels_last])


def to_input(pixels: Tensor) -> Tensor:
    """(B, S, S, 3) uint8 of :func:`pixel_transform` -> (B, 3, S, S) float32, bit for bit as :func:`test_transform`'s.

    The result is channels last, as the kernels are. As uint8 a worker process sends a quarter of the bytes.
    """
    return normalise(v2.functional.to_dtype(pixels.permute(0, 3, 1, 2), torch.float32, scale=True))


def normalise(images: Tensor) -> Tensor:
    """(..., 3, H, W) in [0, 1] -> minus ImageNet's mean, divided by its standard deviation."""
    mean, std = (images.new_tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images - mean) / std


def _square(size: int) -> list[v2.Transform]:
    resize = v2.Resize((size, size), interpolation=InterpolationMode.BILINEAR, antialias=True)
    return [v2.ToImage(), resize, v2.ToPureTensor()]


def _channels_last(image: Tensor) -> Tensor:
    return image.permute(1, 2, 0).contiguous()


class ImageTensors(Dataset):
    """Images as pairs (transformed image, position in the list), for a DataLoader."""

    def __init__(self, images: Sequence[VehicleImage], transform: Callable[[Image.Image], Tensor]) -> None:
        self.images = images
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index].read()), index


def read_batches(loader: DataLoader, among: Sequence[VehicleImage] | None = None) -> Iterator[list[Tensor]]:
    """The batches of a loader of :class:`ImageTensors`.

    Raises :class:`DamagedImagesError` where an image cannot be read, after looking at all images ``among``, by default
    those of the loader, so that it names all that are bad.
    """
    batches = iter(loader)
    try:
        yield from batches
        return
    except DataError as error:
        # PyTorch raises errors of a worker process again with the worker's traceback in the message.
        marker = f"{DataError.__module__}.{DataError.__name__}: "
        sentence = str(error).rpartition(marker)[2].strip()
        # The traceback holds the worker processes, and the garbage collector would wait five seconds for each.
        error.__traceback__ = None
    del batches
    among = loader.dataset.images if among is None else among
    raise DamagedImagesError(list(find_damaged(among).values()) or [sentence])
