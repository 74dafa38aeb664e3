"""Maps over single images for the Attention page: M_s, M_c's channels, similarity CAMs, and their mass by part; cached."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch
from PIL import Image

from app.services import Services
from ssrnet.data.images import read_image
from ssrnet.data.parts import folder_of, part_names, read_mask
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.explain.attention import spatial_attention, stretch, strongest_channels, to_image_frame
from ssrnet.model import EmbeddingSettings
from ssrnet.training.checkpoint import StoredCheckpoint

MAP_SIDE = 128
"""Pixels of a coloured map's side; a map has 16x16 values, and the browser smooths what it enlarges."""


@dataclass(frozen=True)
class ImageMap:
    """``cells`` (H, W) on F_G, at least 0, with the spatial transformer's ``theta`` (1, 2, 3) where there is one."""

    cells: np.ndarray
    theta: torch.Tensor | None

    def at(self, size: int | tuple[int, int]) -> np.ndarray:
        """Over the image, as (side, side) or (height, width)."""
        return to_image_frame(self.cells[None], size, self.theta)[0]


@dataclass(frozen=True)
class SimilarityMap:
    """``map`` of what makes the image similar to its reference, and the ``similarity`` itself, a cosine."""

    map: ImageMap
    similarity: float


@dataclass(frozen=True)
class Channel:
    """One channel of F_G: its number, its weight M_c in (0, 1), and its map of F_c = M_c(F_G) * F_G."""

    number: int
    weight: float
    map: ImageMap


def attention_map(services: Services, checkpoint: StoredCheckpoint, image: VehicleImage) -> ImageMap | None:
    """M_s of an image; None where the model has no spatial attention."""
    return _attention_map(checkpoint.hash, str(image.path), services.stamp(image), services, checkpoint, image)


def similarity_map(
    services: Services, checkpoint: StoredCheckpoint, image: VehicleImage, reference: VehicleImage,
    method: str, branch: str,
) -> SimilarityMap:  # fmt: skip
    """The image explained by its similarity to ``reference``, in one ``branch`` of the model or, where "", in all."""
    keys = [(str(each.path), services.stamp(each)) for each in (image, reference)]
    return _similarity_map(checkpoint.hash, keys, method, branch, services, checkpoint, image, reference)


def channels(services: Services, checkpoint: StoredCheckpoint, image: VehicleImage, count: int) -> list[Channel]:
    """The channels that M_c lets through most; none where the model has no channel attention."""
    return _channels(checkpoint.hash, str(image.path), services.stamp(image), count, services, checkpoint, image)


def masked_images(dataset: ReIDDataset, images: Sequence[VehicleImage]) -> list[VehicleImage]:
    """Those of the images that have a part mask."""
    if part_names(folder_of(dataset)) is None:
        return []
    return [image for image in images if image.attributes.get("mask")]


def mass_by_part(
    dataset: ReIDDataset, images: Sequence[VehicleImage], maps: Sequence[ImageMap]
) -> tuple[dict[str, float], dict[str, float]]:
    """Mean share in [0, 1] of maps' mass on each part that the images' masks show, and of the image that each takes."""
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


@st.cache_data(max_entries=2000, show_spinner=False)
def photograph(path: str, stamp: tuple, side: int = 224) -> str:
    """The image as the network sees it, stretched to a square, as a data URI."""
    buffer = io.BytesIO()
    read_image(path).resize((side, side), Image.Resampling.BILINEAR).save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def coloured(one: ImageMap) -> str:
    """A map stretched to its own range in colours, blue lowest and red highest, as a data URI."""
    import cv2  # with the first map, not with the page

    colours = cv2.applyColorMap(np.uint8(np.round(255 * stretch(one.at(MAP_SIDE)))), cv2.COLORMAP_TURBO)
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", colours)[1].tobytes()).decode()


@st.cache_data(max_entries=500, show_spinner=False)
def _attention_map(
    checkpoint_hash: str, path: str, stamp: tuple, _services: Services, _checkpoint: StoredCheckpoint,
    _image: VehicleImage,
) -> ImageMap | None:  # fmt: skip
    feature_map = _services.feature_map(_checkpoint, _image)
    M_s = spatial_attention(_services.model(_checkpoint).head(feature_map))
    return None if M_s is None else ImageMap(M_s[0], feature_map.theta)


@st.cache_data(max_entries=2000, show_spinner=False)
def _similarity_map(
    checkpoint_hash: str, keys: list, method: str, branch: str, _services: Services, _checkpoint: StoredCheckpoint,
    _image: VehicleImage, _reference: VehicleImage,
) -> SimilarityMap:  # fmt: skip
    from ssrnet.data.transforms import test_transform  # these import torchvision and grad-cam
    from ssrnet.explain.cam import CamSettings, similarity_cam

    model = _services.model(_checkpoint)
    embedding = EmbeddingSettings(branches=(branch,) if branch else ())
    feature_map, other = (_services.feature_map(_checkpoint, each) for each in (_image, _reference))
    with torch.no_grad():
        own, reference = (model.head(each).embedding(embedding)[0] for each in (feature_map, other))
    pixels = None
    if method == "score-cam":
        pixels = test_transform(_checkpoint.info.image_size)(read_image(_image.path))[None]
    cells = similarity_cam(model, feature_map, reference, embedding, CamSettings(method=method), pixels)[0]
    similarity = torch.nn.functional.cosine_similarity(own, reference, dim=0).item()
    return SimilarityMap(ImageMap(cells, feature_map.theta), similarity)


@st.cache_data(max_entries=200, show_spinner=False)
def _channels(
    checkpoint_hash: str, path: str, stamp: tuple, count: int, _services: Services, _checkpoint: StoredCheckpoint,
    _image: VehicleImage,
) -> list[Channel]:  # fmt: skip
    feature_map = _services.feature_map(_checkpoint, _image)
    found = strongest_channels(_services.model(_checkpoint).head(feature_map), count)
    if found is None:
        return []
    return [
        Channel(int(number), float(weight), ImageMap(own, feature_map.theta))
        for number, weight, own in zip(found.channels[0], found.weights[0], found.maps[0], strict=True)
    ]
