"""Pictures handed over as bytes: single images and zip files, never written to the disk."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from PIL.Image import Image

from ssrnet.data.images import IMAGE_SUFFIXES, read_image_bytes
from ssrnet.errors import DataError

MOST_PICTURES = 500
MOST_BYTES = 256 * 2**20
"""Unpacked, of one zip file: a zip may hold a thousand times its own size."""
MOST_BYTES_EACH = 64 * 2**20


@dataclass(frozen=True)
class Uploads:
    """``pictures`` (RGB) by name, in order; ``refused``: a sentence for each file that could not be taken."""

    pictures: dict[str, Image]
    refused: tuple[str, ...]


def read_uploads(files: Iterable[tuple[str, bytes]], most: int = MOST_PICTURES) -> Uploads:
    """The images among ``files`` (name, content), zip files unpacked in memory; at most ``most`` of them.

    A file that is no image, is damaged or too large is refused by itself, the others are taken. Two of one name are
    told apart by a number.
    """
    pictures: dict[str, Image] = {}
    refused: list[str] = []
    for name, data in _unpacked(files, refused):
        if len(pictures) >= most:
            refused.append(f"only the first {most:,} images are taken; give the rest as a second gallery.")
            break
        try:
            pictures[_distinct(name, pictures)] = read_image_bytes(data, name)
        except DataError as error:
            refused.append(str(error))
    return Uploads(pictures, tuple(refused))


def _unpacked(files: Iterable[tuple[str, bytes]], refused: list[str]) -> Iterable[tuple[str, bytes]]:
    for name, data in files:
        if PurePosixPath(name).suffix.lower() != ".zip":
            yield PurePosixPath(name).name, data
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield from _members(archive, name, refused)
        # zipfile raises of many kinds for a damaged file, an unknown compression or a password.
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, zlib.error) as error:
            refused.append(f"{name} cannot be unpacked ({error}); make the zip file again, without a password.")


def _members(archive: zipfile.ZipFile, name: str, refused: list[str]) -> Iterable[tuple[str, bytes]]:
    """Images in a zip file; what its directory says of sizes is not believed, reading stops at the limit."""
    left = MOST_BYTES
    for member in archive.infolist():
        path = PurePosixPath(member.filename)
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        with archive.open(member) as stream:
            data = stream.read(min(left, MOST_BYTES_EACH) + 1)
        if len(data) > min(left, MOST_BYTES_EACH):
            refused.append(
                f"{name} unpacks to more than {MOST_BYTES // 2**20} MB, or {path.name} in it to more than "
                f"{MOST_BYTES_EACH // 2**20} MB; the images before it are taken, give the others in a second file."
            )
            return
        left -= len(data)
        yield path.name, data


def _distinct(name: str, taken: Iterable[str]) -> str:
    number, own = 1, name
    while own in taken:
        number += 1
        own = f"{name} ({number})"
    return own
