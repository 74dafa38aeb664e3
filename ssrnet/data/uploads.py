"""Pictures handed over as bytes: single images and zip files, never written to the disk."""

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

MOST_PICTURES = 500
MOST_BYTES = 256 * 2**20
"""Unpacked, of one zip file: a zip may hold a thousand times its own size."""
MOST_BYTES_EACH = 64 * 2**20
MOST_PIXELS = 150_000_000
"""Of all pictures together, which are in memory at once with 4 bytes a pixel."""
LONGEST_NAME = 120
MOST_REFUSED = 20
"""Sentences; a zip file may have a million members."""
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
    """``pictures`` (RGB) by name, in order; ``refused``: a sentence for each file that could not be taken."""

    pictures: dict[str, Image]
    refused: tuple[str, ...]


def read_uploads(files: Iterable[tuple[str, bytes]], most: int = MOST_PICTURES) -> Uploads:
    """The images among ``files`` (name, content), zip files unpacked in memory; at most ``most`` of them.

    A file that is no image, is damaged or too large is refused by itself, the others are taken. After
    ``MOST_REFUSED`` of them, or ``MOST_PIXELS`` pixels, no more are looked at. Two of one name are told apart by a
    number; what is not printable in a name is escaped.
    """
    pictures: dict[str, Image] = {}
    refused: list[str] = []
    left = MOST_PIXELS
    for name, data in _unpacked(files, refused):
        if len(pictures) >= most:
            refused.append(f"only the first {most:,} images are taken; give the rest as a second gallery.")
            break
        if len(refused) >= MOST_REFUSED:
            refused.append(f"after {len(refused)} files that could not be taken the rest was not looked at.")
            break
        left -= pixels_of(data)
        if left < 0:
            refused.append(
                f"{one_line(name)} and what follows it are left out, since more than {MOST_PIXELS:,} pixels are too "
                "many at once; crop the images to the vehicles or scale them down."
            )
            break
        try:
            pictures[_distinct(one_line(name, LONGEST_NAME), pictures)] = read_image_bytes(data, name)
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
    """Images in a zip file; what its directory says of sizes is not believed, reading stops at the limit."""
    left, images = MOST_BYTES, 0
    for member in archive.infolist():
        own = _last(member.filename)
        if PurePosixPath(own).suffix.lower() not in IMAGE_SUFFIXES or own.startswith("."):
            continue
        images += 1
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # LZMA may ask for 4 GB at once
            raise NotImplementedError("a compression other than deflate")
        with archive.open(member) as stream:
            data = stream.read(min(left, MOST_BYTES_EACH) + 1)
        if len(data) > min(left, MOST_BYTES_EACH):
            refused.append(
                one_line(
                    f"{name} unpacks to more than {MOST_BYTES // 2**20} MB, or {own} in it to more than "
                    f"{MOST_BYTES_EACH // 2**20} MB; the images before it are taken, give the others in a second file."
                )
            )
            return
        left -= len(data)
        yield own, data
    if not images:
        refused.append(one_line(f"{name} holds no image; pack JPEG, PNG, WebP, BMP or TIFF images into it."))


def _last(name: str) -> str:
    """A name without its folders, which Windows divides by another sign."""
    return PurePosixPath(name.replace("\\", "/")).name


def _distinct(name: str, taken: Iterable[str]) -> str:
    number, own = 1, name
    while own in taken:
        number += 1
        own = f"{name} ({number})"
    return own
