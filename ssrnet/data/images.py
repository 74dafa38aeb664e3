"""Reads an image from a file or an upload: upright, RGB and whole, or raises one clear sentence.

The limits hold for uploads and for the images of served folders; see :mod:`ssrnet.files`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ssrnet.errors import DataError
from ssrnet.files import open_regular

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
MAX_PIXELS = 50_000_000
MAX_BYTES = 512 * 2**20
"""Largest image file: ``MAX_PIXELS`` of 16 bits a channel, uncompressed, take 400 MB."""
MAX_SCANS = 64
"""Most scans of a progressive JPEG; ten are usual. Each decodes all pixels again, and may have only a few bytes."""
BAND = 4_000_000
"""Pixels that are converted at a time."""
TWELVE_BITS = 4095
"""Greatest value of cameras with 12 bits, whose programs write it as it is into files of 16 bits. A picture of 16 bits
without a greater value counts as such a picture: one of 65,535 grey levels would be below a sixteenth of white everywhere."""
LOW_BYTES = {"RGB;16B": "RGB;16L"}
"""By the raw mode in which Pillow unpacks a PNG's 16-bit colours to their high bytes, the one that gives the low bytes."""

# MAX_PIXELS is lower and raises an error, so Pillow's warning is redundant.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def read_image(path: str | Path) -> Image.Image:
    """The image in ``path`` as RGB, H x W x 3 uint8, turned upright by its EXIF orientation.

    Transparent parts become white. Of 16 bits a channel the whole range is kept, which is 0 to 4,095 where no pixel is
    above (``TWELVE_BITS``). Raises :class:`DataError` for a file that is missing, unreadable, of
    another format than JPEG, PNG, WebP, BMP or TIFF, damaged or truncated, or over ``MAX_PIXELS`` pixels
    (by its header: such an image is never decoded).
    """
    try:
        with open_regular(path, MAX_BYTES) as stream:
            return _decode(stream, str(path))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; check the path, or restore the image.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder, not an image; give the path of an image in it.") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be opened ({why}); check the path and its permissions.") from error


def read_image_bytes(data: bytes, name: str) -> Image.Image:
    """As :func:`read_image`, for an upload; ``name`` is what messages call it."""
    return _decode(io.BytesIO(data), name)


def upright_rgb(image: Image.Image, name: str) -> Image.Image:
    """An opened image as :func:`read_image` would give it: upright, RGB, transparent parts white; ``image`` stays.

    Raises :class:`DataError` for floating-point pixels and for 32-bit ones of unknown range; ``name`` is in the message.
    """
    image = image.copy()
    _turn_upright(image)
    rgb = _to_rgb(image, name)
    rgb.info.clear()
    return rgb


def pixels_of(data: bytes) -> int:
    """Width times height by the image's header; 0 where the header cannot be read."""
    return _pixels(io.BytesIO(data))


def pixel_count(path: str | Path) -> int:
    """As :func:`pixels_of`, of a file; 0 where it cannot be opened."""
    try:
        with open_regular(path, MAX_BYTES) as stream:
            return _pixels(stream)
    except (OSError, ValueError):
        return 0


def _pixels(stream: BinaryIO) -> int:
    try:
        with Image.open(stream, formats=FORMATS) as image:
            return image.size[0] * image.size[1]
    except Exception:  # as in _decode
        return 0


def _decode(stream: BinaryIO, name: str) -> Image.Image:
    try:
        with Image.open(stream, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise _too_large(name, f"{width:,} x {height:,} pixels")
            if image.info.get("progressive") and _scans(stream) > MAX_SCANS:
                raise DataError(f"{name} is a JPEG of more than {MAX_SCANS} scans; save it anew with another program.")
            low_bytes = LOW_BYTES.get(image.tile[0].args) if image.format == "PNG" and image.tile else None
            image.load()
            upright = _with_12_bits(image, stream, low_bytes) if low_bytes else image
            _turn_upright(upright)
            rgb = _to_rgb(upright, name)
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


def _scans(stream: BinaryIO) -> int:
    """Number of start-of-scan markers in a JPEG; the bytes of a marker do not occur in a scan's data."""
    at = stream.tell()
    stream.seek(0)
    count = stream.read().count(b"\xff\xda")
    stream.seek(at)
    return count


def _with_12_bits(image: Image.Image, stream: BinaryIO, low_bytes: str) -> Image.Image:
    """A PNG of 16-bit colours, of which ``image`` has the high bytes, in its whole range where that is of 12 bits."""
    if max(high for _, high in image.getextrema()) > TWELVE_BITS >> 8 or image.has_transparency_data:
        return image
    stream.seek(0)
    with Image.open(stream, formats=("PNG",)) as again:
        again.tile = [tile._replace(args=low_bytes) for tile in again.tile]
        again.load()
        colours = Image.new("RGB", image.size)
        for box in _bands(image):
            high, low = (np.asarray(one.crop(box), dtype=np.uint16) for one in (image, again))
            colours.paste(Image.fromarray(_to_8_bits(high * 256 + low, TWELVE_BITS)), box)
    colours.info = image.info
    return colours


def _turn_upright(image: Image.Image) -> None:
    """In place: a copy of a large image takes as much memory as the image."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # broken EXIF has no orientation; the pixels are good
        pass


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        raise DataError(f"{name} holds floating-point pixels; save it with 8 bits a channel.")
    deep, transparent = image.mode.startswith("I"), image.has_transparency_data
    if not (deep or transparent):
        return image.convert("RGB")
    rgb = Image.new("RGB", image.size)
    white = _white_value(image, name) if deep else 0
    for box in _bands(image):
        band = image.crop(box)
        if deep:
            rgb.paste(Image.fromarray(_to_8_bits(np.asarray(band), white)).convert("RGB"), box)
        else:
            rgb.paste(_on_white(band), box)
    return rgb


def _bands(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes that cover the image from top to bottom, since conversions take several times the memory of the pixels."""
    height = max(1, BAND // max(1, image.width))
    for top in range(0, image.height, height):
        yield 0, top, image.width, min(top + height, image.height)


def _white_value(image: Image.Image, name: str) -> int:
    """The value of white among pixels of 16 bits; raises :class:`DataError` for values below 0 or of more bits."""
    darkest, brightest = 0, 0
    for box in _bands(image):
        band = np.asarray(image.crop(box))
        darkest, brightest = min(darkest, band.min(initial=0)), max(brightest, band.max(initial=0))
    if darkest < 0 or brightest > 65535:
        raise DataError(f"{name} holds 32-bit pixels of unknown range; save it with 8 bits a channel.")
    return TWELVE_BITS if brightest <= TWELVE_BITS else 65535


def _to_8_bits(values: np.ndarray, white: int) -> np.ndarray:
    """uint8 of values from 0 to ``white``. Pillow clips grey of 16 bits at 255, which makes it white."""
    return (values * (255 / white)).round().astype(np.uint8)


def _on_white(image: Image.Image) -> Image.Image:
    # The colour under a transparent pixel is arbitrary, often black; white is what a viewer shows.
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")
