"""Uploads: single images and zip files, unpacked in memory and never written to the disk.

All limits here guard against hostile uploads; see :mod:`ssrnet.files`.
"""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from PIL.Image import Image

from ssrnet.data.images import IMAGE_SUFFIXES, pixels_of, read_image_bytes
from ssrnet.errors import DataError, one_line

MAX_PICTURES = 500
MAX_BYTES = 256 * 2**20
"""Unpacked bytes of one zip file, which may unpack to a thousand times its size."""
MAX_MEMBER_BYTES = 64 * 2**20
MAX_PIXELS = 150_000_000
"""Pixels of all pictures together, which are in memory at once with 4 bytes each."""
MAX_NAME = 120
MAX_REFUSED = 20
"""Refused files before the rest is skipped; a zip file may have a million members."""
UNPACKING = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    IndexError,
    OverflowError,
    KeyError,
)


@dataclass(frozen=True)
class Uploads:
    """``pictures`` (RGB) by name, in order; ``refused``: a sentence for each file that could not be read."""

    pictures: dict[str, Image]
    refused: tuple[str, ...]


def read_uploads(files: Iterable[tuple[str, bytes]], limit: int = MAX_PICTURES) -> Uploads:
    """The images among ``files`` (name, content) and in zip files among them; at most ``limit``.

    A file that is no image, is damaged or too large is refused; the others are read. After ``MAX_REFUSED`` refused files
    or ``MAX_PIXELS`` pixels the rest is skipped. Equal names get a number; unprintable characters in a name are escaped.
    """
    pictures: dict[str, Image] = {}
    refused: list[str] = []
    left = MAX_PIXELS
    for name, data in _unpacked(files, refused):
        if len(pictures) >= limit:
            refused.append(f"only the first {limit:,} images are taken; give the rest as a second gallery.")
            break
        if len(refused) >= MAX_REFUSED:
            refused.append(f"after {len(refused)} files that could not be taken the rest was not looked at.")
            break
        left -= pixels_of(data)
        if left < 0:
            refused.append(
                f"{one_line(name)} and what follows it are left out, since more than {MAX_PIXELS:,} pixels are too "
                "many at once; crop the images to the vehicles or scale them down."
            )
            break
        try:
            pictures[_distinct(one_line(name, MAX_NAME), pictures)] = read_image_bytes(data, name)
        except DataError as error:
            refused.append(str(error))
    return Uploads(pictures, tuple(refused))


def _unpacked(files: Iterable[tuple[str, bytes]], refused: list[str]) -> Iterable[tuple[str, bytes]]:
    for name, data in files:
        if not name.lower().endswith(".zip"):
            yield _last(name), data
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield from _members(archive, name, refused)
        # zipfile raises of many kinds for a damaged file, an unknown compression or a password.
        except UNPACKING as error:
            refused.append(
                one_line(f"{name} cannot be unpacked ({error}); make the zip file again, without a password.")
            )


def _members(archive: zipfile.ZipFile, name: str, refused: list[str]) -> Iterable[tuple[str, bytes]]:
    """The images in a zip file; reading stops at the limits, whatever sizes its directory states."""
    left, images = MAX_BYTES, 0
    for member in archive.infolist():
        file_name = _last(member.filename)
        if PurePosixPath(file_name).suffix.lower() not in IMAGE_SUFFIXES or file_name.startswith("."):
            continue
        images += 1
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # LZMA may ask for 4 GB at once
            raise NotImplementedError("a compression other than deflate")
        with archive.open(member) as stream:
            data = stream.read(min(left, MAX_MEMBER_BYTES) + 1)
        if len(data) > min(left, MAX_MEMBER_BYTES):
            refused.append(
                one_line(
                    f"{name} unpacks to more than {MAX_BYTES // 2**20} MB, or {file_name} in it to more than "
                    f"{MAX_MEMBER_BYTES // 2**20} MB; the images before it are taken, give the others in a second file."
                )
            )
            return
        left -= len(data)
        yield file_name, data
    if not images:
        refused.append(one_line(f"{name} holds no image; pack JPEG, PNG, WebP, BMP or TIFF images into it."))


def _last(name: str) -> str:
    """A name without its folders, whose separator may be that of Windows."""
    return PurePosixPath(name.replace("\\", "/")).name


def _distinct(name: str, taken: Iterable[str]) -> str:
    number, distinct = 1, name
    while distinct in taken:
        number += 1
        distinct = f"{name} ({number})"
    return distinct
