"""Pictures as the browser takes them, small JPEG and PNG files in data URIs; what a viewer uploads; labels of images."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import Image

from app.workbench.cache import cached, held_uploads, session_cached, session_values
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage, Uploads, distinct_name, read_uploads
from ssrnet.errors import DataError, one_line

SIDE = 224
"""Pixels of a square picture's side."""
LONGEST_LABEL = 24
HEADER = 2000
"""Letters of a data URI, a multiple of four, that hold its picture's size."""
Picture = VehicleImage | Image.Image
"""An image of the data set, or an uploaded picture, RGB."""


def image_label(image: VehicleImage) -> str:
    """Vehicle and, where it is known, camera: "0007 · c001"; the file's name, cut to its ends, for an unknown vehicle."""
    vehicle = image.vehicle_id or one_line(image.name.rpartition("/")[2], LONGEST_LABEL)
    return " · ".join(filter(None, (vehicle, image.camera_id)))


def image_title(image: VehicleImage) -> str:
    """What is known of the image, and its name: "vehicle 0007 · c001 · a.jpg"."""
    return image.name if image.vehicle_id is None else f"vehicle {image_label(image)} · {image.name}"


def data_uri(picture: Image.Image | np.ndarray, kind: Literal["jpeg", "png"] = "jpeg") -> str:
    """``picture``, RGB or (h, w, 3) uint8, as a data URI."""
    buffer = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(buffer, kind, **({"quality": 85} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()


def thumbnail(image: Picture, height: int = 160) -> str:
    """A small JPEG as a data URI; a grey field for an image that cannot be read."""
    if isinstance(image, Image.Image):
        return uploaded_thumbnail(image, height)

    def make() -> str:
        try:
            picture = image.read()
        except DataError:
            picture = Image.new("RGB", (height, height), (128, 128, 128))
        return data_uri(reduced(picture, height))

    return cached("thumbnails", (image, height), make, 5000)


def uploaded_thumbnail(picture: Image.Image, height: int = 160) -> str:
    """As :func:`thumbnail`, of an uploaded picture; cached in the viewer's session alone."""
    return session_cached(("thumbnail", picture, height), lambda: data_uri(reduced(picture, height)))


def uploads(key: str, files: Sequence) -> Uploads:
    """The images in the files of the uploader ``key``, in the viewer's session alone and never on the disk.

    They are read again only when the files change; those from before are dropped. Without files, as when a page is opened again,
    they are those from before, which :func:`remove_uploads` drops.
    """
    values, ids = session_values(), tuple(file.file_id for file in files)
    if ids and values.get(("uploads", key), (None, None))[0] != ids:
        values["uploads", key] = ids, read_uploads((file.name, file.getvalue()) for file in files)
    return values["uploads", key][1] if ("uploads", key) in values else Uploads({}, ())


def remove_uploads(key: str) -> None:
    session_values().pop(("uploads", key), None)


def all_uploads() -> dict[str, Image.Image]:
    """The pictures of all of this session's uploaders by name, each once; a name that two have gets a number."""
    return {image.name: image.picture for image in uploaded_images()}


def uploaded_images() -> list[UploadedImage]:
    """As :func:`all_uploads`, for what takes an image of a data set."""
    images: dict[str, UploadedImage] = {}
    for uploads, name in ((one, name) for one in held_uploads() for name in one.pictures):
        digest = uploads.digests[name]
        if digest not in images:
            distinct = distinct_name(name, [image.name for image in images.values()])
            images[digest] = UploadedImage.of(distinct, uploads.pictures[name], digest)
    return list(images.values())


def size_of(uri: str) -> tuple[int, int]:
    """(width, height) of the picture in a data URI, from its header alone."""
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2][:HEADER]))).size


def square(picture: Image.Image, side: int = SIDE) -> np.ndarray:
    """(side, side, 3) uint8: the picture stretched to a square, as the network sees it."""
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))


def reduced(picture: Image.Image, height: int = SIDE) -> Image.Image:
    """The whole picture, at most ``height`` high and twice that wide."""
    picture = picture.copy()
    picture.thumbnail((2 * height, height))
    return picture


def aspect_ratio(image: Picture) -> float:
    """Width over height of the file's picture."""
    if isinstance(image, Image.Image):
        return image.width / image.height

    def compute() -> float:
        width, height = image.read().size
        return width / height

    return cached("aspect ratios", image, compute, 1000)
