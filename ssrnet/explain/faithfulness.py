"""Faithfulness of a map: where its mass lies, and how the similarity changes without the pixels that it marks.

No measure here rates whether a map looks right. Part masks measure the map *and* the network; only deletion,
insertion, and pairs of photographs that differ in one known place measure the map alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

TOLERANCE = 1 / 16
"""Of the image's side, for the pointing game: one cell of a 16x16 F_G, the finest that a map can point."""
BLUR = 1 / 16
"""Standard deviation of the blur, of the image's side: one cell as well, which removes all detail within a cell."""
STEPS = 10


class PartShares(NamedTuple):
    """Shares by label: ``mass`` (L,) of the map, ``area`` (L,) of the image; each sums to 1."""

    mass: np.ndarray
    area: np.ndarray


class Pointing(NamedTuple):
    """``hit``: the map's maximum falls on the region; ``chance``: the share of the image where it would."""

    hit: bool
    chance: float


@dataclass(frozen=True)
class Curve:
    """``scores`` (S + 1,), cosines in [-1, 1], after 0, 1/S, ... 1 of the pixels were replaced."""

    scores: np.ndarray

    @property
    def auc(self) -> float:
        """The area under the curve over the share of pixels, by the trapezoidal rule: the mean score."""
        return float((self.scores[:-1] + self.scores[1:]).mean() / 2)


class Curves(NamedTuple):
    """The two curves of one map. For a faithful map ``deletion`` falls early (low area), ``insertion`` rises early."""

    deletion: Curve
    insertion: Curve

    @property
    def gain(self) -> float:
        """Insertion's area minus deletion's, in [-2, 2]; about 0 for a random order."""
        return self.insertion.auc - self.deletion.auc


def random_map(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A control: (H, W) uniform in [0, 1), independent from cell to cell."""
    return generator.random(shape, dtype=np.float32)


def centre_map(shape: tuple[int, int]) -> np.ndarray:
    """A control, since cameras aim at vehicles: (H, W) in (0, 1], a Gaussian of a quarter of each side."""
    rows, columns = (((np.arange(n) + 0.5) / n - 0.5) / 0.25 for n in shape)
    return np.exp(-(rows[:, None] ** 2 + columns[None, :] ** 2) / 2).astype(np.float32)


def normalised(heatmap: np.ndarray) -> np.ndarray:
    """(H, W) at least 0, divided by its sum; a map of zeros becomes uniform.

    Raises ValueError for negative values.
    """
    if heatmap.min() < 0:
        raise ValueError("a map of shares cannot have negative values")
    total = float(heatmap.sum(dtype=np.float64))
    return heatmap / total if total > 0 else np.full(heatmap.shape, 1 / heatmap.size)


def part_shares(heatmap: np.ndarray, mask: np.ndarray, parts: int) -> PartShares:
    """The share of a map's mass on each label of ``mask``, beside the label's share of the image.

    heatmap: (H, W) at least 0, at the mask's size. mask: (H, W) integers in [0, ``parts``). Chance is mass = area.
    """
    mass = np.bincount(mask.ravel(), weights=normalised(heatmap).ravel(), minlength=parts)
    return PartShares(mass, np.bincount(mask.ravel(), minlength=parts) / mask.size)


def region_share(heatmap: np.ndarray, region: np.ndarray) -> float:
    """The share of a map's mass on ``region``, (H, W) bool, in [0, 1]."""
    return float(normalised(heatmap)[region].sum())


def pointing_game(heatmap: np.ndarray, region: np.ndarray, tolerance: float = TOLERANCE) -> Pointing:
    """Whether the map's maximum lies on ``region`` (H, W) bool, within ``tolerance`` (Zhang et al., IJCV 2018).

    Distances are in units of the image's sides, so that a stretched photograph gives the same result. If several pixels
    are highest, the one nearest to their mean counts; a constant map has no maximum and misses. Raises ValueError for
    an empty region.
    """
    if not region.any():
        raise ValueError("the region is empty, so no map can point at it")
    height, width = region.shape
    near = ndimage.distance_transform_edt(~region, sampling=(1 / height, 1 / width)) <= tolerance
    chance = float(near.mean())
    if heatmap.max() == heatmap.min():
        return Pointing(False, chance)
    highest = np.argwhere(heatmap == heatmap.max())
    y, x = highest[((highest - highest.mean(0)) ** 2).sum(1).argmin()]
    return Pointing(bool(near[y, x]), chance)


def pixel_order(heatmap: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Positions (H * W,) of a map's pixels, highest first; equal ones by ``ties`` (H, W), highest first."""
    return np.lexsort((-ties.ravel(), -heatmap.ravel()))


def replaced(start: Tensor, other: Tensor, order: np.ndarray, steps: int) -> Tensor:
    """(steps + 1, 3, h, w): ``start`` with the first 0, 1/steps, ... 1 of ``order``'s pixels taken from ``other``."""
    count = len(order)
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    taken = np.array([round(count * step / steps) for step in range(steps + 1)])
    from_other = torch.from_numpy(rank[None] < taken[:, None]).view(steps + 1, 1, *start.shape[1:]).to(start.device)
    return torch.where(from_other, other, start)


def blurred(image: Tensor, sigma: float = BLUR) -> Tensor:
    """(3, h, w) after a Gaussian blur with a standard deviation of ``sigma`` of each side; the border is mirrored."""
    for axis in (1, 2):
        side = image.shape[axis]
        radius = min(int(3 * sigma * side) + 1, side - 1)
        x = torch.arange(-radius, radius + 1, device=image.device)
        kernel = torch.exp(-(x**2) / (2 * (sigma * side) ** 2))
        line = image.movedim(axis, 2)  # (3, other, side)
        padded = F.pad(line, (radius, radius), mode="reflect")
        line = F.conv1d(padded.flatten(0, 1)[:, None], (kernel / kernel.sum())[None, None])
        image = line.view(*padded.shape[:2], side).movedim(2, axis)
    return image


def deletion_insertion(
    embed: Callable[[Tensor], Tensor],
    image: Tensor,
    maps: Mapping[str, np.ndarray],
    reference: Tensor,
    ties: np.ndarray,
    steps: int = STEPS,
    batch_size: int = 16,
) -> dict[str, Curves]:
    """Deletion and insertion curves (Petsiuk et al., RISE, BMVC 2018) of several maps of one image, by the maps' names.

    embed: (n, 3, h, w) -> (n, D), the network. image: (3, h, w), normalised. maps: (h, w) each, at the image's
    size. The score is the cosine to ``reference`` (D,), held fixed. Deletion replaces the highest pixels first by
    ImageNet's mean colour, 0 in ``image``; insertion starts from the :func:`blurred` image and restores the highest
    pixels first: both as in RISE, with a wider blur. ``ties`` (h, w) orders the pixels where a map is flat.
    Costs 2 (steps - 1) forward passes a map, and 3.
    """
    empty, blur = torch.zeros_like(image), blurred(image)
    frames = [torch.stack([image, empty, blur])]
    for heatmap in maps.values():
        order = pixel_order(heatmap, ties)
        frames += [replaced(image, empty, order, steps)[1:-1], replaced(blur, image, order, steps)[1:-1]]
    with torch.no_grad():
        embeddings = torch.cat([embed(some) for some in torch.cat(frames).split(batch_size)])
    scores = F.cosine_similarity(embeddings, reference[None]).cpu().double().numpy()
    whole, deleted, hazy = scores[:3]
    inner = scores[3:].reshape(len(maps), 2, steps - 1)
    return {
        name: Curves(Curve(np.array([whole, *deletion, deleted])), Curve(np.array([hazy, *insertion, whole])))
        for name, (deletion, insertion) in zip(maps, inner, strict=True)
    }
