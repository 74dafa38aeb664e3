"""A network's maps by the names of ``--methods``, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.data.transforms import test_transform
from ssrnet.explain.attention import NETWORK_MAPS
from ssrnet.explain.cam import CAMS, WHOLE, CamSettings, each_branch, similarity_cam
from ssrnet.model import EmbeddingSettings, FeatureMap, SSRNet
from ssrnet.studies.settings import ExplanationSettings

BRANCHES_BY = "hires-cam"
"""The CAM that explains each branch alone: its map stays within the places that a branch sees."""
CAM_COST = 0.5
"""In forward passes: a pass through the head and back."""


class Encoded(NamedTuple):
    """One photograph as the network's input (1, 3, h, w), its F_G, and its embedding (1, D)."""

    pixels: Tensor
    feature_map: FeatureMap
    embedding: Tensor


class Network:
    """A network with its image size, which computes maps by the names of ``--methods``."""

    def __init__(self, model: SSRNet, image_size: int, settings: ExplanationSettings, device: torch.device) -> None:
        self.model = model.eval().requires_grad_(False).to(device)
        self.settings = settings
        self.device = device
        self.size = settings.image_size or image_size
        self.transform = test_transform(self.size)

    @property
    def branches(self) -> dict[str, EmbeddingSettings]:
        """Embedding settings of each branch alone."""
        return {name: alone for name, alone in each_branch(self.model).items() if name != WHOLE}

    def methods(self, with_slow: bool) -> list[str]:
        """The maps of ``--methods`` that this network has, in that order; masking CAMs only ``with_slow``."""
        absent = {name for name, row in NETWORK_MAPS.items() if row.why_absent(self.model.settings)}
        slow = set() if with_slow else {name for name, cam in CAMS.items() if cam.masks_images}
        return [name for name in self.settings.methods if name not in absent | slow]

    @torch.no_grad()
    def encode(self, image: VehicleImage, model: SSRNet | None = None) -> Encoded:
        """One forward pass."""
        pixels = self.transform(read_image(image.path))[None].to(self.device)
        feature_map = (model or self.model).feature_map(pixels)
        return Encoded(pixels, feature_map, (model or self.model).head(feature_map).embedding())

    def maps(
        self, encoded: Encoded, reference: Encoded, names: Sequence[str], model: SSRNet | None = None
    ) -> dict[str, np.ndarray]:
        """Maps by name, each (H, W) on the cells of F_G, at least 0."""
        return {name: self._map(encoded, reference, name, model or self.model) for name in names}

    def branch_maps(self, encoded: Encoded, reference: Encoded) -> dict[str, np.ndarray]:
        """Maps by :data:`BRANCHES_BY` of the similarity of each branch alone; empty for a model with one branch."""
        maps = {}
        for branch, embedding in self.branches.items():
            with torch.no_grad():
                other = self.model.head(reference.feature_map).embedding(embedding)
            cam = CamSettings(BRANCHES_BY)
            maps[branch_map_name(branch)] = similarity_cam(self.model, encoded.feature_map, other, embedding, cam)[0]
        return maps

    def maps_cost(self, names: Sequence[str]) -> float:
        """Forward passes that :meth:`maps` takes."""
        slow = [name for name in names if name in CAMS and CAMS[name].masks_images]
        return len(slow) * (self.settings.score_channels + 1) + (len(names) - len(slow)) * CAM_COST

    def embed(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, D), the whole embedding."""
        return self.model.trace(images).embedding()

    def _map(self, encoded: Encoded, reference: Encoded, name: str, model: SSRNet) -> np.ndarray:
        if name in NETWORK_MAPS:
            with torch.no_grad():
                return NETWORK_MAPS[name].function(model.head(encoded.feature_map))[0]
        cam = CamSettings(name, score_channels=self.settings.score_channels)
        return similarity_cam(model, encoded.feature_map, reference.embedding[0], settings=cam, images=encoded.pixels)[
            0
        ]


def branch_map_name(branch: str) -> str:
    """The name of the map of one branch alone."""
    return f"{BRANCHES_BY}, {branch} branch"
