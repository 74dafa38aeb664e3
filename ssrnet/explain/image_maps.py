"""Maps of single images on the cells of F_G, which can be resized to the image, with the numbers shown beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ssrnet.data.images import read_image
from ssrnet.data.parts import folder_of, part_names, read_mask
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.explain.attention import NETWORK_MAPS, in_image, strongest_channels
from ssrnet.explain.cam import CamSettings, similarity_cam
from ssrnet.model import EmbeddingSettings, FeatureMap, SSRNet, Trace


@dataclass(frozen=True)
class ImageMap:
    """``cells`` (H, W) on F_G, at least 0, with the spatial transformer's ``theta`` (1, 2, 3) where there is one."""

    cells: np.ndarray
    theta: Tensor | None

    def at(self, size: int | tuple[int, int]) -> np.ndarray:
        """The map at the image's size: (side, side) or (height, width)."""
        return in_image(self.cells, size, self.theta)


@dataclass(frozen=True)
class SimilarityMap:
    """A CAM of an image's similarity to its reference, and the ``similarity``, a cosine."""

    map: ImageMap
    similarity: float


@dataclass(frozen=True)
class ChannelMap:
    """One channel of F_G: its number, its weight M_c in (0, 1), and its map of F_c = M_c(F_G) * F_G."""

    number: int
    weight: float
    map: ImageMap


def network_map(trace: Trace, name: str) -> ImageMap | None:
    """A map of :data:`NETWORK_MAPS` from the trace of one image; None where the network does not compute it."""
    cells = NETWORK_MAPS[name].function(trace)
    return None if cells is None else ImageMap(cells[0], trace.theta)


def channel_maps(trace: Trace, count: int) -> list[ChannelMap]:
    """The ``count`` channels with the largest M_c, from the trace of one image; empty without channel attention."""
    strongest = strongest_channels(trace, count)
    if strongest is None:
        return []
    return [
        ChannelMap(int(number), float(weight), ImageMap(cells, trace.theta))
        for number, weight, cells in zip(strongest.channels[0], strongest.weights[0], strongest.maps[0])
    ]


def similarity_maps(
    model: SSRNet,
    feature_map: FeatureMap,
    embeddings: Tensor,
    references: Tensor,
    embedding: EmbeddingSettings = EmbeddingSettings(),
    settings: CamSettings = CamSettings(),
    images: Tensor | None = None,
) -> list[SimilarityMap]:
    """Each of B images explained by its similarity to its reference.

    embeddings: (B, D) of the images, made with ``embedding``. The other arguments and the errors are those of
    :func:`similarity_cam`.
    """
    cells = similarity_cam(model, feature_map, references, embedding, settings, images)
    cosines = torch.nn.functional.cosine_similarity(embeddings, references).tolist()
    thetas = [None] * len(cells) if feature_map.theta is None else feature_map.theta.split(1)
    return [SimilarityMap(ImageMap(*one), cosine) for *one, cosine in zip(cells, thetas, cosines, strict=True)]


def mass_by_part(
    dataset: ReIDDataset, images: Sequence[VehicleImage], maps: Sequence[ImageMap]
) -> tuple[dict[str, float], dict[str, float]]:
    """By vehicle part in the images' masks: the mean share of the maps' mass, and the mean share of the image.

    Every image must have a mask. Raises as :func:`read_mask`.
    """
    from ssrnet.explain.faithfulness import part_shares  # imports scipy's image module

    folder = folder_of(dataset)
    names = part_names(folder) or ()
    shares = []
    for image, one in zip(images, maps, strict=True):
        width, height = read_image(image.path).size
        mask = read_mask(folder / str(image.attributes["mask"]), (height, width), len(names))
        shares.append(part_shares(one.at((height, width)), mask, len(names)))
    mass, area = (np.mean([getattr(each, name) for each in shares], axis=0) for name in ("mass", "area"))
    shown = [i for i in range(len(names)) if area[i] > 0]
    return {names[i]: float(mass[i]) for i in shown}, {names[i]: float(area[i]) for i in shown}
