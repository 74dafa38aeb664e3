"""Maps over images for the Attention page: M_s, |F_attn|, M_c's channels, similarity CAMs, mass by part; cached."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
import torch
from PIL import Image

from app import workbench as base
from app.workbench import Services
from app.workbench.forward import joined
from ssrnet.data.images import read_image
from ssrnet.data.parts import folder_of, part_names, read_mask
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.explain.attention import NETWORK_MAPS, stretch, strongest_channels, to_image_frame
from ssrnet.explain.cam import CAMS, CamSettings, similarity_cam
from ssrnet.model import EmbeddingSettings, Trace
from ssrnet.studies.verdicts import ExplanationVerdicts, read_verdicts
from ssrnet.training.checkpoint import StoredCheckpoint

MAP_SIDE = 128
"""Pixels of a coloured map's side; a map has 16x16 values, and the browser smooths what it enlarges."""


VERDICTS = "assets/explanations.json"
"""Where `ssrnet study explanations --publish assets` says which maps pass its tests, of which checkpoints."""


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


def network_maps(
    services: Services, checkpoint: StoredCheckpoint, images: Sequence[VehicleImage], name: str
) -> list[ImageMap] | None:
    """A map of :data:`NETWORK_MAPS` for each image; None where the network does not compute it."""
    whole = _trace(checkpoint.hash, _keys(services, images), services, checkpoint, images)
    cells = NETWORK_MAPS[name].function(whole)
    thetas = [None] * len(images) if whole.theta is None else whole.theta.split(1)
    return None if cells is None else [ImageMap(*one) for one in zip(cells, thetas, strict=True)]


def study_verdicts() -> ExplanationVerdicts | None:
    """What the explanations study published; None where it did not. Raises :class:`DataError` for another file."""
    path = base.ROOT / VERDICTS
    return _verdicts(str(path), base._stamp(path)) if path.exists() else None


def similarity_maps(
    services: Services,
    checkpoint: StoredCheckpoint,
    images: Sequence[VehicleImage],
    references: Sequence[VehicleImage],
    method: str,
    branch: str,
) -> list[SimilarityMap]:
    """Each image explained by its similarity to its reference, in one ``branch`` of the model or, where "", in all.

    method: a name in :data:`CAMS`.
    """
    keys = _keys(services, (*images, *references))
    return _similarity_maps(checkpoint.hash, keys, method, branch, services, checkpoint, images, references)


def _keys(services: Services, images: Sequence[VehicleImage]) -> list[tuple]:
    return [(str(image.path), services.stamp(image)) for image in images]


def channels(
    services: Services, checkpoint: StoredCheckpoint, images: Sequence[VehicleImage], count: int
) -> list[Channel]:
    """The channels that M_c lets through most of the first image; none where the model has no channel attention."""
    whole = _trace(checkpoint.hash, _keys(services, images), services, checkpoint, images)
    found = strongest_channels(whole, count)
    if found is None:
        return []
    theta = None if whole.theta is None else whole.theta[:1]
    return [
        Channel(int(number), float(weight), ImageMap(own, theta))
        for number, weight, own in zip(found.channels[0], found.weights[0], found.maps[0], strict=True)
    ]


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


@st.cache_resource(max_entries=2, show_spinner=False)
def _verdicts(path: str, stamp: tuple) -> ExplanationVerdicts:
    return read_verdicts(Path(path))


@st.cache_resource(max_entries=4, show_spinner=False)
def _trace(
    checkpoint_hash: str,
    keys: list,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _images: Sequence[VehicleImage],
) -> Trace:
    """Of all images together; up to 50 MB for twelve."""
    with torch.no_grad():
        return _services.model(_checkpoint).head(joined(_services.feature_maps(_checkpoint, _images)))


@st.cache_data(max_entries=200, show_spinner=False)
def _similarity_maps(
    checkpoint_hash: str,
    keys: list,
    method: str,
    branch: str,
    _services: Services,
    _checkpoint: StoredCheckpoint,
    _images: Sequence[VehicleImage],
    _references: Sequence[VehicleImage],
) -> list[SimilarityMap]:
    from ssrnet.data.transforms import test_transform  # imports torchvision

    model = _services.model(_checkpoint)
    embedding = EmbeddingSettings(branches=(branch,) if branch else ())
    shown = list(dict.fromkeys((*_images, *_references)))
    whole = _trace(_checkpoint.hash, _keys(_services, shown), _services, _checkpoint, shown)
    embedded = dict(zip(shown, whole.embedding(embedding), strict=True))
    own, references = (torch.stack([embedded[each] for each in images]) for images in (_images, _references))
    pixels = None
    if CAMS[method].masks_images:
        pixels = torch.stack([test_transform(_checkpoint.info.image_size)(read_image(each.path)) for each in _images])
    explained = joined(_services.feature_maps(_checkpoint, _images))
    cells = similarity_cam(model, explained, references, embedding, CamSettings(method), pixels)
    cosines = torch.nn.functional.cosine_similarity(own, references).tolist()
    thetas = [None] * len(_images) if explained.theta is None else explained.theta.split(1)
    return [SimilarityMap(ImageMap(*one), cosine) for *one, cosine in zip(cells, thetas, cosines, strict=True)]
