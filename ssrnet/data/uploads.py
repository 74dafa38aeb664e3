"""Uploads: single images, zip files and a table of cameras, unpacked in memory and never written to the disk.

All limits here guard against hostile uploads; see :mod:`ssrnet.files`.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from PIL.Image import Image

from ssrnet.data.images import IMAGE_SUFFIXES, pixels_of, read_image_bytes
from ssrnet.data.readers.text_files import csv_rows, decode
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError, one_line

MAX_PICTURES = 500
MAX_BYTES = 256 * 2**20
"""Unpacked bytes of one zip file, which may unpack to a thousand times its size."""
MAX_MEMBER_BYTES = 64 * 2**20
MAX_TABLE_BYTES = 2**20
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
    """``pictures`` (RGB) by name, in order; ``refused``: a sentence for each file that could not be read.

    cameras: by the name of a picture, where its folder or a table says which camera took it; by_table: whether a table does.
    paths: in the zip file, by the name of a picture; those of a picture outside one are its name.
    """

    pictures: dict[str, Image]
    refused: tuple[str, ...]
    cameras: Mapping[str, str] = field(default_factory=dict)
    by_table: bool = False
    paths: Mapping[str, PurePosixPath] = field(default_factory=dict)

    @cached_property
    def digests(self) -> dict[str, str]:
        """:func:`picture_digest` by the name of a picture."""
        return {name: picture_digest(picture) for name, picture in self.pictures.items()}


@dataclass(frozen=True)
class PictureInMemory(VehicleImage):
    """An uploaded picture (RGB) as an image of a data set; it has no file, and nobody has said its vehicle.

    digest: of the picture's content, by which two are the same.
    """

    picture: Image | None = field(default=None, compare=False)
    digest: str = ""

    def __reduce__(self) -> tuple:
        fields = (self.path, self.name, None, self.camera_id, dict(self.attributes), self.picture, self.digest)
        return type(self), fields

    def read(self) -> Image:
        return self.picture

    @property
    def stamp(self) -> str:
        return self.digest


@dataclass(frozen=True)
class UploadedImage(PictureInMemory):
    """An uploaded picture that is in no data set, where an image of one is wanted."""

    @classmethod
    def of(cls, name: str, picture: Image, digest: str) -> UploadedImage:
        return cls(Path(), name, None, picture=picture, digest=digest)


def read_uploads(files: Iterable[tuple[str, bytes]], limit: int = MAX_PICTURES) -> Uploads:
    """The images among ``files`` (name, content) and in zip files among them; at most ``limit``.

    A picture's camera is the last folder on its path in a zip file; where there is a CSV file with the columns image and
    camera (or camera_id), that alone names cameras. Its images are paths from its own folder, or names alone.

    A file that is no image, is damaged or too large is refused; the others are read. After ``MAX_REFUSED`` refused files
    or ``MAX_PIXELS`` pixels the rest is skipped. Equal names get a number; unprintable characters in a name are escaped.
    """
    pictures: dict[str, Image] = {}
    refused: list[str] = []
    paths: dict[str, PurePosixPath] = {}
    table: Mapping[str, str] | None = None
    left = MAX_PIXELS
    for path, data in _unpacked(files, refused):
        if len(pictures) >= limit:
            refused.append(f"only the first {limit:,} images are taken; give the rest as a second gallery.")
            break
        if len(refused) >= MAX_REFUSED:
            refused.append(f"after {len(refused)} files that could not be taken the rest was not looked at.")
            break
        if _is_table(path.name):
            try:
                if table is not None:
                    raise DataError(f"{path.name} is a second table of cameras; give one CSV file with all images.")
                table = _camera_table(path, data)
            except DataError as error:
                refused.append(str(error))
            continue
        left -= pixels_of(data)
        if left < 0:
            refused.append(
                f"{one_line(path.name)} and what follows it are left out, since more than {MAX_PIXELS:,} pixels are too "
                "many at once; crop the images to the vehicles or scale them down."
            )
            break
        try:
            name = distinct_name(one_line(path.name, MAX_NAME), pictures)
            pictures[name] = read_image_bytes(data, path.name)
            paths[name] = path
        except DataError as error:
            refused.append(str(error))
    cameras = {name: one_line(_camera(path, table), MAX_NAME) for name, path in paths.items()}
    cameras = {name: camera for name, camera in cameras.items() if camera}
    return Uploads(pictures, tuple(refused), cameras, table is not None, paths)


def picture_digest(picture: Image) -> str:
    """64 hex digits over the pixels, the size and the mode."""
    return hashlib.sha256(np.asarray(picture).tobytes() + f"{picture.size}{picture.mode}".encode()).hexdigest()


def _unpacked(files: Iterable[tuple[str, bytes]], refused: list[str]) -> Iterable[tuple[PurePosixPath, bytes]]:
    """Path and content of each image and table; those of a file outside a zip file are its name. Tables come first."""
    for name, data in sorted(files, key=lambda file: not _is_table(file[0])):
        if not name.lower().endswith(".zip"):
            yield PurePosixPath(_path(name).name), data
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield from _members(archive, name, refused)
        # zipfile raises of many kinds for a damaged file, an unknown compression or a password.
        except UNPACKING as error:
            refused.append(
                one_line(f"{name} cannot be unpacked ({error}); make the zip file again, without a password.")
            )


def _members(archive: zipfile.ZipFile, name: str, refused: list[str]) -> Iterable[tuple[PurePosixPath, bytes]]:
    """The images and tables in a zip file; reading stops at the limits, whatever sizes its directory states."""
    left, images = MAX_BYTES, 0
    for member in sorted(archive.infolist(), key=lambda member: not _is_table(member.filename)):
        path = _path(member.filename)
        is_table = _is_table(path.name)
        if not (is_table or path.suffix.lower() in IMAGE_SUFFIXES) or path.name.startswith("."):
            continue
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # LZMA may ask for 4 GB at once
            raise NotImplementedError("a compression other than deflate")
        with archive.open(member) as stream:
            if is_table:
                yield path, stream.read(MAX_TABLE_BYTES + 1)
                continue
            images += 1
            data = stream.read(min(left, MAX_MEMBER_BYTES) + 1)
        if len(data) > min(left, MAX_MEMBER_BYTES):
            refused.append(
                one_line(
                    f"{name} unpacks to more than {MAX_BYTES // 2**20} MB, or {path.name} in it to more than "
                    f"{MAX_MEMBER_BYTES // 2**20} MB; the images before it are taken, give the others in a second file."
                )
            )
            return
        left -= len(data)
        yield path, data
    if not images:
        refused.append(one_line(f"{name} holds no image; pack JPEG, PNG, WebP, BMP or TIFF images into it."))


def _path(name: str) -> PurePosixPath:
    """Separators may be those of Windows."""
    return PurePosixPath(name.replace("\\", "/"))


def _is_table(name: str) -> bool:
    return name.lower().endswith(".csv")


def _camera_table(path: PurePosixPath, data: bytes) -> Mapping[str, str]:
    """Cameras by an image's path, and by its name alone where all images of that name have one camera.

    Raises :class:`DataError` for more than ``MAX_TABLE_BYTES``, as ``csv_rows``, and for an image with two cameras.
    """
    if len(data) > MAX_TABLE_BYTES:
        raise DataError(
            f"{path.name} has more than {MAX_TABLE_BYTES // 2**20} MB; keep the lines of these images alone."
        )
    by_path: dict[str, str] = {}
    by_name: dict[str, str] = {}
    folder = str(path.parent)
    for row in csv_rows(io.StringIO(decode(data, path.name), newline=""), path.name, ("image",)):
        column = next((column for column in ("camera", "camera_id") if column in row.values), None)
        if column is None:
            raise DataError(f"{path.name} lacks the column camera; name it in the first line, separated by commas.")
        image, camera = posixpath.join(folder, row.values["image"].replace("\\", "/")), row.values[column]
        image, name = posixpath.normpath(image), posixpath.basename(image)
        if by_path.setdefault(image, camera) != camera:
            raise DataError(
                f"{path.name}, line {row.line}: {name} has another camera in a line above; correct one of them."
            )
        by_name[name] = camera if by_name.get(name, camera) == camera else ""
    return by_name | by_path


def _camera(path: PurePosixPath, table: Mapping[str, str] | None) -> str:
    """The camera of the picture at ``path``; empty where it is unknown."""
    if table is None:
        folder = path.parent.name.strip()
        return "" if folder == ".." else folder
    return table.get(str(path), "") or table.get(path.name, "")


def distinct_name(name: str, taken: Iterable[str]) -> str:
    """The name, with a number where it is ``taken``."""
    number, distinct = 1, name
    while distinct in taken:
        number += 1
        distinct = f"{name} ({number})"
    return distinct
