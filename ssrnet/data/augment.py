"""Augmentation of training images, a batch at once and on the device that trains.

The draws are made on the CPU from (seed, epoch, step) alone, for the whole batch: a resumed run, another device or
another number of processes sees the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ssrnet.data.transforms import normalise
from ssrnet.errors import SettingsError

GREY_WEIGHTS = (0.2989, 0.587, 0.114)
ERASED_AREA = (0.02, 0.4)
ERASED_ASPECT = (0.3, 3.3)
ERASE_ATTEMPTS = 10
"""Zhong et al.'s values, which torchvision's RandomErasing has as well."""

GAIN, GAMMA, GREY, FEW_PIXELS, NOISE = 0.5, 0.5, 0.15, 0.32, 0.3
"""Probability of each step of ``wild`` for an image."""
GAINS, GAMMAS, PIXEL_SHARES, NOISE_LEVEL = (0.88, 1.12), (0.65, 1.55), (0.22, 0.33, 0.5), 0.04
"""Their ranges: the gain of each colour channel (more would repaint the vehicle), gamma, the shares of a side's pixels
that a small camera has, and the largest standard deviation of the noise, in [0, 1]."""

BRIGHTNESS, CONTRAST, SATURATION = range(3)


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
    wild: bool = False
    """Imitate other cameras: white balance, gamma, no colour, few pixels, noise; not in the paper."""

    def __post_init__(self) -> None:
        for name in ("flip", "erase", "colour"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"augment.{name} is {getattr(self, name):g}; it must lie in [0, 1].")
        if self.pad < 0:
            raise SettingsError(f"augment.pad is {self.pad}; it must be at least 0.")


class Draws(NamedTuple):
    """The random draws for B images of ``size`` pixels a side, one row each.

    flip (B,) bool. offset (B, 2): top and left edge of the crop in the padded image, in pixels.
    colour_order (B, 3): the order of brightness, contrast and saturation. colour_factor (B, 3): their
    strengths, 1 for no change. erased (B, 4): top, left, bottom, right in pixels, empty for none.
    gain (B, 3) and gamma (B,): 1 for no change. grey (B,) bool. side (B,): pixels a side that are left,
    ``size`` for all. noise (B,): its standard deviation. noise_offset (B, 2): where its pattern starts.
    """

    flip: Tensor
    offset: Tensor
    colour_order: Tensor
    colour_factor: Tensor
    erased: Tensor
    gain: Tensor
    gamma: Tensor
    grey: Tensor
    side: Tensor
    noise: Tensor
    noise_offset: Tensor

    def share(self, part: slice) -> Draws:
        """The draws of some of the images."""
        return Draws(*(values[part] for values in self))

    def to(self, device: torch.device) -> Draws:
        return Draws(*(values.to(device, non_blocking=True) for values in self))


def draw(count: int, size: int, settings: AugmentSettings, seed: int, epoch: int, step: int) -> Draws:
    """The draws of one batch; ``step`` counts from 0 within the epoch."""
    # The last number keeps this stream apart from the sampler's: NumPy pads seeds with zeros.
    generator = np.random.Generator(np.random.PCG64([seed, epoch, step, 1]))
    flip = generator.random(count) < settings.flip
    offset = generator.integers(0, 2 * settings.pad + 1, (count, 2))
    order = generator.permuted(np.tile(np.arange(3), (count, 1)), axis=1)
    factor = generator.uniform(1 - settings.colour, 1 + settings.colour, (count, 3)).astype(np.float32)
    erased = _draw_erased(count, size, settings.erase, generator)
    wild = _draw_wild(count, size, generator)
    return Draws(*(torch.from_numpy(values) for values in (flip, offset, order, factor, erased, *wild)))


def _draw_wild(count: int, size: int, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """gain, gamma, grey, side, noise and noise_offset of :class:`Draws`; drawn last, so that no other draw changes."""

    def happens(probability: float) -> np.ndarray:
        return generator.random(count) < probability

    gain = np.where(happens(GAIN)[:, None], generator.uniform(*GAINS, (count, 3)), 1).astype(np.float32)
    gamma = np.where(happens(GAMMA), generator.uniform(*GAMMAS, count), 1).astype(np.float32)
    grey = happens(GREY)
    shares = generator.choice(PIXEL_SHARES, count)
    side = np.where(happens(FEW_PIXELS), np.maximum(8, np.floor(size * shares)), size).astype(np.int64)
    noise = np.where(happens(NOISE), generator.uniform(0, NOISE_LEVEL, count), 0).astype(np.float32)
    return gain, gamma, grey, side, noise, generator.integers(0, size, (count, 2))


def _draw_erased(count: int, size: int, probability: float, generator: np.random.Generator) -> np.ndarray:
    """(count, 4) boxes: the first of ten candidates that fits in the image, as torchvision draws them."""
    shape = (count, ERASE_ATTEMPTS)
    chosen = generator.random(count) < probability
    area = size * size * generator.uniform(*ERASED_AREA, shape)
    aspect = np.exp(generator.uniform(*np.log(ERASED_ASPECT), shape))
    sides = np.stack([np.sqrt(area * aspect), np.sqrt(area / aspect)], axis=-1).round().astype(np.int64)
    corner = np.floor(generator.random((*shape, 2)) * (size - sides + 1)).astype(np.int64)
    fits = (sides < size).all(-1)
    first = fits.argmax(1)[:, None, None]
    sides, corner = (np.take_along_axis(values, first, axis=1)[:, 0] for values in (sides, corner))
    boxes = np.concatenate([corner, corner + sides], axis=1)
    return np.where((chosen & fits.any(1))[:, None], boxes, 0)


def augment(pixels: Tensor, settings: AugmentSettings, draws: Draws) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) float32, normalised, in channels-last memory, on the same device.

    Flip, crop from black padding, colour, other cameras, then a box set to 0 (the mean colour), in that order.
    The colour steps follow torchvision's definitions without its rounding to whole grey values in between.
    """
    sides = draws.side.tolist()  # before they are on a device that would have to be waited for
    draws = draws.to(pixels.device)
    images = flip_and_crop(pixels, settings.pad, draws.flip, draws.offset).float() / 255
    if settings.colour:
        images = jitter(images, draws.colour_order, draws.colour_factor)
    if settings.wild:
        images = other_cameras(images, draws, sides)
    images = normalise(images)
    if settings.erase:
        images = erase(images, draws.erased)
    return images


def flip_and_crop(pixels: Tensor, pad: int, flip: Tensor, offset: Tensor) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) uint8 in channels-last memory; one gather does both."""
    size = pixels.shape[1]
    padded = torch.nn.functional.pad(pixels, (0, 0, pad, pad, pad, pad))  # (B, S + 2 pad, S + 2 pad, 3)
    edge = torch.arange(size, device=pixels.device)
    rows = offset[:, :1] + edge  # (B, S)
    columns = offset[:, 1:] + edge
    # The padding is the same on both sides, so a column of the flipped image is its mirror image here.
    columns = torch.where(flip[:, None], size + 2 * pad - 1 - columns, columns)
    batch = torch.arange(len(pixels), device=pixels.device)
    return padded[batch[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def jitter(images: Tensor, order: Tensor, factor: Tensor) -> Tensor:
    """(B, 3, S, S) in [0, 1]: each image's brightness, contrast and saturation by its factors, in its order.

    All three mix the image with a plainer one: black, its mean grey, or its grey version.
    """
    weights = images.new_tensor(GREY_WEIGHTS).view(1, 3, 1, 1)
    for position in range(3):
        step = order[:, position, None, None, None]  # (B, 1, 1, 1)
        strength = factor.gather(1, order[:, position, None])[..., None, None]
        grey = (images * weights).sum(1, keepdim=True)
        plain = torch.where(step == SATURATION, grey, grey.mean((2, 3), keepdim=True))
        plain = torch.where(step == BRIGHTNESS, torch.zeros_like(plain), plain)
        images = (strength * images + (1 - strength) * plain).clamp(0, 1)
    return images


def other_cameras(images: Tensor, draws: Draws, sides: Sequence[int]) -> Tensor:
    """(B, 3, S, S) in [0, 1]: each image by its gain, gamma, grey, ``sides`` (pixels) and noise, in that order."""
    size = images.shape[-1]
    images = (images * draws.gain[:, :, None, None]).clamp(1e-4, 1) ** draws.gamma[:, None, None, None]
    grey = (images * images.new_tensor(GREY_WEIGHTS).view(1, 3, 1, 1)).sum(1, keepdim=True)
    images = torch.where(draws.grey[:, None, None, None], grey, images)
    for side in sorted(set(sides) - {size}):
        rows = torch.tensor([row for row, s in enumerate(sides) if s == side], device=images.device)
        small = interpolate(images[rows], size=side, mode="bilinear", antialias=True, align_corners=False)
        large = interpolate(small, size=size, mode="bilinear", align_corners=False)
        images = images.index_copy(0, rows, large.contiguous(memory_format=torch.channels_last))
    edge = torch.arange(size, device=images.device)
    rows, columns = ((draws.noise_offset[:, axis, None] + edge) % size for axis in range(2))  # (B, S)
    pattern = _noise_pattern(size).to(images.device)[rows[:, :, None], columns[:, None, :]]  # (B, S, S, 3)
    return (images + draws.noise[:, None, None, None] * pattern.permute(0, 3, 1, 2)).clamp(0, 1)


@lru_cache(maxsize=4)
def _noise_pattern(size: int) -> Tensor:
    """(S, S, 3) from N(0, 1), the same on every device; each image takes it from another offset."""
    values = np.random.Generator(np.random.PCG64(0)).standard_normal((size, size, 3), dtype=np.float32)
    return torch.from_numpy(values)


def erase(images: Tensor, boxes: Tensor) -> Tensor:
    """(B, 3, S, S) with each image's box of ``boxes`` (B, 4) set to 0."""
    edge = torch.arange(images.shape[-1], device=images.device)
    top, left, bottom, right = boxes[:, :, None].unbind(1)  # (B, 1) each
    rows, columns = (top <= edge) & (edge < bottom), (left <= edge) & (edge < right)  # (B, S)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)
