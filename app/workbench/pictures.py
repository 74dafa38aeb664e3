"""Pictures that a viewer uploads: their features, maps and thumbnails, kept in that viewer's session alone."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
import torch
from PIL import Image

from app.workbench import Report, Services
from app.workbench.forward import forward
from ssrnet.data.uploads import Uploads, read_uploads
from ssrnet.model import FeatureMap
from ssrnet.training.checkpoint import StoredCheckpoint

KEPT = "uploaded_pictures"
"""Where the session keeps what was computed; it goes when the page is closed, and never to the disk."""
PICTURE = 224


@dataclass(frozen=True)
class Pair:
    """Both pictures under the map of what makes them similar, as data URIs, and their cosine."""

    first: str
    second: str
    similarity: float


def uploads(files: Sequence) -> Uploads:
    """The images in Streamlit's uploaded files, read anew only when the files change."""
    return _kept(
        ("read", *(file.file_id for file in files)), lambda: read_uploads((f.name, f.getvalue()) for f in files)
    )


def embeddings(
    services: Services, checkpoint: StoredCheckpoint, pictures: Mapping[str, Image.Image], report: Report
) -> torch.Tensor:
    """(N, D) float32, before any normalisation, each picture embedded once a session and checkpoint."""
    rows = []
    for done, picture in enumerate(pictures.values()):
        rows.append(_embedding(services, checkpoint, picture))
        report(done + 1, len(pictures))
    return torch.stack(rows)


def pair(
    services: Services, checkpoint: StoredCheckpoint, first: Image.Image, second: Image.Image, method: str
) -> Pair:
    """Similarity maps of two pictures, in both directions, on one scale."""
    key = ("pair", checkpoint.hash, _digest(first), _digest(second), method)
    return _kept(key, lambda: _pair(services, checkpoint, first, second, method))


def thumbnail(picture: Image.Image, height: int = 160) -> str:
    """A small JPEG as a data URI."""
    return _kept(("thumbnail", _digest(picture), height), lambda: _thumbnail(picture, height))


def forget(pictures: Mapping[str, Image.Image]) -> None:
    """Drops what is kept of pictures that are no longer uploaded."""
    left = {_digest(picture) for picture in pictures.values()}
    kept = st.session_state.get(KEPT, {})
    for key in [key for key in kept if key[0] != "read" and not left & set(key)]:
        del kept[key]


def _kept(key: tuple, make: Callable[[], Any]) -> Any:
    kept = st.session_state.setdefault(KEPT, {})
    if key not in kept:
        kept[key] = make()
    return kept[key]


def _digest(picture: Image.Image) -> str:
    return hashlib.sha256(np.asarray(picture).tobytes() + str(picture.size).encode()).hexdigest()


@torch.no_grad()
def _embedding(services: Services, checkpoint: StoredCheckpoint, picture: Image.Image) -> torch.Tensor:
    def embed() -> torch.Tensor:
        return services.model(checkpoint).head(_feature_map(services, checkpoint, picture)).embedding()[0].cpu()

    return _kept(("embedding", checkpoint.hash, _digest(picture)), embed)


def _feature_map(services: Services, checkpoint: StoredCheckpoint, picture: Image.Image) -> FeatureMap:
    return forward(services.model(checkpoint), [picture], checkpoint.info.image_size)[0]


def _pair(
    services: Services, checkpoint: StoredCheckpoint, first: Image.Image, second: Image.Image, method: str
) -> Pair:
    from ssrnet.explain.attention import to_image_frame
    from ssrnet.explain.cam import CamSettings, pair_cams
    from ssrnet.explain.overlay import overlay

    # The first picture is compared with many, so its map stays; 2 MB at 256 pixels.
    own = _kept(("map", checkpoint.hash, _digest(first)), lambda: _feature_map(services, checkpoint, first))
    feature_maps = [own, _feature_map(services, checkpoint, second)]
    found = pair_cams(services.model(checkpoint), *feature_maps, settings=CamSettings(method=method))
    highest = max(float(found.query.max()), float(found.gallery.max())) or 1.0
    painted = []
    for cells, feature_map, picture in zip((found.query, found.gallery), feature_maps, (first, second), strict=True):
        square = np.asarray(picture.resize((PICTURE, PICTURE), Image.Resampling.BILINEAR))
        heat = to_image_frame(cells[None], PICTURE, feature_map.theta)[0] / highest
        painted.append(_jpeg(Image.fromarray(overlay(square, np.clip(heat, 0, 1)))))
    return Pair(*painted, found.similarity)


def _thumbnail(picture: Image.Image, height: int) -> str:
    small = picture.copy()
    small.thumbnail((2 * height, height))
    return _jpeg(small)


def _jpeg(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
