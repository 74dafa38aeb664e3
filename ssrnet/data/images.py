"""Reads an image from a file or an upload: upright, RGB, decoded to the last pixel, or one clear sentence."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ssrnet.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
MAX_PIXELS = 50_000_000

# Our own limit is lower and is an error, so Pillow's warning would only say the same thing less clearly.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def read_image(path: str | Path) -> Image.Image:
    """The image in ``path`` as RGB, H x W x 3 uint8, turned upright by its EXIF orientation.

    Transparent parts become white. Raises :class:`DataError` for a file that is missing, unreadable, of
    another format than JPEG, PNG, WebP, BMP or TIFF, damaged or cut short, or over ``MAX_PIXELS`` pixels
    (which its header tells: such an image is never decoded).
    """
    try:
        with open(path, "rb") as stream:
            return _decode(stream, str(path))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; check the path, or restore the image.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder, not an image; give the path of an image in it.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be opened ({error}); check the path and its permissions.") from error


def read_image_bytes(data: bytes, name: str) -> Image.Image:
    """As :func:`read_image`, for an upload; ``name`` is what messages call it."""
    return _decode(io.BytesIO(data), name)


def _decode(stream: BinaryIO, name: str) -> Image.Image:
    try:
        with Image.open(stream, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise _too_large(name, f"{width:,} x {height:,} pixels")
            image.load()
            rgb = _to_rgb(_upright(image), name)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{name} is not a JPEG, PNG, WebP, BMP or TIFF image; convert it to one.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, f"more than {Image.MAX_IMAGE_PIXELS:,} pixels") from error
    except Exception as error:  # On damaged files Pillow raises anything from OSError to struct.error.
        raise DataError(f"{name} is damaged or cut short ({error}); copy or export it again.") from error
    # The orientation has been applied; left in place, the next reader would apply it again.
    rgb.info.clear()
    return rgb


def _too_large(name: str, size: str) -> DataError:
    limit = f"over the limit of {MAX_PIXELS:,}"
    return DataError(f"{name} has {size}, {limit}; crop it to the vehicle or scale it down.")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # EXIF that cannot be parsed states no orientation; the pixels are good.
        return image


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        raise DataError(f"{name} holds floating-point pixels; save it with 8 bits a channel.")
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey at 255, which leaves white; 65535 / 257 = 255 keeps the whole range.
        grey = np.asarray(image, dtype=np.int64)
        if grey.min(initial=0) < 0 or grey.max(initial=0) > 65535:
            raise DataError(f"{name} holds 32-bit pixels of unknown range; save it with 8 bits a channel.")
        return Image.fromarray((grey / 257).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        # The colour under a transparent pixel is arbitrary, often black; white is what a viewer shows.
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")
